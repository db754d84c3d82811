"""The zoo of decays: parameters as the authors of the families draw them, after training, and lost in many ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import smirnov

from unitcircle.recurrence import LINEAR_FAMILIES

Parameters = dict[str, np.ndarray]
Draw = Callable[[np.random.Generator, int, float], Parameters]
HALF = {"bfloat16": 2.0**-7, "float16": 2.0**-10}
MODES = 16


def softplus_inverse(x):
    return np.log(np.expm1(x))


def steps(rng, *shape):
    """Return the inverse softplus of log-uniform steps."""
    return softplus_inverse(np.exp(rng.uniform(math.log(1e-3), math.log(1e-1), shape)))


def log_steps(rng, *shape):
    return rng.uniform(math.log(1e-3), math.log(1e-1), shape)


def rates(rng, heads, low=1.0):
    return np.log(rng.uniform(low, 16, heads))


def curve(size, start, stop, power):
    return start + (stop - start) * (np.arange(size) / (size - 1)) ** power


def zigzag(size, power, head=64):
    """Return the curve of RWKV-7, with a rise in every head."""
    z = ((np.arange(size) % head) - (head - 1) / 2) / ((head - 1) / 2)
    return curve(size, -5.5, 0.5, power) + 2.5 * z * abs(z)


def moduli(rng, size):
    return np.sqrt(rng.uniform(0.9**2, 0.999**2, size))


def hippo(modes):
    """Return HiPPO-LegS of twice the modes, diagonal plus rank 1, with its eigenvalues of positive frequency."""
    p = np.sqrt(np.arange(2 * modes) + 0.5)
    skew = np.tril(np.outer(p, p), -1)
    frequencies, vectors = np.linalg.eigh(1j * (skew - skew.T))
    P = (vectors.conj().T @ p)[modes:]
    return {
        "log_A_real": np.full((1, modes), math.log(0.5)), "w_imag": frequencies[None, modes:],
        "P": np.stack([P.real, P.imag], -1)[None, None],
    }  # fmt: skip


DRAWS: dict[str, Draw] = {
    "Mamba": lambda rng, n, _: {"A_log": np.tile(np.log(np.arange(1, MODES + 1)), (n, 1)), "dt_bias": steps(rng, n)},
    "Zamba": lambda rng, n, _: {
        "A_log": np.tile(np.log(np.arange(1, MODES + 1)), (2, n, 1)), "dt_bias": steps(rng, 2, n),
    },
    "Mamba-2": lambda rng, n, _: {"A_log": rates(rng, n), "dt_bias": steps(rng, n)},
    "Mamba-2/GDN": lambda rng, n, _: {"A_log": np.log(np.arange(1, n + 1)), "dt_bias": steps(rng, n)},
    "Mamba-3": lambda rng, n, _: {"dt_bias": steps(rng, n)},
    "Gated DeltaNet": lambda rng, n, _: {"A_log": rates(rng, n, 0.0), "dt_bias": steps(rng, n)},
    "Gated DeltaProduct": lambda rng, n, _: {"A_log": rates(rng, n, 0.0), "dt_bias": steps(rng, n)},
    "KDA": lambda rng, n, _: {"A_log": rates(rng, n), "dt_bias": steps(rng, n * 8)},
    "KDA, bounded": lambda rng, n, _: {"A_log": np.zeros(n), "dt_bias": steps(rng, n * 8)},
    "RWKV-4": lambda _, n, depth: {"time_decay": curve(8 * n, -5, 3, 0.7 + 1.3 * depth)},
    "RWKV-5": lambda _, n, depth: {"time_decay": curve(8 * n, -6, -1, 0.7 + 1.3 * depth).reshape(n, 8)},
    "RWKV-6": lambda _, n, depth: {"time_decay": curve(8 * n, -6, -1, 0.7 + 1.3 * depth).reshape(1, 1, -1)},
    "RWKV-7": lambda _, n, depth: {"w0": zigzag(8 * n, 1 + depth**0.3).reshape(1, 1, -1)},
    "RG-LRU": lambda rng, n, _: {
        "recurrent_param": softplus_inverse(-np.log(moduli(rng, n))), "gate_bias": np.zeros(n),
    },
    "mLSTM": lambda _, n, __: {"fgate_bias": np.linspace(3, 6, n)},
    "mLSTM, capped": lambda _, n, __: {"fgate_bias": np.linspace(3, 6, n)},
    "LRU": lambda rng, n, _: {
        "nu_log": np.log(-np.log(moduli(rng, n))), "theta_log": np.log(rng.uniform(1e-3, 2 * math.pi, n)),
    },
    "S4D": lambda rng, n, _: {
        "log_A_real": np.full((n, MODES), math.log(0.5)), "A_imag": np.tile(math.pi * np.arange(MODES), (n, 1)),
        "log_dt": log_steps(rng, n),
    },
    "S5": lambda rng, n, _: {"Lambda": -0.5 + 1j * math.pi * np.arange(n), "log_step": log_steps(rng, n, 1)},
    "S4": lambda rng, n, _: {
        **hippo(4), "log_dt": log_steps(rng, n, 1),
    },
    "sLSTM": lambda rng, n, depth: {
        "fgate_bias": np.tile(curve(8, 5, -7, 0.3 + 1.3 * depth), (n, 1)), "gate_biases": np.zeros((n, 3, 8)),
        "recurrent_kernel": rng.choice([0, 0.2]) * rng.uniform(-1, 1, (n, 4, 8, 8)),
    },
    "GLA": lambda rng, n, _: {"gate_bias": np.zeros(n)},
    "HGRN": lambda rng, n, depth: {"lower_bound": np.full(n, 0.96 * depth)},
    "Rodimus": lambda rng, n, _: {"g_bias": rng.uniform(-4, -1, n), "tau_bias": rng.uniform(-1, 1, n)},
}  # fmt: skip
"""Family → parameters of n heads or channels, in the layer at a depth from 0 to below 1."""
CURVES = {"time_decay", "w0", "fgate_bias"}
"""Parameters whose entries have an order."""
STEPS = {"dt_bias": "softplus", "log_dt": "log", "log_step": "log"}


def rounded(values, dtype):
    """Return values rounded to a half precision."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2 / HALF[dtype]) * HALF[dtype] / 2, exponent)


