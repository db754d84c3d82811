"""A diagnosis as one self-contained HTML page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from unitcircle._files import written_whole
from unitcircle.diagnosis._examination import LayerExamination
from unitcircle.diagnosis._measurements import fate
from unitcircle.diagnosis._text import DiagnosisData, group_findings, headline, subject, trial_rows, trials_legend
from unitcircle.diagnosis._trial import Trials
from unitcircle.report import (
    COLORS,
    FIGURE_RC,
    factor,
    inline_svg,
    page,
    plot_eigenvalues,
    plot_power_norms,
    plot_singular_values,
    render,
    style,
    table,
)

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import SubFigure

DRAWN_LAYERS = 24
"""Figures are drawn for at most this many layers; more would take minutes to draw."""


def diagnosis_page(diagnosis: DiagnosisData, path: str | os.PathLike[str], /) -> Path:
    """Write a diagnosis as one self-contained HTML page.

    Parameters
    ----------
    diagnosis
        The diagnosis.
    path
        Where to write; the file is replaced only when it is complete.

    Returns
    -------
    pathlib.Path
        The path written.
    """
    hover: dict[str, list[str]] = {}
    drawn = diagnosis.layers[:DRAWN_LAYERS]
    trials, steps = diagnosis.examination.trials, diagnosis.examination.steps
    body = render(
        "unitcircle.diagnosis/page.html",
        subject=subject(diagnosis),
        answer=diagnosis.answer.sentence,
        headline=headline(diagnosis),
        unread=diagnosis.coverage.unread if diagnosis.coverage else (),
        remedy=diagnosis.remedy,
        conditions=_conditions(diagnosis),
        groups=group_findings(diagnosis.findings),
        places=lambda group: [(finding.place, finding.message) for finding in group],
        trials=_trials(trials) if trials else "",
        trials_legend=trials_legend(trials, steps) if trials else "",
        measurements=_table(diagnosis) if diagnosis.layers else "",
        figures=[
            (exam.layer, _figure(exam, f"layer{k}", hover) if exam.finite else "") for k, exam in enumerate(drawn)
        ],
        undrawn=len(diagnosis.layers) - len(drawn),
        coverage=diagnosis.coverage.lines if diagnosis.coverage else [],
    )
    document = page(f"unitcircle: {diagnosis.subject}", body, hover)
    with written_whole(path) as file:
        file.write(document.encode())
    return Path(path)


def _conditions(diagnosis: DiagnosisData) -> str:
    live = next((layer.live for layer in diagnosis.layers if layer.live is not None), None)
    if live is not None:
        return f"measured over {diagnosis.examination.steps} steps, on a batch of {live.sequences} sequences"
    driven = next((layer.driven for layer in diagnosis.layers if layer.driven is not None), None)
    inputs = f", cells driven by {driven.inputs}" if driven else ""
    return f"judged over {diagnosis.examination.steps} steps{inputs}"


def _trials(trials: Trials) -> Markup:
    name, *criteria = ("initialized with", "gradient", "typical", "dimension", "score")
    return table([dict(zip((name, *criteria), row, strict=True)) for row in trial_rows(trials)], names=[name])


def _table(diagnosis: DiagnosisData) -> Markup:
    steps = diagnosis.examination.steps
    over = f"over {steps} steps"
    headings = ("layer", "cell", "n", "gate", "ρ", "σ₁", "departure", f"‖W^{steps}‖", over)
    rows: list[tuple[object, ...]] = []
    first: list[int] = []
    for exam in diagnosis.layers:
        layer = exam.layer
        gates = [
            (gate, f"{s.radius:.4g}", f"{s.norm:.4g}", f"{s.departure_from_normality:.3g}", _final_norm(exam, gate))
            for gate, s in exam.spectra.items()
        ]
        if layer.diagonal is not None:
            gates = [("λ", f"{np.abs(layer.diagonal).max():.4g}", "", "", "")]
        first.append(len(rows))
        for k, gate in enumerate(gates or [("",) * 5]):
            # The columns about the whole layer are filled in its first row only.
            rows.append((layer.label, exam.kind, exam.size, *gate, fate(exam)) if k == 0 else ("",) * 3 + gate + ("",))
    cells = [dict(zip(headings, row, strict=True)) for row in rows]
    return table(cells, names=["layer"], words=["cell", over], first=first)


def _final_norm(layer: LayerExamination, gate: str) -> str:
    return factor(layer.log_norm(gate)).removeprefix("×")


def _figure(layer: LayerExamination, prefix: str, hover: dict[str, list[str]]) -> Markup:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    blocks = dict(layer.blocks)
    if layer.layer.diagonal is not None:
        blocks = {"λ": layer.layer.diagonal}
    with style(), rc_context(FIGURE_RC):
        figure = Figure(figsize=(2.7 * max(3, len(blocks)), 5.6), layout="constrained")
        top, bottom = cast("Sequence[SubFigure]", figure.subfigures(2, 1))
        planes = top.subplots(1, len(blocks), squeeze=False)[0]
        left, right = bottom.subplots(1, 2)
        for ax, (gate, block) in zip(planes, blocks.items(), strict=True):
            plot_eigenvalues(block, ax=ax, title="eigenvalues" if len(blocks) == 1 else f"gate {gate}")
            values = ax.collections[-1].get_offsets()
            _mark(ax.collections[-1], f"{prefix}-eig-{gate}", hover, [_complex(x, y) for x, y in values])
        plot_singular_values(blocks, ax=left)
        plot_power_norms(blocks, steps=layer.steps, ax=right)
        for kind, ax, unit in (("sigma", left, "σ"), ("norm", right, "log₁₀‖Wᵗ‖")):
            for gate, line in zip(blocks, ax.get_lines()[1:], strict=True):
                y = np.asarray(line.get_ydata(), dtype=float)
                texts = [
                    f"{gate}: {unit} = {v:.4g} (t = {t})" for t, v in enumerate(y) if kind == "norm" and np.isfinite(v)
                ]
                texts = texts or [f"{gate}: {unit}{k + 1} = {v:.4g}" for k, v in enumerate(y)]
                _mark(line, f"{prefix}-{kind}-{gate}", hover, texts)
        if (curve := _growth_curve(layer)) is not None:
            name, growth = curve
            (line,) = right.plot(np.where(np.isfinite(growth), growth, np.nan), color=COLORS["black"], lw=2.2)
            line.set_label(name)
            texts = [f"{name}: log₁₀ growth = {v:.4g} (lag {t})" for t, v in enumerate(growth) if np.isfinite(v)]
            _mark(line, f"{prefix}-driven", hover, texts)
            right.set(ylabel="log₁₀ of the norm", title=f"powers of W, and the {name}")
            right.legend(loc="best")
        return inline_svg(figure, label=f"spectra of {layer.layer.label}")


def _growth_curve(layer: LayerExamination) -> tuple[str, np.ndarray] | None:
    """Return name and growth by lag (decades): of the gradient of a live model, otherwise of the driven Jacobian."""
    if layer.live is not None:
        start = layer.live.start
        curve = layer.live.log_gradient
        # Lags that the loss does not reach have no gradient.
        return ("gradient", (curve - curve[start]) / np.log(10)) if start < len(curve) else None
    return None if layer.driven is None else ("driven state", layer.driven.log_growth / np.log(10))


def _mark(artist: object, gid: str, hover: dict[str, list[str]], labels: list[str]) -> None:
    artist.set_gid(gid)  # pyright: ignore[reportAttributeAccessIssue]
    hover[gid] = labels


def _complex(x: float, y: float) -> str:
    return f"λ = {x:.4g} {'−' if y < 0 else '+'} {abs(y):.4g}i,  |λ| = {np.hypot(x, y):.4g}"
