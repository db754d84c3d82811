"""What a diagnosis is worth where it was not fitted: in another kind of task, for another kind of initializer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction.prediction import _figures as figures
from unitcircle_reproduction.prediction._newcomers import newcomers
from unitcircle_reproduction.prediction._ruling import BET, FEWEST_KINDS, p_text, reason, ruling, too_few
from unitcircle_reproduction.prediction._runs import DIAGNOSTICS
from unitcircle_reproduction.prediction._screen import Screen


def transfer(scored: Screen, timed: Screen) -> Claim:
    """Return the claim on the diagnostic that is chosen in other kinds of task."""
    # Ruled by :func:`ruling` of what it is worth for the score; its worth for the speed is reported.
    title = "In a task that was not looked at"
    if len(scored.kinds) < FEWEST_KINDS:
        return too_few("transfer", title)
    table: list[dict[str, Any]] = []
    sentences: list[str] = []
    tests: list[tuple[float, tuple[float, float]]] = []
    for outcome, screened in (("score", scored), ("steps", timed)):
        if len(screened.kinds) < FEWEST_KINDS:
            continue
        names, worth, ends, p, luck = screened.chosen()
        tests.append((p, ends))
        sentences.append(
            f"{outcome}: {np.nanmean(worth):+.2f} [{ends[0]:+.2f}, {ends[1]:+.2f}] on average, {luck:+.2f} "
            f"by chance ({p_text(p)}), {np.nanmin(worth):+.2f} at worst"
        )
        table += [
            {
                "outcome": outcome,
                "kind of task": kind,
                "best in the others": DIAGNOSTICS[name],
                "its ρ here": float(value),
            }
            for kind, name, value in zip(screened.kinds, names, worth, strict=True)
        ]
    p, ends = tests[0]
    verdict = ruling(p, [ends])
    return Claim(
        "transfer",
        title,
        BET,
        "The diagnostic that is best in all other kinds of task, with the sign it has there, is worth here, by "
        f"{'; by '.join(sentences)}. Signs and choices are learned anew in every resample and every exchange of "
        "families: the initializers are the same in all tasks, so that chance gives more than 0, and only p says what "
        "is better. A mean over tasks of our choice: no interval covers another.",
        verdict,
        condition=reason(verdict),
        table=table,
        figures={
            "Score. Spearman's ρ of each diagnostic in each kind of task (dots) with the sign it has in the other "
            "kinds; mean and its 95 % interval. Last line: the diagnostic that is best in the others.": partial(
                figures.transfer, scored
            )
        },
        data={"p": p, "interval": list(ends)},
    )


def newcoming(scored: Screen, timed: Screen) -> Claim:
    """Return the claim on the linear predictor fitted on other kinds of task and other families."""
    # Ruled by :func:`ruling` of what it is worth for the score; its worth for the speed is reported.
    name, title = "families", "For a kind of initializer, and in a task, that were not looked at"
    if len(scored.kinds) < FEWEST_KINDS:
        return too_few(name, title)
    table: list[dict[str, Any]] = []
    sentences: list[str] = []
    tests: list[tuple[float, tuple[float, float]]] = []
    for outcome, screened in (("score", scored), ("steps", timed)):
        if len(screened.kinds) < FEWEST_KINDS:
            continue
        fit = newcomers(screened)
        tests.append((fit.p, (fit.low, fit.high)))
        sentences.append(
            f"{outcome}: {np.nanmean(fit.values):+.2f} [{fit.low:+.2f}, {fit.high:+.2f}] on average "
            f"({p_text(fit.p)}), {np.nanmin(fit.values):+.2f} at worst, against "
            f"{np.nanmean(fit.memory):+.2f} for memory"
        )
        table += [
            {
                "outcome": outcome,
                "kind of task": kind,
                "diagnosis, ρ here": float(value),
                "memory of the other tasks, ρ here": float(memory),
            }
            for kind, value, memory in zip(screened.kinds, fit.values, fit.memory, strict=True)
        ]
    p, ends = tests[0]
    verdict = ruling(p, [ends])
    return Claim(
        name,
        title,
        BET,
        "A linear predictor of the rank from the ranks of all diagnostics, fitted on other kinds of task and other "
        f"families of initializers, is worth, by {'; by '.join(sentences)}. Memory is the mean rank that the same "
        "initializer reached in the other kinds of task: who has that needs no diagnosis, and who has a new "
        "initializer lacks it.",
        verdict,
        condition=reason(verdict),
        table=table,
        data={"p": p, "interval": list(ends)},
    )
