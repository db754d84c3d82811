"""Theory beside simulation: the leading Lyapunov exponent of wide random networks with inputs, in 80 settings.

python examples/criticality.py                    # ten minutes on one idle core; prints one row a setting
python examples/criticality.py gru lstm           # the settings of these cells

Every setting is simulated at two sizes, n and 2n; 2 λ(2n) − λ(n) removes the shift of order 1/n, and its standard
error comes from independent draws of the weight. *within* is three standard errors, of a gated cell with that of its
theory, whose fields are drawn. Settings that the theory does not
cover are named with the reason; they are printed with the others and judged by none.
"""

from __future__ import annotations

import sys
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import special

from unitcircle.ensembles import MeanField
from unitcircle.initializers import BlockRotation, Eigen, Gaussian, Orthogonal

SIZES = (160, 320)
DRAWS = (24, 12)
STEPS, BURN = 500, 150
LAYERS, FIRST = 120, 40
"""Of a stack, whose weights are drawn at every layer."""
SIGMAS = 3
ACTIVATIONS = {
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0) * 1.0),
    "leaky_relu": (lambda a: np.where(a > 0, a, 0.01 * a), lambda a: np.where(a > 0, 1, 0.01)),
    "sigmoid": (special.expit, lambda a: special.expit(a) * special.expit(-a)),
    "gelu": (
        lambda a: a * special.ndtr(a),
        lambda a: special.ndtr(a) + a * np.exp(-a * a / 2) / np.sqrt(2 * np.pi),
    ),
    "linear": (lambda a: a, np.ones_like),
}

BOTH = ("haar", "gaussian")


class Setting(NamedTuple):
    """A law of weights, inputs and biases, for a cell."""

    activation: str
    gain: float
    input_std: float
    bias_std: float = 0.0
    leak: float = 1.0
    weight: str = "gaussian"
    cell: str = "rnn"
    keep_bias: float = 0.0


def gated(cell: str, *rows: tuple) -> list[Setting]:
    """Return settings from (gain, input std, keep bias, weight)."""
    return [Setting("tanh", g, s, 0.0, 1.0, weight, cell, bias) for g, s, bias, weight in rows]


SETTINGS = [
    *(Setting("tanh", g, s, 0.0, 1.0, w) for g, s, w in product((0.95, 1.1, 1.5, 2.0), (0.1, 0.3, 1.0), BOTH)),
    *(Setting("tanh", g, s, 0.3, 1.0, w) for g, s, w in product((1.2, 3.0), (0.0, 2.0), BOTH)),
    *(Setting(a, g, 0.5, 0.2, 1.0, w) for a in ("relu", "leaky_relu") for g, w in product((0.9, 1.3), BOTH)),
    *(Setting("gelu", g, 0.5, 0.0, 1.0, w) for g, w in product((0.9, 1.3), BOTH)),
    *(Setting("sigmoid", g, 1.0, 0.0, 1.0, w) for g, w in product((4.0, 12.0), BOTH)),
    Setting("linear", 0.9, 0.5, 0.0, 1.0, "haar"),
    Setting("linear", 1.1, 0.5, 0.0, 1.0, "haar"),
    Setting("linear", 0.9, 0.5, 0.0, 1.0, "gaussian"),
    *(Setting("tanh", g, 1.0, 0.0, leak, w, "leaky_rnn") for g, leak, w in product((1.2, 2.5), (0.5, 0.2), BOTH)),
    Setting("tanh", 1.5, 0.01, 0.0, 1.0, "blocks"),
    *(Setting("tanh", g, 0.0, bias, cell="feedforward") for g, bias in product((0.9, 1.5, 2.5), (0.0, 0.3))),
    *gated("gru", (1.0, 1.0, 0.0, "gaussian"), (1.0, 1.0, 0.0, "haar"), (0.6, 0.3, 1.0, "gaussian"),
           (3.0, 1.0, 0.0, "gaussian"), (5.0, 1.0, 1.0, "gaussian"), (3.0, 0.0, 0.0, "gaussian")),
    *gated("lstm", (1.0, 1.0, 0.0, "gaussian"), (1.0, 1.0, 0.0, "haar"), (0.6, 0.3, 1.0, "gaussian"),
           (3.0, 1.0, 1.0, "gaussian"), (8.0, 1.0, 0.0, "gaussian"), (1.0, 1.0, 3.0, "gaussian")),
    *gated("gru", (1.0, 1.0, 0.0, "fresh")),
    *gated("lstm", (1.0, 1.0, 0.0, "fresh")),
]  # fmt: skip
NEAR = "close to where its variance diverges draws scatter by n^(-1/2), skewed; alone, n = 640 and 1280 agree"
ONE_MATRIX = "one Jacobian: λ = log ρ, whose law is SpectralRadius, not its limit"
FRESH = "weights that are new at every step are another network"
OUTSIDE = {
    ("rnn", "linear", 0.9, "gaussian"): ONE_MATRIX,
    ("rnn", "tanh", 1.5, "blocks"): "rotations side by side: modes on two units each, which do not mix",
    ("rnn", "gelu", 1.3, "haar"): NEAR,
    ("rnn", "gelu", 1.3, "gaussian"): NEAR,
    ("gru", "tanh", 1.0, "fresh"): FRESH,
    ("lstm", "tanh", 1.0, "fresh"): FRESH,
}
WEIGHTS = {
    "haar": lambda g, _: Orthogonal(gain=g),
    "gaussian": lambda g, n: Gaussian(std=g / n**0.5),
    "fresh": lambda g, n: Gaussian(std=g / n**0.5),
    "blocks": lambda g, _: BlockRotation(modulus=g),
    "uniform": lambda g, _: Eigen(modulus=g, angles="uniform"),
}


