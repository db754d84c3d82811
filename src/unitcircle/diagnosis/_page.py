"""A diagnosis as one self-contained HTML page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from unitcircle._files import written_whole
from unitcircle.diagnosis._examination import LayerExamination
from unitcircle.diagnosis._finding import Finding
from unitcircle.diagnosis._text import Diagnosed, fate, grouped, headline, subject, trial_rows, trials_legend
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
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

DRAWN_LAYERS = 24
"""Figures are drawn for so many layers; a page with more would take minutes to make and to read."""


def diagnosis_page(diagnosis: Diagnosed, path: str | os.PathLike[str], /) -> Path:
    """Write a diagnosis as one HTML page that needs no network.

    Parameters
    ----------
    diagnosis
        What to show.
    path
        Where to; written whole, then renamed.

    Returns
    -------
    pathlib.Path
        The path written.
    """
    hover: dict[str, list[str]] = {}
    parts = [f"<h1>{escape(subject(diagnosis))}</h1>", f"<p>{escape(headline(diagnosis))}</p>"]
    parts.append(f'<p class="soft">{escape(_conditions(diagnosis))}</p>')
    parts += [
        "<h2>Findings</h2>",
        *(map(_finding, grouped(diagnosis.findings)) if diagnosis.findings else ["<p>None.</p>"]),
    ]
    if diagnosis.examination.trials is not None:
        parts += ["<h2>Initializers tried</h2>", _trials(diagnosis.examination.trials, diagnosis.examination.steps)]
    if diagnosis.layers:
        parts += ["<h2>Measurements</h2>", _table(diagnosis), "<h2>Spectra</h2>"]
        for k, layer in enumerate(diagnosis.layers[:DRAWN_LAYERS]):
            parts.append(
                f"<h3>{escape(layer.layer.label)} <span class=soft>({escape(str(layer.layer.cell))})</span></h3>"
            )
            parts.append(_figure(layer, f"layer{k}", hover) if layer.finite else "<p>Not finite: nothing to draw.</p>")
        if (rest := len(diagnosis.layers) - DRAWN_LAYERS) > 0:
            parts.append(f'<p class="soft">{rest} further layers are in the table only.</p>')
    if diagnosis.coverage is not None:
        lines = "<br>".join(escape(line) for line in str(diagnosis.coverage).splitlines())
        parts += ["<h2>Coverage</h2>", f'<p class="soft">{lines}</p>']
    document = page(f"unitcircle: {diagnosis.subject}", "\n".join(parts), hover)
    with written_whole(path) as file:
        file.write(document.encode())
    return Path(path)


def _conditions(diagnosis: Diagnosed) -> str:
    live = next((layer.live for layer in diagnosis.layers if layer.live is not None), None)
    if live is not None:
        return f"measured over {diagnosis.examination.steps} steps, on a batch of {live.sequences} sequences"
    driven = next((layer.driven for layer in diagnosis.layers if layer.driven is not None), None)
    inputs = f", cells driven by {driven.inputs}" if driven else ""
    return f"judged over {diagnosis.examination.steps} steps{inputs}"


def _finding(group: Sequence[Finding]) -> str:
    first = group[0]
    places = "".join(f"<p><code>{escape(str(f.place))}</code>: {escape(f.message)}</p>" for f in group)
    return (
        f'<div class="finding {first.severity}"><p><b>{first.code} {first.severity}</b> '
        f'<b>{escape(first.name)}</b></p>{places}<p class="soft">Why: {escape(first.why)}.</p>'
        f'<p class="fix">Fix: {escape(first.remedy)}</p></div>'
    )


def _trials(trials: Trials, steps: int) -> str:
    head = '<th class="word">initialized with</th>'
    head += "".join(f"<th>{text}</th>" for text in ("gradient", "typical", "dimension", "score"))
    rows = ""
    for name, *cells in trial_rows(trials):
        rows += (
            f'<tr><td class="word name">{escape(name)}</td>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f'{table}<p class="soft">{escape(trials_legend(trials, steps))}</p>'


def _table(diagnosis: Diagnosed) -> str:
    steps = diagnosis.examination.steps
    head = "".join(f'<th class="word">{text}</th>' for text in ("layer", "cell"))
    head += "".join(f"<th>{text}</th>" for text in ("n", "gate", "ρ", "σ₁", "departure", f"‖W^{steps}‖"))
    head += f'<th class="word">over {steps} steps</th>'
    rows: list[str] = []
    for layer in diagnosis.layers:
        made = layer.layer
        cells = [
            (gate, f"{s.radius:.4g}", f"{s.norm:.4g}", f"{s.departure_from_normality:.3g}", _last(layer, gate))
            for gate, s in layer.spectra.items()
        ]
        if made.diagonal is not None:
            cells = [("λ", f"{np.abs(made.diagonal).max():.4g}", "", "", "")]
        for k, cell in enumerate(cells or [("", "", "", "", "")]):
            name = (escape(made.label), escape(str(made.cell)), str(made.hidden_size)) if k == 0 else ("", "", "")
            row = f'<td class="word name">{name[0]}</td><td class="word">{name[1]}</td><td>{name[2]}</td>'
            row += "".join(f"<td>{escape(text)}</td>" for text in cell)
            row += f'<td class="word">{escape(fate(layer)) if k == 0 else ""}</td>'
            rows.append(f'<tr class="first">{row}</tr>' if k == 0 else f"<tr>{row}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _last(layer: LayerExamination, gate: str) -> str:
    return factor(float(layer.log_norms[gate][-1])).removeprefix("×")


def _figure(layer: LayerExamination, prefix: str, hover: dict[str, list[str]]) -> str:
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
        if (curve := _measured(layer)) is not None:
            name, growth = curve
            (line,) = right.plot(np.where(np.isfinite(growth), growth, np.nan), color=COLORS["black"], lw=2.2)
            line.set_label(name)
            texts = [f"{name}: log₁₀ growth = {v:.4g} (lag {t})" for t, v in enumerate(growth) if np.isfinite(v)]
            _mark(line, f"{prefix}-driven", hover, texts)
            right.set(ylabel="log₁₀ of the norm", title=f"powers of W, and the {name}")
            right.legend(loc="best")
        svg = inline_svg(figure, label=f"spectra of {layer.layer.label}")
    return f"<figure>{svg}</figure>"


def _measured(layer: LayerExamination) -> tuple[str, np.ndarray] | None:
    """Return what was measured over the lags, in decades: the gradient of a live model, else the driven Jacobian."""
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
