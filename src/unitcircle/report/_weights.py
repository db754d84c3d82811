"""Tables of single weights: side by side, or one in detail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle._array import one_weight, to_numpy
from unitcircle.report._words import factor, words_for
from unitcircle.spectra import kreiss_constant, numerical_radius, power_norms, spectrum

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class WeightSummary:
    """The most important measurements of one weight.

    Attributes
    ----------
    name
        Name of the weight.
    n
        Number of units.
    radius, norm, smallest_singular_value
        ρ, σ₁ and σ_n.
    departure_from_normality
        Henrici's number, sqrt(‖W‖_F² − Σ|λ|²).
    eigenvector_condition
        Condition number of the eigenvector matrix; infinite where it is defective.
    numerical_radius
        max |x*Wx| over unit vectors; None if it was not requested.
    kreiss_constant
        Lower bound of max_t ‖Wᵗ‖, infinite where ρ > 1; None if it was not requested.
    asymptotics
        The behaviour of Wᵗ for large t: a member of :class:`unitcircle.Asymptotics` as text.
    steps
        The length T.
    log_norm
        log ‖W^T‖₂ (nats).
    peak_log_norm, peak_step
        The largest log ‖Wᵗ‖₂ up to T, and its t.
    words
        What the weight does to a signal, in sentences.
    """

    name: str
    n: int
    radius: float
    norm: float
    smallest_singular_value: float
    departure_from_normality: float
    eigenvector_condition: float
    numerical_radius: float | None
    kreiss_constant: float | None
    asymptotics: str
    steps: int
    log_norm: float
    peak_log_norm: float
    peak_step: int
    words: str


def weight_summary(name: str, W: Any, /, *, steps: int = 64, detail: bool = True) -> WeightSummary:
    """Measure one weight.

    Parameters
    ----------
    name
        Name of the weight.
    W
        Weight ``(n, n)`` of any array library.
    steps
        The length T (steps).
    detail
        Whether to measure the numerical radius and the Kreiss constant, which take seconds at n = 256.

    Returns
    -------
    WeightSummary
        The measurements and the sentences.

    Examples
    --------
    >>> weight_summary("W", np.diag([0.5, -0.5]), steps=8).radius
    0.5
    """
    one_weight(W)
    measured = spectrum(W)
    logs = np.asarray(power_norms(to_numpy(W), steps=steps))
    peak = int(np.argmax(logs))
    verdict = measured.asymptotics.verdict
    return WeightSummary(
        name=name,
        n=int(to_numpy(W).shape[-1]),
        radius=float(measured.radius),
        norm=float(measured.norm),
        smallest_singular_value=float(measured.smallest_singular_value),
        departure_from_normality=float(measured.departure_from_normality),
        eigenvector_condition=float(measured.eigenvector_condition),
        numerical_radius=float(numerical_radius(W)) if detail else None,
        kreiss_constant=float(kreiss_constant(W)) if detail else None,
        asymptotics=str(verdict),
        steps=steps,
        log_norm=float(logs[-1]),
        peak_log_norm=float(logs[peak]),
        peak_step=peak,
        words=words_for(W, logs, verdict),
    )


def weight_table(summaries: Sequence[WeightSummary], /) -> Table:
    """Return a table with one row per weight; a single weight is shown in detail.

    Parameters
    ----------
    summaries
        Results of :func:`weight_summary`.

    Returns
    -------
    rich.table.Table
        Readable at 80 columns.

    Examples
    --------
    >>> import numpy as np
    >>> from rich.console import Console
    >>> summaries = [weight_summary("half", 0.5 * np.eye(4)), weight_summary("ring", np.eye(4)[[1, 2, 3, 0]])]
    >>> Console(width=80).print(weight_table(summaries))  # doctest: +ELLIPSIS
    <BLANKLINE>
     weight ...radius ...
    """
    from rich import box
    from rich.table import Table

    if len(summaries) == 1:
        return _detail(summaries[0])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    table.add_column("weight", overflow="fold", max_width=19)
    for heading in ("radius", "norm", "departure", f"‖W^{summaries[0].steps}‖"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what it does to a signal")
    for row in summaries:
        table.add_row(
            row.name,
            f"{row.radius:.3f}",
            f"{row.norm:.3f}",
            f"{row.departure_from_normality:.2f}",
            factor(row.log_norm).removeprefix("×"),
            row.words,
        )
    return table


def _detail(row: WeightSummary) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False, title=row.name, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in (
        ("units n", f"{row.n}"),
        ("spectral radius ρ", f"{row.radius:.6g}"),
        ("spectral norm σ₁", f"{row.norm:.6g}"),
        ("smallest singular value", f"{row.smallest_singular_value:.6g}"),
        ("departure from normality", f"{row.departure_from_normality:.6g}"),
        ("eigenvector condition", f"{row.eigenvector_condition:.3g}"),
        ("numerical radius", f"{row.numerical_radius:.6g}"),
        ("Kreiss constant", f"{row.kreiss_constant:.4g}"),
        ("asymptotics of Wᵗ", row.asymptotics),
        (f"‖W^{row.steps}‖₂", factor(row.log_norm).removeprefix("×")),
        ("largest ‖Wᵗ‖₂", f"{factor(row.peak_log_norm).removeprefix('×')} at t = {row.peak_step}"),
        ("in words", row.words),
    ):
        table.add_row(label, value)
    return table