def exponents(setting: Setting, n: int, draws: int, seed: int) -> np.ndarray:
    """Return the exponent of every draw of the weight."""
    rng = np.random.default_rng([seed, n])
    return GROWTH.get(setting.cell, _plain)(setting, n, draws, rng)


def _plain(setting: Setting, n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    function, derivative = ACTIVATIONS[setting.activation]
    leak = setting.leak
    W = WEIGHTS[setting.weight](setting.gain, n).sample(n, size=draws, rng=rng)
    b = setting.bias_std * rng.standard_normal((draws, n))
    # State and difference are advanced by one product.
    pair = rng.standard_normal((draws, n, 2))
    total = np.zeros(draws)
    for step in range(STEPS):
        moved = W @ pair
        a = moved[..., 0] + setting.input_std * rng.standard_normal((draws, n)) + b
        h = (1 - leak) * pair[..., 0] + leak * function(a)
        v = (1 - leak) * pair[..., 1] + leak * derivative(a) * moved[..., 1]
        norm = np.linalg.norm(v, axis=-1, keepdims=True)
        pair = np.stack((h, v / norm), -1)
        total += np.log(norm[:, 0]) * (step >= BURN)
    return total / (STEPS - BURN)


def _stack(setting: Setting, n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    function, derivative = ACTIVATIONS[setting.activation]
    pair = rng.standard_normal((draws, n, 2))
    total = np.zeros(draws)
    for layer in range(LAYERS):
        W = setting.gain / n**0.5 * rng.standard_normal((draws, n, n), dtype=np.float32)
        moved = W @ pair
        a = moved[..., 0] + setting.bias_std * rng.standard_normal((draws, n))
        v = derivative(a) * moved[..., 1]
        norm = np.linalg.norm(v, axis=-1, keepdims=True)
        pair = np.stack((function(a), v / norm), -1)
        total += np.log(norm[:, 0]) * (layer >= FIRST)
    return total / (LAYERS - FIRST)


def _gated(setting: Setting, n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    gates = 3 if setting.cell == "gru" else 4

    def draw() -> np.ndarray:
        law = WEIGHTS[setting.weight](setting.gain, n)
        return np.concatenate([law.sample(n, size=draws, rng=rng) for _ in range(gates)], 1)

    W = draw()
    h = np.full((draws, n), 0.1)  # not 0, which without inputs is a fixed point
    c, dc = np.zeros((2, draws, n))
    dh = rng.standard_normal((draws, n))
    total = np.zeros(draws)
    for step in range(STEPS):
        W = draw() if setting.weight == "fresh" else W
        moved = np.moveaxis((W @ np.stack((h, dh), -1)).reshape(draws, gates, n, 2), 1, 0)
        noise = setting.input_std * rng.standard_normal((gates, draws, n))
        h, dh, c, dc = CELLS[setting.cell]((h, dh, c, dc), moved, noise, setting.keep_bias)
        norm = np.sqrt((dh**2 + dc**2).sum(-1, keepdims=True))
        dh, dc = dh / norm, dc / norm
        total += np.log(norm[:, 0]) * (step >= BURN)
    return total / (STEPS - BURN)


def _gru(state, moved, noise, bias):
    h, dh, c, dc = state
    (r_in, z_in, u), (dr, dz, du) = moved[..., 0], moved[..., 1]
    r, z = special.expit(r_in + noise[0]), special.expit(z_in + noise[1] + bias)
    new = np.tanh(noise[2] + r * u)
    dnew = (1 - new**2) * (r * du + u * r * (1 - r) * dr)
    return z * h + (1 - z) * new, z * dh + (h - new) * z * (1 - z) * dz + (1 - z) * dnew, c, dc


def _lstm(state, moved, noise, bias):
    _, _, c, dc = state
    (i_in, f_in, g_in, o_in), (di, df, dg, do) = moved[..., 0] + noise, moved[..., 1]
    i, f, g, o = special.expit(i_in), special.expit(f_in + bias), np.tanh(g_in), special.expit(o_in)
    dc = f * dc + f * (1 - f) * c * df + i * (1 - i) * g * di + i * (1 - g**2) * dg
    c = f * c + i * g
    t = np.tanh(c)
    return o * t, o * (1 - t**2) * dc + o * (1 - o) * t * do, c, dc


CELLS = {"gru": _gru, "lstm": _lstm}
GROWTH = {"feedforward": _stack, "gru": _gated, "lstm": _gated}


def simulated(setting: Setting, seed: int) -> tuple[float, float]:
    """Return the exponent extrapolated to infinite size, and its standard error."""
    small, large = (exponents(setting, n, draws, seed) for n, draws in zip(SIZES, DRAWS, strict=True))
    errors = [values.std(ddof=1) / len(values) ** 0.5 for values in (small, large)]
    return 2 * large.mean() - small.mean(), float(np.hypot(2 * errors[1], errors[0]))


def theory(setting: Setting) -> tuple[float, float]:
    """Return the exponent of the mean field, and its standard error: 0 where no field is drawn."""
    cell, activation, leak = setting.cell, setting.activation, setting.leak
    field = MeanField(cell, activation, setting.gain, setting.input_std, setting.bias_std, leak, setting.keep_bias)
    return field.exponent, field.error if cell in CELLS else 0.0


def table(cells: list[str]) -> None:
    """Print theory beside simulation."""
    print(f"{len(SETTINGS)} settings, sizes {SIZES}, draws {DRAWS}, {STEPS - BURN} steps")
    print("cell        activation  weight    gain   s     bias  leak  keep   theory    simulated          verdict")
    counts = {"within": 0, "beyond": 0, "outside": 0}
    for seed, setting in enumerate(SETTINGS):
        if cells and setting.cell not in cells:
            continue
        expected, drawn = theory(setting)
        found, error = simulated(setting, seed)
        distance = abs(found - expected) / max(np.hypot(error, drawn), 1e-9)  # a linear Haar network has no scatter
        reason = OUTSIDE.get((setting.cell, setting.activation, setting.gain, setting.weight))
        verdict = "outside" if reason else "within" if distance <= SIGMAS else "beyond"
        counts[verdict] += 1
        print(
            f"{setting.cell:<11} {setting.activation:<11} {setting.weight:<9} {setting.gain:<6} {setting.input_std:<5} "
            f"{setting.bias_std:<5} {setting.leak:<5} {setting.keep_bias:<5} {expected:+9.4f}  "
            f"{found:+.4f} ± {error:.4f}  {verdict} ({distance:.1f}){': ' + reason if reason else ''}",
            flush=True,
        )
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()), "(three standard errors; the theory)")


if __name__ == "__main__":
    table(sys.argv[1:])
