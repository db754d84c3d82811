"""The post's case 1: weights N(0, 1), their spectral norm, the stacks they make, and the figure it draws of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy import stats
from scipy.special import digamma

from unitcircle.initializers import Gaussian, Orthogonal
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.well_behaved import _figures as figures
from unitcircle_reproduction.well_behaved._depth import Depth, Kind, measure

WIDTHS = (16, 64, 256)
SHOWN = 64
DEPTH = 20
"""Layers of the figure; the post does not say how many it has."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Judge what is said of Gaussian weights that are not scaled."""
    rng = np.random.default_rng([context.draws, 6])
    draws = context.pick(20, 200)
    yield _spectral_norm(rng, draws)
    yield _vector_norm(rng, context.pick(2000, 20000))
    networks = context.pick(16, 64)
    yield _growth(
        [_measured(relu, width, networks, context.draws) for relu in (False, True) for width in (1, 2, 3, 4, 16, 64)]
    )
    yield _figure([measure(kind, SHOWN, DEPTH, networks, seed=context.draws) for kind in _kinds(relu=True)])


def _spectral_norm(rng: np.random.Generator, draws: int) -> Claim:
    rows = []
    for n in WIDTHS:
        norms = np.linalg.norm(Gaussian(std=1.0).sample(n, rng=rng, size=draws), 2, axis=(-2, -1)) / n**0.5
        low, high = stats.ttest_1samp(norms, 0.0).confidence_interval(0.95)
        rows.append({"n": n, "‖W‖₂ / √n, mean": float(norms.mean()), "95 % from": float(low), "to": float(high)})
    inside = [row["95 % from"] <= 1 <= row["to"] for row in rows]
    means = ", ".join(f"{row['‖W‖₂ / √n, mean']:.3f}" for row in rows)
    return Claim(
        "spectral-norm",
        "The spectral norm of a Gaussian matrix",
        "The spectral norm of an n × n matrix of N(0, 1) entries is √n.",
        f"It is {means} times √n at n = {', '.join(map(str, WIDTHS))} ({draws} draws each), and 2√n in the limit: √n "
        f"is what W makes of a vector that does not depend on it, and the spectral norm is that of the vector that W "
        f"stretches most.",
        Verdict.HOLDS if all(inside) else Verdict.FAILS,
        rows,
    )


def _vector_norm(rng: np.random.Generator, draws: int) -> Claim:
    n = SHOWN
    x = rng.standard_normal(n)
    squares = np.sum((Gaussian(std=1.0).sample(n, rng=rng, size=draws) @ (x / np.linalg.norm(x))) ** 2, axis=-1)
    low, high = stats.ttest_1samp(squares, 0.0).confidence_interval(0.95)
    return Claim(
        "vector-norm",
        "What a Gaussian matrix makes of a vector",
        "Each component of Wx, ‖x‖ = 1, is Gaussian with variance 1, so the expected squared norm is n.",
        f"At n = {n} the mean of ‖Wx‖² over {draws} draws is {squares.mean():.2f} (95 %: {low:.2f} to {high:.2f}). "
        f"True of a vector "
        "chosen before W; it does not give the spectral norm.",
        Verdict.HOLDS if low <= n <= high else Verdict.FAILS,
    )


def _rate(width: int, /) -> float:
    # ‖Wᵀv‖² of N(0, 1) entries is χ²_n, whatever v.
    return float(digamma(width / 2) + np.log(2)) / 2


def _unscaled(width: int, depth: int, rng: np.random.Generator, /) -> np.ndarray:
    return Gaussian(std=1.0).sample(width, rng=rng, size=depth)


def raw_qr(width: int, depth: int, rng: np.random.Generator, /) -> np.ndarray:
    """Return Q of the QR decomposition as LAPACK gives it, its signs not made those of the Haar measure."""
    return np.linalg.qr(rng.standard_normal((depth, width, width)))[0]


def haar(width: int, depth: int, rng: np.random.Generator, /) -> np.ndarray:
    return Orthogonal().sample(width, rng=rng, size=depth)


