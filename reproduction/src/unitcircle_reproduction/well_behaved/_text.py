"""Harshal Rudra's well-behaved matrices: orthogonal weights, the gradients they pass on, and whether they stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from unitcircle_reproduction._claim import Claim, Text, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.well_behaved import _figures as figures
from unitcircle_reproduction.well_behaved import _gaussian
from unitcircle_reproduction.well_behaved._depth import KINDS, Depth, low_rank, measure
from unitcircle_reproduction.well_behaved._persistence import training_claims

ROUNDING = 1e-9


def _at_initialization(context: Context) -> Iterator[Claim]:
    depth, networks = context.pick((50, 16), (100, 64))
    results = {
        (kind.name, width): measure(kind, width, depth, networks, seed=context.draws)
        for kind in KINDS
        for width in context.pick((16, 64), (16, 64, 256))
    }
    shown = {name: result for (name, width), result in results.items() if width == 64}
    yield _bound(list(results.values()), shown)
    yield _isometry(list(results.values()), shown)
    yield _low_rank(context, depth, networks)


# At initialization ----------------------------------------------------------------------------------------------------


def _bound(results: Sequence[Depth], shown: dict[str, Depth]) -> Claim:
    highest = max(result.highest for result in results)
    count = sum(result.logs.size for result in results)
    slack = {r.kind.name: float((r.bounds - r.logs)[:, -1].mean() / (r.logs.shape[1] - 1)) for r in shown.values()}
    return Claim(
        "bound",
        "The product of spectral norms bounds the gradient",
        "By submultiplicativity the gradient's norm is at most the product of the norms of the Jacobians; with ReLU, "
        "whose derivative is 0 or 1, of the weights: ‖∂L/∂a_l‖ ≤ ‖∂L/∂a_L‖ Π ‖W_m‖₂.",
        f"Never violated in {count:,} layers of {sum(len(r.logs) for r in results)} networks (largest log-excess "
        f"{highest:.1e}). It is an equality for orthogonal linear stacks and loose elsewhere: at n = 64 by "
        f"{slack['Gaussian, linear']:.2f} nats per layer for Gaussian ones, by {slack['orthogonal, ReLU']:.2f} for "
        f"orthogonal ones with ReLU. An upper bound of 1 says that a gradient does not explode, not that it survives.",
        Verdict.HOLDS if highest < ROUNDING else Verdict.FAILS,
        table=[
            {"stack": r.kind.name, "n": r.width, "gradient, nats per layer": float(r.rates.mean()),
             "bound, nats per layer": float(r.bounds[:, -1].mean() / (r.bounds.shape[1] - 1))}
            for r in results
        ],
        figures={
            "Gradient norm against layers back, relative to the output (n = 64). Lines: mean of the log over networks; "
            "bands: all networks; dotted: the bound, the product of spectral norms. Left: linear. Right: "
            "ReLU.": partial(
                figures.depth, shown
            )
        },
        data={"highest": highest, "slack": slack},
    )  # fmt: skip


def _isometry(results: Sequence[Depth], shown: dict[str, Depth]) -> Claim:
    exact = max(float(np.abs(r.logs).max()) for r in results if r.kind.name == "orthogonal, linear")
    text = {name: "{:+.4f} ({:+.4f} to {:+.4f})".format(r.rates.mean(), *r.interval) for name, r in shown.items()}
    plain = shown["orthogonal, ReLU"].interval
    return Claim(
        "isometry",
        "Orthogonal weights keep the gradient's norm",
        "Orthogonal weights have norm 1, so the product neither vanishes nor explodes with depth: gradients are "
        "stable.",
        f"Linear: exactly (largest log-ratio {exact:.1e}); Gaussian stacks change it by {text['Gaussian, linear']} "
        "nats per layer at n = 64 (mean and 95 % interval over networks; theory "
        f"{shown['Gaussian, linear'].kind.rate(64):+.4f}) and differ from one another by "
        f"{shown['Gaussian, linear'].logs[:, -1].std():.2f} nats in the end. With ReLU, which stops half of the units, "
        f"orthogonal weights change it by {text['orthogonal, ReLU']} a layer, near −½ log 2 = {-np.log(2) / 2:.4f}; a "
        f"gain of √2 leaves {text['orthogonal × √2, ReLU']}, He's Gaussian {text['Gaussian × √2 (He), ReLU']}."
        + _lost(results),
        isometry_verdict(exact, plain),
        condition="for linear layers; with ReLU only the bound stays 1, and a gain of √2 is needed",
        table=[
            {"stack": r.kind.name, "n": r.width, "nats per layer": float(r.rates.mean()), "95 % from": r.interval[0],
             "to": r.interval[1], "theory": r.kind.rate(r.width), "spread at the input": float(r.logs[:, -1].std()),
             "inputs lost": f"{r.lost:.1%}"}
            for r in results
        ],
        data={name: list(r.interval) for name, r in shown.items()},
    )  # fmt: skip


def _lost(results: Sequence[Depth]) -> str:
    lost = [f"{r.lost:.1%} at {r.kind.name}, n = {r.width}" for r in results if r.lost]
    return f" Left out are inputs that turn all units of a layer off: {'; '.join(lost)}." if lost else ""


def isometry_verdict(exact: float, relu: tuple[float, float], /) -> Verdict:
    """Judge by the linear stacks, where the norm must be kept, and the ReLU ones, where it should be."""
    if exact > ROUNDING:
        return Verdict.FAILS
    return Verdict.HOLDS if relu[0] <= 0 <= relu[1] else Verdict.CONDITIONALLY


def _low_rank(context: Context, depth: int, networks: int) -> Claim:
    results = [measure(low_rank(rank), 64, depth, networks, seed=context.draws) for rank in (64, 48, 32, 16, 8)]
    half = next(r for r in results if r.kind.name == "rank 32, σ = 1")
    lost = {r.kind.name: "{:+.3f} ({:+.3f} to {:+.3f})".format(r.rates.mean(), *r.interval) for r in results}
    return Claim(
        "low-rank",
        "Low-rank weights",
        "The post sets out from low-rank methods, and explains orthogonal ones instead: what a low rank does to the "
        "gradient is left open.",
        "Weights of rank r whose r singular values are all 1 have the bound of orthogonal ones, and change the norm "
        f"by {lost['rank 32, σ = 1']} nats a layer at r = 32 of n = 64 and {lost['rank 8, σ = 1']} at r = 8 (mean, 95 "
        f"% interval), as theory says: ½ψ(r/2) − ½ψ(n/2), about ½ log(r/n). After {depth} layers of rank 32 a gradient "
        f"has {np.exp(half.logs[:, -1].mean()):.0e} of its norm. "
        "The largest singular value does not see it; the others do.",
        Verdict.UNDECIDED,
        condition="no statement on low-rank weights is made that a measurement could contradict",
        table=[
            {"weights": r.kind.name, "nats per layer": float(r.rates.mean()), "95 % from": r.interval[0],
             "to": r.interval[1], "theory": r.kind.rate(64), "bound": float(r.bounds[:, -1].mean() / depth)}
            for r in results
        ],
        figures={
            "Gradient norm against layers back for linear stacks of rank r and singular values 1 (n = 64). The bound "
            "is 1 for all of them.": partial(figures.ranks, results)
        },
        data={r.kind.name: list(r.interval) for r in results},
    )  # fmt: skip


TEXT = Text(
    "well-behaved",
    "Well-behaved matrices",
    "Harshal Rudra, The Curious Case of Well-Behaved Matrices, and Persistent Orthogonality of Trained Weight "
    "Matrices, herschelle.netlify.app/blog",
    {"gaussian": _gaussian.claims, "depth": _at_initialization, "training": training_claims},
)
