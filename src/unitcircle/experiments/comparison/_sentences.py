"""Sentences that state the results of a comparison."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from unitcircle.experiments.comparison._numbers import Numbers
from unitcircle.experiments.comparison._result import Comparison, Group, Row, Standing

LISTED = 24
"""Initializers that a sentence lists."""


def study_sentences(group: Group, comparison: Comparison, /) -> list[str]:
    """Describe the result of a group: the first row, the rows better or worse than the reference, and the undecided.

    Parameters
    ----------
    group
        One of the comparison's groups.
    comparison
        The comparison.

    Returns
    -------
    list of str
        Sentences, the result first and the limitations last.

    Examples
    --------
    Of the comparison in the example of :func:`compare`:

    >>> for sentence in study_sentences(comparison.groups[0], comparison)[:2]:
    ...     print(sentence)
    First: orthogonal, mean 0.113 [0.111, 0.114]. Every other one is worse by the same test.
    Better than default: orthogonal by −0.050 [−0.050, −0.050].
    """
    write = Numbers(group)
    reference = comparison.reference
    lines = _first(group, write)
    for verdict, opening in ((Standing.BETTER, "Better than"), (Standing.WORSE, "Worse than")):
        rows = [row for row in group.rows if row.verdict is verdict]
        if rows:
            lines.append(f"{opening} {reference}: {_list(rows, write, group)}.")
    undecided = [row for row in group.rows if row.verdict is Standing.UNDECIDED and row.seeds]
    if undecided:
        lines.append(f"Not significantly different from {reference}: {_list(undecided, write, group)}.")
    lines += _noise(group, comparison, write)
    if group.shares:
        shares = sorted(group.shares.items(), key=lambda item: -item[1])
        parts = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)
        lines.append(f"Variance of the validation scores while tuning: {parts}.")
    return lines + _reservations(group, comparison, write)


def study_answer(comparison: Comparison, /) -> tuple[str, str]:
    """Answer whether an initializer is better than the reference.

    Parameters
    ----------
    comparison
        The comparison.

    Returns
    -------
    verdict : str
        ``"yes"``, ``"no"``, or ``"unknown"`` while no run can be compared.
    sentence : str
        The answer in words, the first line of every report.
    """
    head = f"Is an initializer better than {comparison.reference}?"
    count = len(comparison.groups)
    tested = [
        row for group in comparison.groups for row in group.rows
        if row.seeds and row.verdict not in {Standing.REFERENCE, Standing.NOISE}
    ]  # fmt: skip
    if not tested:
        return "unknown", f"{head} cannot tell: no run of another one has ended"
    better = [row.label for row in tested if row.verdict is Standing.BETTER and not row.within_noise]
    worse = [row.label for row in tested if row.verdict is Standing.WORSE and not row.within_noise]
    words = f"yes: {_counted(better, count)}" if better else "no"
    left = len(tested) - len(better) - len(worse)
    words += f"; worse: {_counted(worse, count)}" if worse else ""
    words += f"; cannot tell: {left} of {len(tested)} comparisons" if left else ""
    return ("yes" if better else "no"), f"{head} {words}{' (so far)' if comparison.missing else ''}"


def _counted(labels: Sequence[str], groups: int) -> str:
    """Return labels, with the number of groups where there are several."""
    counts = Counter(labels).most_common()
    return ", ".join(f"{label} in {count} of {groups}" if groups > 1 else label for label, count in counts)


def _first(group: Group, write: Numbers) -> list[str]:
    first = next((row for row in group.rows if row.verdict is not Standing.NOISE), None)
    if first is None or not first.seeds:
        return ["No reported run has ended yet."]
    if group.rank_by == "steps":
        reached = "half of its runs or more never reach the threshold"
        about = reached if math.isinf(first.median_steps) else f"median {write.steps(first.median_steps)} steps"
        about = f"{about} {write.interval(first.steps_interval, write.steps)}"
    else:
        about = f"mean {write.score(first.mean)} {write.interval(first.interval, write.score)}"
    line = f"First: {first.label}, {about.strip()}."
    if group.not_told_from_first:
        return [f"{line} Not significantly different from it: {_folded(group.not_told_from_first, ', ')}."]
    others = [row for row in group.rows if row.label != first.label and row.verdict is not Standing.NOISE]
    if not any(row.seeds for row in others):
        return [line]
    which = "one" if all(row.seeds for row in others) else "one that has runs"
    return [f"{line} Every other {which} is worse by the same test."]


def _list(rows: Sequence[Row], write: Numbers, group: Group) -> str:
    return _folded([_difference_text(row, write, group) for row in rows], "; ")


def _folded(parts: Sequence[str], separator: str) -> str:
    """Return the first of many parts, and the number of the others."""
    left = len(parts) - LISTED
    return separator.join([*parts[:LISTED], f"{left} more, in the table"] if left > 1 else parts)


def _difference_text(row: Row, write: Numbers, group: Group) -> str:
    if group.rank_by == "score":
        return f"{row.label} by {write.difference(row)} {write.difference_interval(row)}".strip()
    # The ratio to an unknown number of steps is not printed.
    if row.difference == 0:
        return f"{row.label}, which reaches the threshold where the reference never does"
    if math.isinf(row.difference):
        return f"{row.label}, which never reaches the threshold where the reference does"
    return f"{row.label} takes {write.difference(row)} the steps {write.difference_interval(row)}".strip()


def _noise(group: Group, comparison: Comparison, write: Numbers) -> list[str]:
    noise = group.row(Standing.NOISE)
    if noise is None or math.isnan(noise.difference):
        return []
    verb = "takes" if group.rank_by == "steps" else "differs from itself by"
    unit = " the steps" if group.rank_by == "steps" else ""
    about = f"{write.difference(noise)}{unit} {write.difference_interval(noise)}".strip()
    lines = [f"Noise floor: {comparison.reference} with other draws {verb} {about}."]
    if noise.p < 1 - comparison.confidence:
        share = f"{100 * (1 - comparison.confidence):.3g} %"
        lines[0] += f" p = {write.p(noise.p)}: by chance this happens in {share} of groups; doubt the verdicts."
    within = [row.label for row in group.rows if row.within_noise and row.verdict in {Standing.BETTER, Standing.WORSE}]
    if within:
        lines.append(f"Significant, but no larger than the noise floor: {', '.join(within)}.")
    return lines


def _reservations(group: Group, comparison: Comparison, write: Numbers) -> list[str]:
    lines: list[str] = []
    if 0 < sum(len(row.seeds) for row in group.rows) == sum(row.untrained for row in group.rows):
        lines.append(
            "No run beat its untrained self: the best validation score of each is that before training, so nothing "
            "here compares trainings. Train for more steps, evaluate more often, or try other learning rates."
        )
    tested = [row for row in group.rows if row.verdict not in {Standing.REFERENCE, Standing.NOISE} and row.seeds]
    if tested:
        pairs = max(len(row.seeds) for row in tested)
        least = min(1.0, len(tested) * 2.0 ** (1 - pairs))
        if least >= 1 - comparison.confidence:
            lines.append(
                f"Too few seeds for a verdict: with {pairs} pair{'s' * (pairs != 1)} and {len(tested)} "
                f"comparison{'s' * (len(tested) != 1)} no first p-value can be below {least:.3g}."
            )
    diverged = [
        f"{row.label} {row.diverged} of {len(row.seeds)}{_overflows(row)}" for row in group.rows if row.diverged
    ]
    if diverged:
        guess = "" if math.isnan(group.baseline) else f"the baseline, {write.score(group.baseline)}, or "
        worse = " where that is worse" if guess else ""
        lines.append(
            f"Diverged, counted as {guess}the worst score seen{worse}, and as unsolved: {', '.join(diverged)}."
        )
    failed = [f"{row.label} {row.failed}" for row in group.rows if row.failed]
    if failed:
        lines.append(f"Failed without a result, their pairs left out: {', '.join(failed)}.")
    waiting = [row.label for row in group.rows if math.isnan(row.learning_rate)]
    if waiting:
        lines.append(f"Learning rate not chosen yet: {', '.join(waiting)}.")
    missing = [f"{row.label} {row.missing}" for row in group.rows if row.missing and row.label not in waiting]
    if missing:
        lines.append(f"Runs still missing: {', '.join(missing)}.")
    edge = [row.label for row in group.rows if row.at_edge]
    if edge:
        lines.append(f"Best learning rate at the edge of the grid; a wider one may change it: {', '.join(edge)}.")
    return lines


def _overflows(row: Row) -> str:
    """Return what overflowed in the diverged runs of a row, in brackets, without the steps; nothing if unknown."""
    counts = Counter(message.partition(" at step ")[0] for message in row.overflows if message)
    parts = [what if count == row.diverged else f"{what} {count} times" for what, count in counts.most_common()]
    return f" ({', '.join(parts)})" if parts else ""