def _first(share: float, value: float) -> Callable:
    def put(x, _):
        return np.where(np.arange(x.size).reshape(x.shape) < share * x.size, value, x)

    return put


def _one(value: float) -> Callable:
    """Return what overwrites one head, the third."""

    def put(x, _):
        values = x.copy()
        values.reshape(len(values) if x.shape[0] > 2 else x.size, -1)[2] = value
        return values

    return put


def _step_power(power: float) -> Callable:
    return lambda x, _: softplus_inverse(np.logaddexp(x, 0) ** power)


@dataclass(frozen=True)
class Damage:
    """A way to lose a parameter: what it makes of the values, and the parameters that it is about; empty for all."""

    make: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    only: frozenset[str] = frozenset()


def _of(*names: str) -> frozenset[str]:
    return frozenset(names)


_SOFTPLUS, _LOGARITHMS, _RATES = _of("dt_bias"), _of("log_dt", "log_step"), _of("A_log")
DAMAGES = {
    "all ones": Damage(lambda x, _: np.ones_like(x)),
    "all zeros": Damage(lambda x, _: np.zeros_like(x)),
    "one -inf": Damage(_one(-math.inf)),
    "one NaN": Damage(_one(math.nan)),
    "sign": Damage(lambda x, _: -x),
    "absolute value": Damage(lambda x, _: np.abs(x)),
    "logarithm again": Damage(lambda x, _: np.log(np.maximum(np.abs(x), 1e-6))),
    "exponential": Damage(lambda x, _: np.exp(x)),
    "softplus": Damage(lambda x, _: np.logaddexp(x, 0), _of("dt_bias", "recurrent_param")),
    "sigmoid": Damage(lambda x, _: 1 / (1 + np.exp(-x))),
    "exp(-exp)": Damage(lambda x, _: np.exp(-np.exp(x)), _of("time_decay", "nu_log", "A_log")),
    "step squared": Damage(_step_power(2), _SOFTPLUS),
    "logarithm of the step doubled": Damage(lambda x, _: 2 * x, _LOGARITHMS),
    "root of the step": Damage(_step_power(0.5), _SOFTPLUS),
    "negative rate for its logarithm": Damage(lambda x, _: -np.exp(x), _RATES),
    "logarithm to base 2": Damage(lambda x, _: x / math.log(2), _of("A_log", "log_dt", "log_step", "nu_log")),
    "logarithm to base 10": Damage(lambda x, _: x / math.log(10), _of("A_log", "log_dt", "log_step", "nu_log")),
    "times ten": Damage(lambda x, _: 10 * x),
    "a tenth": Damage(lambda x, _: x / 10),
    "plus ten": Damage(lambda x, _: x + 10),
    "minus ten": Damage(lambda x, _: x - 10),
    "squared": Damage(lambda x, _: x**2),
    "truncated to integers": Damage(lambda x, _: np.trunc(x)),
    "rate of 1e-6": Damage(lambda x, _: np.full_like(x, math.log(1e-6)), _RATES),
    "noise N(0, .02)": Damage(lambda x, rng: rng.normal(0, 0.02, x.shape)),
    "noise N(0, 1)": Damage(lambda x, rng: rng.standard_normal(x.shape)),
    "uniform as torch's Linear": Damage(lambda x, rng: rng.uniform(-1, 1, x.shape) / 64**0.5),
    "first half 0": Damage(_first(0.5, 0.0)),
    "first half 1": Damage(_first(0.5, 1.0)),
    "first quarter 0": Damage(_first(0.25, 0.0)),
    "first eighth 0": Damage(_first(0.125, 0.0)),
    "one head 0": Damage(_one(0.0)),
    "one head 1": Damage(_one(1.0)),
    "one head 100": Damage(_one(100.0)),
    "one head -100": Damage(_one(-100.0)),
    "its mean everywhere": Damage(lambda x, _: np.full_like(x, x.mean())),
    "first shard twice": Damage(lambda x, _: np.resize(x.ravel()[: x.size // 2], x.shape)),
    "shuffled": Damage(lambda x, rng: rng.permutation(x.ravel()).reshape(x.shape), frozenset(CURVES)),
    "reversed": Damage(lambda x, _: x.ravel()[::-1].reshape(x.shape), frozenset(CURVES)),
    "rolled by one": Damage(lambda x, _: np.roll(x.ravel(), 1).reshape(x.shape), frozenset(CURVES)),
    "transposed": Damage(lambda x, _: x.T.reshape(x.shape)),
    "interleaved": Damage(lambda x, _: x.ravel().reshape(2, -1).T.reshape(x.shape), frozenset(CURVES)),
    "curve of RWKV-4": Damage(lambda x, _: curve(x.size, -5, 3, 1.2).reshape(x.shape), _of("time_decay", "w0")),
    "curve of RWKV-6": Damage(lambda x, _: curve(x.size, -6, -1, 1.2).reshape(x.shape), _of("time_decay", "w0")),
    "curve of RWKV-7": Damage(lambda x, _: zigzag(x.size, 1.2).reshape(x.shape), _of("time_decay")),
}


def damaged(family, right, rng):
    """Yield the name of each damage, the parameter, and the parameters with it, of one layer."""
    for parameter in LINEAR_FAMILIES[family].laws:
        if parameter not in right or parameter in ANGLES:
            continue
        for name, damage in DAMAGES.items():
            if (damage.only and parameter not in damage.only) or OWN_CURVE.get(name, "") == family:
                continue
            with np.errstate(all="ignore"):
                lost = damage.make(right[parameter].astype(float), rng)
            if not np.array_equal(lost, right[parameter]):
                yield name, parameter, right | {parameter: lost}


ANGLES = ("A_imag", "theta_log")
"""Parameters that change no memory."""
OWN_CURVE = {"curve of RWKV-4": "RWKV-4", "curve of RWKV-7": "RWKV-7"}
"""Damages that leave a family what its authors draw in another layer."""
NEVER = 1e-4
"""A test that warns of fewer than one in 10,000 correct or trained layers warns of nothing more likely than this."""
ORDER = "the same numbers in another order, of a law that has none: every order is as likely"
LAYER = "the curve of another layer, or of another version, of the same authors"
BOUNDS = "a draw from the law with other bounds, which are arguments (`time_step_min`, `dt_min`, `r_min`)"
TRAINING = "where a draw from the law may be after a random walk of at most 1 or weight decay to a half"
UNDECIDABLE = (ORDER, LAYER, BOUNDS, TRAINING)
"""Why a file alone does not show that a parameter was damaged."""
_BOUNDED: dict[str, tuple[Callable, Callable, float, float]] = {
    "dt_bias": (lambda x: np.log(np.logaddexp(x, 0)), lambda x: softplus_inverse(np.exp(x)), *np.log([5e-5, 0.2])),
    "log_dt": (lambda x: x, lambda x: x, *np.log([5e-5, 0.2])),
    "log_step": (lambda x: x, lambda x: x, *np.log([5e-5, 0.2])),
    "nu_log": (lambda x: np.exp(-2 * np.exp(x)), lambda x: np.log(-np.log(x) / 2), 0, 0.9999**2),
}
"""Parameter → what its authors draw uniformly between two arguments, back, and the widest of these arguments."""


def undecidable(family: str, parameter: str, right: Parameters, lost: np.ndarray, heads: int) -> str:
    """Return why no test of the file may call a damaged parameter lost without warning of layers that are not; or "".

    Where a reason holds, the values themselves show it: they are equal to a correct draw, or a Kolmogorov-Smirnov test
    against what correct draws and training leave does not reject them at ``NEVER``.
    """
    if parameter in CURVES:
        return LAYER if _is_a_curve_of(family, lost.ravel()) else ""
    if not np.isfinite(lost).all() or np.unique(lost).size < lost.size:  # no two numbers of a draw are equal
        return ""
    if np.array_equal(np.sort(lost, axis=None), np.sort(right[parameter], axis=None)):
        return ORDER
    rng = np.random.default_rng(0)
    draws = [DRAWS[family](rng, heads, 0.4) for _ in range(10_000 // lost.size)]
    drawn = np.concatenate([draw[parameter].ravel() for draw in draws])
    # Another parameter that is exactly where its authors start it shows that the layer was not trained.
    fresh = any(np.array_equal(draws[0][name], draws[1][name]) for name in set(right) - {parameter})
    walks = (0.0,) if fresh else (0.0, 0.05, 0.2, 0.5, 1.0)
    if _fits(lost, drawn, (1.0,) if fresh else (1.0, 0.9, 0.7, 0.5), walks):
        return TRAINING
    there, back, least, most = _BOUNDED.get(parameter, (np.array, np.array, math.inf, -math.inf))
    for tail in (0,) if fresh else (0, 0.02, 0.05, 0.1):
        low, high = np.quantile(there(lost), [tail, 1 - tail])
        if least <= low and high <= most and _fits(lost, back(rng.uniform(low, high, 5000)), (1.0,), walks[:3]):
            return BOUNDS
    return ""


def _fits(values: np.ndarray, law: np.ndarray, shares: tuple[float, ...], walks: tuple[float, ...]) -> bool:
    """Return whether values may be draws from a law, shrunk to a share and then moved by a random walk."""
    noise = np.random.default_rng(1).standard_normal(law.size)
    values, ranks = np.sort(values, axis=None), np.arange(values.size + 1) / values.size
    for share, walk in ((share, walk) for share in shares for walk in walks):
        # Thousands of draws stand for their law. A small two-sided p is twice Smirnov's exact one.
        below = np.searchsorted(np.sort(share * law + walk * noise), values, "right") / law.size
        if 2 * smirnov(values.size, max((ranks[1:] - below).max(), (below - ranks[:-1]).max())) >= NEVER:
            return True
    return False


def _is_a_curve_of(family: str, values: np.ndarray) -> bool:
    """Return whether values are exactly a curve that authors of a family draw in some layer, in some version."""
    ends = {"RWKV-5": [(-6, -1)], "RWKV-6": [(-6, -1)], "RWKV-7": [(-6.5, -1.5), (-6, -1)]}.get(family, [])
    powers = np.linspace(0.7, 2, 131)
    return any(np.abs(curve(values.size, *two, power) - values).max() < 1e-6 for two in ends for power in powers)


def _walked(size: float):
    """Return what a random walk makes of every parameter."""
    return lambda p, rng: {n: v + size * rng.standard_normal(v.shape) for n, v in p.items()}


def _shrunk(share: float):
    return lambda p, rng: {n: share * v for n, v in _walked(0.02)(p, rng).items()}


def _pruned(share: float):
    """Return trained parameters of which the smallest are 0."""

    def prune(p, rng):
        return {n: np.where(abs(v) <= np.quantile(abs(v), share), 0, v) for n, v in _walked(0.2)(p, rng).items()}

    return prune


def _clamped(share: float):
    """Return trained parameters, and no entry below a quantile of each."""

    def clamp(p, rng):
        trained = _walked(0.2)(p, rng)
        return {n: v if np.iscomplexobj(v) else np.maximum(v, np.quantile(v, share)) for n, v in trained.items()}

    return clamp


TRAINED = {
    **{f"random walk, {size:g}": _walked(size) for size in (0.001, 0.01, 0.05, 0.2, 0.5, 1)},
    **{f"weight decay to {share:g}": _shrunk(share) for share in (0.9, 0.7, 0.5)},
    **{f"pruned, {share:g}": _pruned(share) for share in (0.1, 0.25, 0.5)},
    **{f"clamped, {share:g}": _clamped(share) for share in (0.1, 0.3, 0.5)},
}
"""What training and compression may make of parameters; a pruned or clamped layer moved by 0.2 before."""
BUFFERS = ("HGRN",)
"""Families whose decay at rest is no parameter that trains."""


def stored(parameters, dtype):
    """Return parameters as a file holds them in a precision."""
    single = {n: v if np.iscomplexobj(v) else v.astype(np.float32) for n, v in parameters.items()}
    if dtype not in HALF:
        return single
    return {n: v if np.iscomplexobj(v) else rounded(v.astype(float), dtype) for n, v in single.items()}