def _kinds(*, relu: bool) -> list[Kind]:
    draws = {"N(0, 1)": _unscaled, "raw QR": raw_qr, "Haar": haar}
    return [Kind(f"{name}, {'ReLU' if relu else 'linear'}", draw, relu) for name, draw in draws.items()]


def _measured(relu: bool, width: int, networks: int, seed: int) -> Depth:
    kind = Kind(f"N(0, 1), {'ReLU' if relu else 'linear'}", _unscaled, relu, _rate)
    return measure(kind, width, DEPTH, networks, seed=seed)


def _growth(results: list[Depth]) -> Claim:
    rows = [
        {
            "stack": r.kind.name,
            "n": r.width,
            "nats per layer": float(r.rates.mean()) if r.logs.size else float("nan"),
            "theory": float("nan") if r.kind.relu else _rate(r.width),
            "½ log n, of the post": float(np.log(r.width)) / 2,
            "gradients lost": f"{r.lost:.0%}",
        }
        for r in results
    ]
    linear = {row["n"]: row for row, r in zip(rows, results, strict=True) if not r.kind.relu}
    relu = {row["n"]: row for row, r in zip(rows, results, strict=True) if r.kind.relu}
    grows = [bool(r.rates.mean() > 0) if r.logs.size else False for r in results if r.width > 1]
    one = next(r for r in results if r.width == 1 and not r.kind.relu)
    return Claim(
        "growth",
        "Unscaled Gaussian stacks against n",
        "The product of the norms, √n a layer, grows exponentially for n > 1 and vanishes quickly for n < 1.",
        "Linear stacks change a gradient's log-norm by (ψ(n/2) + log 2)/2 a layer: "
        + ", ".join(f"{row['nats per layer']:+.3f} at n = {n}" for n, row in linear.items())
        + f" ({DEPTH} layers). That is ½ log n for large n only; one unit, where √n says that nothing "
        "changes, shrinks it. "
        f"With ReLU, which the post uses, two units do not grow it: {relu[2]['gradients lost']} of all gradients "
        f"are exactly zero after {DEPTH} layers, at n = 4 {relu[4]['gradients lost']}; it takes more units "
        f"({relu[16]['nats per layer']:+.3f} at n = 16). No network has fewer than one unit, so the second half "
        "says nothing.",
        Verdict.HOLDS if all(grows) and one.interval[1] >= 0 else Verdict.FAILS,
        rows,
    )


def _figure(results: list[Depth]) -> Claim:
    rate = {r.kind.name.rsplit(", ", 1)[0]: float(r.rates.mean()) for r in results}
    explodes, stays = rate["N(0, 1)"] > 0.1, all(abs(rate[name]) * DEPTH < np.log(10) for name in ("raw QR", "Haar"))
    return Claim(
        "figure",
        "The post's figure",
        "Gradient norm against depth in a ReLU network: it explodes for Gaussian weights, and stays in a good range "
        "for orthogonal ones, made by a QR decomposition.",
        f"Drawn as the post draws it, N(0, 1) beside Q of LAPACK's QR, at n = {SHOWN}: {rate['N(0, 1)']:+.3f} against "
        f"{rate['raw QR']:+.3f} nats a layer. The first explodes. The second loses a factor of "
        f"{np.exp(-rate['raw QR'] * DEPTH):.0f} "
        f"over {DEPTH} layers, because ReLU stops half of the units. Q as LAPACK returns it does not have Haar's "
        f"law, whose rate is {rate['Haar']:+.3f}: multiply its columns by the signs of R's diagonal.",
        Verdict.FAILS if not explodes else Verdict.HOLDS if stays else Verdict.CONDITIONALLY,
        [
            {"weights": r.kind.name, "nats per layer": float(r.rates.mean()), "95 % from": r.interval[0],
             "to": r.interval[1]}
            for r in results
        ],
        {
            f"Gradient norm against layers back, ReLU, n = {SHOWN}; bands: all networks": partial(
                figures.case_one, results
            )
        },
        condition="beside the other; by itself it vanishes with ReLU, unless the gain is √2",
    )  # fmt: skip
