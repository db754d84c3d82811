"""A diagnosis as one self-contained HTML page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle._files import written_whole
from unitcircle.diagnosis._examination import LayerExamination
from unitcircle.diagnosis._finding import Finding
from unitcircle.diagnosis._measurements import fate
from unitcircle.diagnosis._text import (
    DiagnosisData,
    group_findings,
    headline,
    subject,
    trial_rows,
    trials_legend,
    worst_first,
)
from unitcircle.diagnosis._trial import Trials
from unitcircle.report import (
    COLORS,
    FIGURE_RC,
    factor,
    inline_svg,
    page,
    panel,
    plot_eigenvalues,
    plot_power_norms,
    plot_singular_values,
    render,
    style,
    table,
)

if TYPE_CHECKING:
    from markupsafe import Markup

DRAWN_LAYERS = 24
"""Figures are drawn for at most this many layers, the worst first; more would take minutes to draw."""
DRAWN_BYTES = 3_000_000
"""No further layer is drawn where the figures together take more than this: the page stays below 5 MB."""
DOTS = 2048
"""Eigenvalues of a gate from which they are drawn as pixels, without values on hover."""
UNFOLDED, ROWS = 3, 40
"""Layers whose figures are open, and layers in the table, when the page is opened."""
VERDICTS = {
    "error": "{} with errors",
    "warning": "{} with warnings",
    "note": "{} with notes",
    "unknown": "{} not measured",
    "good": "{} without findings",
}
"""Verdicts on a layer, the worst first, and how those of the map are counted."""


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

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.diagnosis import diagnose
    >>> diagnosis = diagnose({"weight_hh_l0": 0.5 * np.eye(4), "weight_ih_l0": np.eye(4)}, steps=50)
    >>> with TemporaryDirectory() as folder:
    ...     text = diagnosis_page(diagnosis, f"{folder}/diagnosis.html").read_text(encoding="utf-8")
    >>> diagnosis.answer.sentence in text, "<script src=" in text
    (True, False)
    """
    hover: dict[str, list[str]] = {}
    trials, steps = diagnosis.examination.trials, diagnosis.examination.steps
    addresses = {exam.layer.label: f"layer-{k}" for k, exam in enumerate(diagnosis.layers)}
    verdicts = _verdicts(diagnosis)
    by_layer = {id(exam): verdict for exam, verdict in zip(diagnosis.layers, verdicts, strict=True)}
    judged = [(exam, by_layer[id(exam)]) for exam in worst_first(diagnosis)]
    drawn = _drawn(judged, addresses, hover)
    groups = group_findings(diagnosis.findings)
    codes = [group[0].code for group in groups]
    body = render(
        "unitcircle.diagnosis/page.html",
        subject=subject(diagnosis),
        answer=diagnosis.answer.sentence,
        verdict=_color(diagnosis),
        headline=headline(diagnosis),
        unread=diagnosis.coverage.unread if diagnosis.coverage else (),
        remedy=diagnosis.remedy,
        conditions=_conditions(diagnosis),
        tiles=[
            (verdict, exam.layer.label, addresses[exam.layer.label], f"{_words(verdict)}, {fate(exam)}")
            for exam, verdict in zip(diagnosis.layers, verdicts, strict=True)
        ],
        meanings=[(v, text.format(verdicts.count(v))) for v, text in VERDICTS.items() if v in verdicts],
        groups=[(group, codes[: k + 1].count(group[0].code)) for k, group in enumerate(groups)],
        places=lambda group: [(f.place, f.message, addresses.get(f.place.layer, "")) for f in group],
        trials=_trials(trials) if trials else "",
        trials_legend=trials_legend(trials, steps) if trials else "",
        measurements=_table(judged, steps, addresses) if judged else "",
        drawn=drawn,
        unfolded=UNFOLDED,
        undrawn=len(diagnosis.layers) - len(drawn),
        coverage=diagnosis.coverage.lines if diagnosis.coverage else [],
    )
    document = page(f"unitcircle: {diagnosis.subject}", body, hover)
    with written_whole(path) as file:
        file.write(document.encode())
    return Path(path)


def _color(diagnosis: DiagnosisData) -> str:
    """Return the verdict whose colour the answer has: an error only where there is one."""
    colors = {"yes": "good", "partly": "warning", "no": "warning", "unknown": "unknown"}
    return "error" if _worst(diagnosis.findings) == "error" else colors[diagnosis.answer.verdict]


def _worst(findings: Sequence[Finding]) -> str:
    return str(max(finding.severity for finding in findings)) if findings else ""


def _verdicts(diagnosis: DiagnosisData) -> list[str]:
    by_layer: dict[str, list[Finding]] = {}
    for finding in diagnosis.findings:
        by_layer.setdefault(finding.place.layer, []).append(finding)
    return [
        _worst(by_layer.get(exam.layer.label, [])) or ("unknown" if fate(exam).startswith("not") else "good")
        for exam in diagnosis.layers
    ]


