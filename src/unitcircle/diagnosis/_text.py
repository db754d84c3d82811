"""A diagnosis in the terminal: the answer, measurements, findings, one remedy, coverage."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from unitcircle.checkpoints import Coverage
from unitcircle.diagnosis._answer import Answer
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._head_memory import head_memory
from unitcircle.diagnosis._measurements import LEGEND, MOST_LAYERS, MeasurementsTable, distance_from_carrying, fate
from unitcircle.diagnosis._remedy import Remedy
from unitcircle.diagnosis._trial import Trial, Trials

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

COLORS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
WIDTH = 80
MOST_PLACES = 12
"""Places of one finding in the terminal; beyond, the rest is a line that says where it is."""


class DiagnosisData(Protocol):
    """The data of a diagnosis that text and page show."""

    @property
    def subject(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def examination(self) -> Examination: ...
    @property
    def findings(self) -> tuple[Finding, ...]: ...
    @property
    def coverage(self) -> Coverage | None: ...
    @property
    def layers(self) -> Sequence[LayerExamination]: ...
    @property
    def answer(self) -> Answer: ...
    @property
    def remedy(self) -> Remedy | None: ...


def diagnosis_text(diagnosis: DiagnosisData, /) -> str:
    """Return a diagnosis as plain text of 80 columns.

    Returns
    -------
    str
        The text, its lines without blanks at their ends.

    Examples
    --------
    >>> import unitcircle as uc
    >>> layer = uc.recurrence.from_torch(0.5 * np.eye(4), cell="rnn_tanh")
    >>> print(diagnosis_text(uc.diagnose([layer], steps=20)).splitlines()[0])
    rnn_tanh: carries a signal over 20 steps? no: 1/1000 is left after 10 steps
    """
    from rich.console import Console

    console = Console(width=WIDTH, no_color=True, highlight=False, emoji=False, markup=False)
    with console.capture() as capture:
        console.print(diagnosis_view(diagnosis))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def diagnosis_view(diagnosis: DiagnosisData, /) -> Group:
    """Return a diagnosis to print on a rich console: headline, table, findings, coverage.

    Returns
    -------
    rich.console.Group
        Readable from 60 columns on.

    Examples
    --------
    >>> import numpy as np
    >>> from rich.console import Console
    >>> from unitcircle.diagnosis import diagnose
    >>> diagnosis = diagnose({"weight_hh_l0": 0.5 * np.eye(4), "weight_ih_l0": np.eye(4)}, steps=50)
    >>> Console(width=80).print(diagnosis_view(diagnosis))  # doctest: +ELLIPSIS
    rnn_tanh: carries a signal over 50 steps? no: 1/1000 is left after 7 steps
    ...
    """
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(diagnosis.answer.sentence, style="bold"), Text(subject(diagnosis))]
    parts += [Text(f"unread: {text}", style="yellow") for text in _unread(diagnosis)]
    if diagnosis.layers or diagnosis.findings:
        parts.append(Text(headline(diagnosis)))
    if diagnosis.layers:
        parts.append(Text(""))
        table = MeasurementsTable(_shown(diagnosis), diagnosis.examination.steps)
        parts += [table, Text(_legend(diagnosis), style="dim"), *map(Text, memory_lines(diagnosis))]
    for group in group_findings(diagnosis.findings):
        parts += [Text(""), *_finding(group)]
    if diagnosis.examination.trials is not None:
        parts += [Text(""), *_trials(diagnosis.examination.trials, diagnosis.examination.steps)]
    if diagnosis.remedy is not None:
        parts += [Text(""), *_remedy(diagnosis.remedy)]
    if diagnosis.coverage is not None:
        # What was not read stands at the head of the report already.
        lines = "\n".join(diagnosis.coverage.lines)
        parts += [Text(""), Text(f"coverage: {lines}", style="dim")]
    return Group(*parts)


def subject(diagnosis: DiagnosisData, /) -> str:
    """Return what was diagnosed, with its format."""
    return f"{diagnosis.subject} ({diagnosis.format})" if diagnosis.format else diagnosis.subject


def headline(diagnosis: DiagnosisData, /) -> str:
    """Return the number of findings by severity, and what was judged about training."""
    counts = Counter(finding.severity for finding in diagnosis.findings)
    severities = [f"{counts[s]} {s}{'s' * (counts[s] > 1)}" for s in sorted(counts, reverse=True)]
    findings = ", ".join(severities) or "no findings"
    return f"{findings}; {training(diagnosis)}" if diagnosis.layers else findings


def training(diagnosis: DiagnosisData, /) -> str:
    """Return whether the layers were trained, and the evidence."""
    exam = diagnosis.examination
    by_state: dict[bool | None, list[LayerExamination]] = {}
    for layer in diagnosis.layers:
        by_state.setdefault(exam.trained(layer), []).append(layer)
    if len(by_state) > 1:
        words = {True: "trained", False: "as initialized", None: "not known to be trained"}
        return ", ".join(f"{len(layers)} {words[state]}" for state, layers in by_state.items())
    evidence = diagnosis.layers[0].training
    if evidence.trained is None and exam.optimizer_state:
        return "trained: the file holds the state of an optimizer"
    # The bound of a uniform law is estimated, and differs from layer to layer.
    others = len({re.sub(r"[\d.]+", "", layer.training.reason) for layer in diagnosis.layers}) > 1
    return (
        f"{evidence} ({diagnosis.layers[0].layer.label}; other layers by other evidence)" if others else str(evidence)
    )


def memory_lines(diagnosis: DiagnosisData, /) -> list[str]:
    """Return the memory of the heads of every linear recurrence, one line each, below a heading."""
    found = [(layer, head_memory(layer.layer)) for layer in diagnosis.layers]
    lines = [f"{layer.layer.label}: {memory}" for layer, memory in found if memory is not None]
    at_rest = ["", "memory at rest, in tokens until 1/e is left:", *lines] if lines else []
    on_batch = [f"{layer.layer.label}: {layer.tokens}" for layer in diagnosis.layers if layer.tokens is not None]
    return [*at_rest, "", "memory on these tokens:", *on_batch] if on_batch else at_rest


def _legend(diagnosis: DiagnosisData) -> str:
    steps = diagnosis.examination.steps
    live = next((layer.live for layer in diagnosis.layers if layer.live is not None), None)
    if live is not None:
        return (
            f"gradient: norm of the gradient at each layer's state, {steps} steps back, over {live.sequences} sequences"
        )
    driven = next((layer.driven for layer in diagnosis.layers if layer.driven is not None), None)
    lines = [LEGEND] if any(layer.spectra for layer in diagnosis.layers) else []
    if driven is not None:
        lines.append(f"state: growth of the full state's Jacobian over {steps} steps, under {driven.inputs}")
    if any(layer.layer.diagonal is not None for layer in diagnosis.layers):
        lines.append(f"slowest: |λ|^{steps} of the slowest eigenvalue")
    reasons = dict.fromkeys(layer.unmeasured for layer in diagnosis.layers if layer.unmeasured and layer.finite)
    lines += [f"not measured: {reason}" for reason in reasons]
    return "\n".join(lines) or "the dynamics were not measured"


def worst_first(diagnosis: DiagnosisData, /) -> list[LayerExamination]:
    """Return the layers by their worst finding, then what was not measured; among equals the furthest from carrying."""
    worst: dict[str, float] = {}
    for finding in diagnosis.findings:
        worst[finding.place.layer] = max(finding.severity, worst.get(finding.place.layer, 0))

    def key(exam: LayerExamination) -> tuple[float, float]:
        unknown = 0.5 * fate(exam).startswith("not")
        return -max(worst.get(exam.layer.label, 0), unknown), -distance_from_carrying(exam)

    return sorted(diagnosis.layers, key=key)


def _shown(diagnosis: DiagnosisData) -> Sequence[LayerExamination]:
    """Return the layers in their order; where the table cannot have all, the worst first."""
    return diagnosis.layers if len(diagnosis.layers) <= MOST_LAYERS else worst_first(diagnosis)


def _unread(diagnosis: DiagnosisData) -> tuple[str, ...]:
    return diagnosis.coverage.unread if diagnosis.coverage is not None else ()


def _remedy(remedy: Remedy) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    return [
        Text(f"do this: {remedy.text}", style="bold green"),
        Padding(Text(f"it remedies {', '.join(remedy.codes)}; {remedy.effect}"), (0, 0, 0, 2)),
    ]


def trial_rows(trials: Trials, /) -> list[tuple[str, ...]]:
    """Return name, gradient, typical direction, effective dimension and score of every trial, with intervals."""
    criteria = ("flow", "typical_direction", "effective_dimension", "score")
    return [(trial.name, *(_mean_and_interval(trial, name) for name in criteria)) for trial in trials.ranking]


def _mean_and_interval(trial: Trial, name: str) -> str:
    mean, (low, high) = trial.mean(name), trial.interval(name)
    if np.isnan(mean):
        return "not measured"
    return f"{mean:.2f}" + (f" ±{(high - low) / 2:.2f}" if np.isfinite(low) else "")


def trials_legend(trials: Trials, steps: int, /) -> str:
    """Return the meaning of the columns of the trials, and how trials are ranked."""
    weights = ", ".join(f"{name.replace('_', ' ')} {weight:g}" for name, weight in trials.weights.items())
    seeds = max(trial.seeds for trial in trials.ranking)
    return (
        f"tried on copies, {seeds} draws each, mean ± half of its 95 % interval. Gradient: decades by which its norm "
        f"changes over {steps} steps. Typical: decades of the median singular value of ∂h_T/∂s_0. Dimension: "
        f"participation ratio of h_T. Score: weighted mean rank, 0 to 1 ({weights}). A screening, "
        "not a prediction of training."
    )


def _trials(trials: Trials, steps: int) -> list[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("initialized with", overflow="fold", max_width=26)
    for heading in ("gradient", "typical", "dimension", "score"):
        table.add_column(heading, justify="right", no_wrap=True)
    baseline = trials.as_it_is.name
    for row in trial_rows(trials):
        table.add_row(*row, style="bold" if row[0] == baseline else "")
    return [table, Text(trials_legend(trials, steps), style="dim")]


def group_findings(findings: Sequence[Finding], /) -> list[list[Finding]]:
    """Group findings that differ only in place and message, in the order of the first of each group."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.severity, finding.why, finding.remedy), []).append(finding)
    return list(groups.values())


def _finding(group: Sequence[Finding]) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    first = group[0]
    head = Text()
    head.append(f"{first.code} {first.severity}", style=COLORS[first.severity])
    head.append(f"  {first.name}", style="bold")
    shown = group if len(group) <= MOST_PLACES + 1 else group[:MOST_PLACES]
    lines = [Text.assemble((str(finding.place), "bold"), f": {finding.message}") for finding in shown]
    if left := len(group) - len(shown):
        lines.append(Text(f"and at {left} more places: --html and --json have all"))
    lines.append(Text(f"why: {first.why}"))
    if not first.action:  # what an initialization remedies is merged into one line at the end
        lines.append(Text(f"fix: {first.remedy}", style="green"))
    return [head, *(Padding(line, (0, 0, 0, 2)) for line in lines)]
