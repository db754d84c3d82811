"""Inputs, biases and activations: where eigenvalues no longer decide alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unitcircle.initializers import parse
from unitcircle.recurrence import activation
from unitcircle.report import CYCLE
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.orthogonal._powers import LAWS, STEPS, WORDS

ACTIVATIONS = ("linear", "tanh", "relu", "sigmoid")
UNITS = 64
FACTOR = 10.0
"""A gradient that has changed by less than this factor over all steps is called kept."""
DRIVES = ("no input", "inputs", "inputs and biases")


@dataclass(frozen=True, eq=False)
class Norms:
    """Logarithms of norms over time, for many draws."""

    state: np.ndarray  # log(‖h_t‖/√n), (draws, T + 1)
    gradient: np.ndarray  # log(‖∂h_T/∂h_{T−k}‖_F/√n) by lag k, (draws, T + 1)


def unroll(W: np.ndarray, name: str, inputs: np.ndarray, biases: np.ndarray, start: np.ndarray, /) -> Norms:
    r"""Return the norms of states and gradients of a recurrence.

    .. math:: h_t = φ(W h_{t-1} + x_t + b), \qquad ∂h_T/∂h_{T-k} = D_T W \cdots D_{T-k+1} W, \qquad D_t = φ'(z_t)

    Parameters
    ----------
    W
        ``(draws, n, n)``.
    name
        Of φ.
    inputs
        ``(draws, T, n)``, what the input weights make of the inputs.
    biases, start
        ``(draws, n)``; b and h_0.

    Returns
    -------
    Norms
        By time and by lag.
    """
    phi, n = activation(name), W.shape[-1]
    h, states, slopes = start, [start], []
    for x in np.moveaxis(inputs, 1, 0):
        z = np.einsum("dij,dj->di", W, h) + x + biases
        h = phi.value(z)
        states.append(h)
        slopes.append(phi.slope(z))
    J = np.broadcast_to(np.eye(n), W.shape)
    jacobians = [_log_norm(J, (1, 2))]
    for slope in reversed(slopes):
        J = (J * slope[:, None, :]) @ W
        jacobians.append(_log_norm(J, (1, 2)))
    return Norms(np.stack([_log_norm(h, (1,)) for h in states], 1), np.stack(jacobians, 1))


def _log_norm(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.sqrt((x**2).sum(axes) / x.shape[-1]))


def measure(draws: int, seed: int, /) -> dict[tuple[str, str, str], Norms]:
    """Return the norms by drive, activation and law; all laws meet the same inputs, biases and starts."""
    rng = np.random.default_rng(seed)
    inputs, biases = rng.standard_normal((draws, STEPS, UNITS)), rng.standard_normal((draws, UNITS))
    start = rng.standard_normal((draws, UNITS))
    on = {"no input": (0, 0), "inputs": (1, 0), "inputs and biases": (1, 1)}
    weights = {law: parse(text).sample(UNITS, rng=rng, size=draws) for law, text in LAWS.items()}
    return {
        (drive, name, law): unroll(W, name, on[drive][0] * inputs, on[drive][1] * biases, start)
        for drive in DRIVES
        for name in ACTIVATIONS
        for law, W in weights.items()
    }


def fate(change: float, /) -> str:
    """Return what a change of log-norm over all steps is called."""
    if abs(change) < np.log(FACTOR):
        return "keeps"
    return "explodes" if change > 0 else "vanishes"


def claim(context: Context, /) -> Claim:
    """Measure states and gradients of five laws, four activations and three kinds of drive."""
    draws = context.pick(16, 100)
    measured = measure(draws, context.draws)
    foretold = {law: _change(measured["no input", "linear", law]) for law in LAWS}
    rows = [_row(measured, name, law) for name in ACTIVATIONS for law in LAWS]
    agree = {
        name: sum(fate(_change(measured[drive, name, law])) == fate(foretold[law]) for drive in DRIVES for law in LAWS)
        for name in ACTIVATIONS
    }
    cells = len(DRIVES) * len(LAWS)
    nonlinear = sum(agree[name] for name in ACTIVATIONS[1:])
    complicated = agree["linear"] == cells and nonlinear < 3 * cells
    return Claim(
        "activations",
        "With inputs, biases and activations",
        "With inputs, biases and activation functions the story becomes far more complicated.",
        f"n = {UNITS}, {STEPS} steps, {draws} draws, inputs and biases N(0, 1) a unit. Foretold from the linear system "
        f"without input (the gradient is kept within a factor of {FACTOR:g}, vanishes, or explodes), the fate of the "
        f"gradient is right in {agree['linear']} of {cells} linear settings, {agree['tanh']} of {cells} with tanh, "
        f"{agree['relu']} with ReLU and {agree['sigmoid']} with the sigmoid. {_sentences(measured)}",
        Verdict.HOLDS if complicated else Verdict.FAILS,
        rows,
        {
            "No input, no bias: state over time and gradient over lag (median over draws; each divided by √n)":
                partial(_figure, measured, "no input"),
            "With inputs and biases: the same weights": partial(_figure, measured, "inputs and biases"),
        },
        {"agree": agree, "settings": cells},
    )  # fmt: skip


def _change(norms: Norms) -> float:
    """Return the median change of the gradient's log-norm over all steps."""
    return float(_median(norms.gradient[:, -1]))