def _words(verdict: str) -> str:
    """Return a verdict as the table names it."""
    return {"unknown": "not measured", "good": "no finding"}.get(verdict, verdict)


def _drawn(
    layers: Sequence[tuple[LayerExamination, str]], addresses: Mapping[str, str], hover: dict[str, list[str]]
) -> list[tuple[LayerExamination, str, str, list[Markup]]]:
    """Draw the worst layers, as many as the page has room for."""
    drawn: list[tuple[LayerExamination, str, str, list[Markup]]] = []
    taken = 0
    for exam, verdict in layers[:DRAWN_LAYERS]:
        if taken > DRAWN_BYTES:
            break
        labels: dict[str, list[str]] = {}
        figures = _figures(exam, addresses[exam.layer.label], labels) if exam.finite else []
        taken += sum(map(len, figures)) + sum(len(text) for texts in labels.values() for text in texts)
        hover |= labels
        drawn.append((exam, verdict, _words(verdict), figures))
    return drawn


def _conditions(diagnosis: DiagnosisData) -> str:
    live = next((layer.live for layer in diagnosis.layers if layer.live is not None), None)
    if live is not None:
        return f"measured over {diagnosis.examination.steps} steps, on a batch of {live.sequences} sequences"
    driven = next((layer.driven for layer in diagnosis.layers if layer.driven is not None), None)
    inputs = f", cells driven by {driven.inputs}" if driven else ""
    return f"judged over {diagnosis.examination.steps} steps{inputs}"


def _trials(trials: Trials) -> Markup:
    name, *criteria = ("initialized with", "gradient", "typical", "dimension", "score")
    rows: list[dict[str, object]] = [dict(zip((name, *criteria), row, strict=True)) for row in trial_rows(trials)]
    return table(rows, names=[name], caption="Initializers tried")


def _table(layers: Sequence[tuple[LayerExamination, str]], steps: int, addresses: Mapping[str, str]) -> Markup:
    """Return the measurements, the worst layer first, and first the columns that decide."""
    from markupsafe import Markup

    over = f"over {steps} steps"
    power = Markup("‖W<sup>{}</sup>‖").format(steps)
    headings = ("layer", "verdict", over, "gate", "ρ", "σ₁", "departure from normality", power, "cell", "n")
    rows: list[tuple[object, ...]] = []
    first: list[int] = []
    for exam, verdict in layers:
        layer = exam.layer
        gates = [
            (gate, f"{s.radius:#.4g}", f"{s.norm:#.4g}", f"{s.departure_from_normality:#.3g}", _final_norm(exam, gate))
            for gate, s in exam.spectra.items()
        ]
        if layer.diagonal is not None:
            gates = [("λ", f"{np.abs(layer.diagonal).max():.4g}", "", "", "")]
        first.append(len(rows))
        name = Markup('<span id="{}">{}</span>').format(addresses[layer.label], layer.label)
        mark = render("unitcircle.report/mark.html", verdict=verdict, words=_words(verdict))
        for k, gate in enumerate(gates or [("",) * 5]):
            # The columns about the whole layer are filled in its first row only.
            whole = (name, mark, fate(exam)), (exam.kind, exam.size)
            before, after = whole if k == 0 else (("",) * 3, ("",) * 2)
            rows.append((*before, *gate, *after))
    cells = [dict(zip(headings, row, strict=True)) for row in rows]
    words = ["verdict", over, "cell", "gate"]
    return table(cells, names=["layer"], words=words, first=first, caption="Measurements by layer and gate", fold=ROWS)


def _final_norm(layer: LayerExamination, gate: str) -> str:
    return factor(layer.log_norm(gate)).removeprefix("×")


def _figures(layer: LayerExamination, prefix: str, hover: dict[str, list[str]]) -> list[Markup]:
    """Return the eigenvalues of every gate, the singular values and the norms of powers, a figure each."""
    from matplotlib import rc_context

    blocks: dict[str, Any] = dict(layer.spectra)
    if layer.layer.diagonal is not None:
        blocks = {"λ": layer.layer.diagonal}
    label = layer.layer.label
    figures: list[Markup] = []
    with style(), rc_context(FIGURE_RC):
        for gate, block in blocks.items():
            figure, ax = panel(2.4, 2.45)
            plot_eigenvalues(block, ax=ax, title="eigenvalues" if len(blocks) == 1 else f"gate {gate}")
            ax.locator_params(nbins=4)  # labels of large eigenvalues stay apart
            dots = ax.collections[-1]
            values = np.asarray(dots.get_offsets())
            if len(values) > DOTS:
                dots.set_rasterized(True)
            else:
                _mark(dots, f"{prefix}-eig-{gate}", hover, [_complex(x, y) for x, y in values])
            figures.append(inline_svg(figure, label=f"eigenvalues of {label}, gate {gate}"))
        (sigma, left), (norm, right) = panel(4.4, 2.75), panel(4.4, 2.75)
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
        figures.append(inline_svg(sigma, label=f"singular values of {label}"))
        figures.append(inline_svg(norm, label=f"norm of the powers of {label}"))
    return figures


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