def _median(logs: np.ndarray) -> np.ndarray:
    """Return the upper median over the draws, which is one of them: a ReLU may die, and its logarithm is −∞."""
    return np.sort(logs, 0)[len(logs) // 2]


def _row(measured: Mapping[tuple[str, str, str], Norms], name: str, law: str) -> dict[str, Any]:
    row: dict[str, Any] = {"activation": name, "weight": law}
    for drive in DRIVES:
        decades = measured[drive, name, law].gradient[:, -1] / np.log(10)
        low, middle, high = np.quantile(decades, (0.1, 0.5, 0.9), method="nearest")
        row[f"log₁₀ gradient, {drive}"] = f"{middle:.1f} [{low:.1f}, {high:.1f}]"
    state = measured["inputs and biases", name, law].state[:, -1]
    return row | {"‖h₆₄‖/√n, inputs and biases": float(np.exp(_median(state)))}


def _sentences(measured: Mapping[tuple[str, str, str], Norms]) -> str:
    def lost(drive: str, name: str, law: str = "orthogonal") -> float:
        return -_change(measured[drive, name, law]) / float(np.log(10))

    free, driven = DRIVES[0], DRIVES[2]
    strong = -lost(driven, "tanh", "normal")
    state = np.exp(_median(measured[driven, "linear", "orthogonal"].state[:, -1]))
    return (
        f"Inputs do not touch a linear gradient, but an orthogonal state grows to {state:.1f} a unit: what comes in "
        f"is never forgotten. tanh: the orthogonal gradient falls by {lost(free, 'tanh'):.1f} decades without input, "
        f"by {lost(driven, 'tanh'):.1f} with inputs and biases, which push units where the slope is small; the normal "
        f"weight, which explodes without the tanh, {fate(float(np.log(10)) * strong)} ({strong:+.1f} decades). ReLU: "
        f"half of the units are off, so that orthogonal loses {lost(driven, 'relu'):.1f} decades; the normal weight, "
        f"made for it, changes by {-lost(driven, 'relu', 'normal'):+.1f}. The sigmoid's slope is at most "
        f"1/4: orthogonal loses {lost(free, 'sigmoid'):.0f} decades without input and {lost(driven, 'sigmoid'):.0f} "
        "with inputs and biases."
    )


def _figure(measured: Mapping[tuple[str, str, str], Norms], drive: str) -> Figure:
    figure = Figure(figsize=(9.6, 5.0), layout="constrained")
    axes = figure.subplots(2, len(ACTIVATIONS), sharex=True)
    for column, name in enumerate(ACTIVATIONS):
        for k, law in enumerate(LAWS):
            norms = measured[drive, name, law]
            for ax, logs in zip(axes[:, column], (norms.state, norms.gradient), strict=True):
                dash = (0, (4, 3)) if law == "orthogonal" else "-"
                ax.plot(_median(logs) / np.log(10), color=CYCLE[k], ls=dash, label=WORDS[law])
        for ax in axes[:, column]:
            ax.axhline(0, color="#8A8A8A", lw=0.7, zorder=1)
        axes[0, column].set_title({"relu": "ReLU"}.get(name, name))
        axes[1, column].set_xlabel("lag k (steps)")
        axes[0, column].set_xlabel("time t (steps)")
    axes[0, 0].set_ylabel(r"$\log_{10}\,\Vert h_t\Vert/\sqrt{n}$")
    axes[1, 0].set_ylabel(r"$\log_{10}\,\Vert\partial h_T/\partial h_{T-k}\Vert_F/\sqrt{n}$")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LAWS))
    return figure
