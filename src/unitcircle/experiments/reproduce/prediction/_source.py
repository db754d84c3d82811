"""The product's own bet: that a diagnosis at initialization says something about training."""

from __future__ import annotations

__all__ = ["SOURCE", "claims"]

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from unitcircle.experiments.reproduce._claim import Claim, Source, Verdict
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.reproduce.prediction import _figures as figures
from unitcircle.experiments.reproduce.prediction._alarms import rows as alarm_rows
from unitcircle.experiments.reproduce.prediction._newcomers import newcomers
from unitcircle.experiments.reproduce.prediction._points import DIAGNOSTICS, points, records
from unitcircle.experiments.reproduce.prediction._ruling import LEVEL, ruling
from unitcircle.experiments.reproduce.prediction._screen import Screen, screen
from unitcircle.experiments.reproduce.prediction._setting import Setting, settings
from unitcircle.experiments.reproduce.prediction._within import within
from unitcircle.experiments.studies import Study

FEWEST_KINDS = 3
MATERIAL = 0.2
"""Difference of mean places that would matter to who reads a finding: a fifth of the ranking."""
QUICK = ("digits", "tomita(grammar=4)", "adding", "mackey_glass")
"""Tasks of the shipped study that a quick run has time for."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Correlate what is measured before training with what comes out, over all studies that there are.

    Parameters
    ----------
    context
        Whose folders of records are looked at; where none are given, the shipped study ``prediction`` is run, or a part
        of it, and every study of this seed and effort is looked at.

    Yields
    ------
    Claim
        One after the other.
    """
    if not context.records:
        context.study(context.seeded(_study(context)))
    found = settings(points(records(context.records or (context.studies,))))
    scored, timed = (screen(found, outcome, seed=context.seed) for outcome in ("score", "speed"))
    yield _in_sample("score", "Final score", scored)
    yield _in_sample("steps", "Steps to the threshold", timed)
    yield _transfer(scored, timed)
    yield _newcomers(scored, timed)
    yield _seeds(found, context.seed)
    yield _findings(found, context.seed)


def _study(context: Context) -> Study:
    """Return the shipped study, or, for a quick run, one seed at one learning rate of what is quick in it."""
    shipped = Study.load("prediction")
    if context.full:
        return shipped
    quick = [
        replace(e, learning_rates=e.learning_rates[-1:])
        for e in shipped.experiments
        if e.cells == ("tanh",) and any(part in e.task for part in QUICK)
    ]
    return replace(shipped, name="prediction-quick", experiments=tuple(quick), seeds=1)


def _rests_on(found: Sequence[Setting]) -> str:
    gathered = [point for setting in found for point in setting.points]
    runs = sum(len(point.seeds) for point in gathered)
    initializers = {point.initializer for point in gathered}
    families = {point.family for point in gathered}
    kinds = {setting.kind for setting in found}
    return (
        f"{len(found)} settings ({len(kinds)} kinds of task), {len(initializers)} initializers ({len(families)} "
        f"families), {runs:,} runs"
    )


def _ceiling(found: Sequence[Setting]) -> str:
    """Say how well the seeds agree, and what that leaves to be explained (Spearman and Brown)."""
    known = [(value, seeds) for value, seeds in (setting.agreement() for setting in found) if not math.isnan(value)]
    if not known:
        return "One seed an initializer: how much of its rank is luck cannot be told."
    alike = float(np.mean([value for value, _ in known]))
    whole = [max(0.0, seeds * value / (1 + (seeds - 1) * value)) for value, seeds in known if value > -1 / seeds]
    most = math.sqrt(float(np.mean(whole))) if whole else 0.0
    return (
        f"Two seeds rank the initializers of a setting alike with ρ = {alike:.2f} on average, so that nothing known "
        f"before training could correlate with the mean over the seeds by more than about {most:.2f}."
    )


def _p(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")


def _in_sample(name: str, title: str, screened: Screen) -> Claim:
    """Return the claim on the mean correlations over kinds of task, ruled by the largest and all intervals."""
    if len(screened.kinds) < FEWEST_KINDS:
        return _too_few(name, title)
    means, bounds, p = screened.means()
    keys = list(DIAGNOSTICS)
    rank = [(p[d], -abs(means[d])) if not math.isnan(means[d]) else (2.0, 0.0) for d in range(len(keys))]
    order = sorted(range(len(keys)), key=rank.__getitem__)
    best = order[0]
    verdict = ruling(float(p[best]), [(low, high) for low, high in bounds.tolist()])
    parts = screened.parts()
    table = [
        {
            "diagnostic at step 0": DIAGNOSTICS[keys[d]],
            "mean ρ over tasks": float(means[d]),
            "low": float(bounds[d, 0]),
            "high": float(bounds[d, 1]),
            "p": float(p[d]),
        }
        | {part: float(values[d]) for part, values in parts.items()}
        for d in order
    ]
    ranked = "; ".join(
        f"{DIAGNOSTICS[keys[d]]} {means[d]:+.2f} [{bounds[d, 0]:+.2f}, {bounds[d, 1]:+.2f}], {_p(p[d])}"
        for d in order[:4]
    )
    sure = sum(p <= LEVEL)
    what = (
        "test score" if name == "score" else "speed (minus the median steps to the threshold, last who never got there)"
    )
    luck = _ceiling(screened.settings) if name == "score" else ""
    return Claim(
        name,
        f"{title} against the diagnosis, in sample",
        BET,
        f"{_rests_on(screened.settings)}. Spearman correlation with the {what}, mean over kinds of task: {ranked}. "
        f"{sure} of {len(keys)} diagnostics are better than chance (families of initializers exchanged, corrected for "
        f"the choice); the intervals, from a bootstrap over families, hold all together with 95 %. {luck} What a "
        "diagnostic is worth where it was not chosen is the matter of the next claims.".replace("  ", " "),
        verdict,
        condition=_reason(verdict),
        table=table,
        figures={
            "Spearman's ρ of each diagnostic before training with the result after it, below it the 95 % interval "
            "(bootstrap over families); bold: it excludes 0. Last column: mean over kinds of task.": partial(
                figures.heat_map, screened
            ),
            f"The diagnostic that is farthest from chance, {DIAGNOSTICS[keys[best]]}: ranks within each setting, each "
            "point an initializer.": partial(figures.scatter, screened.settings, keys[best], screened.outcome),
        },
        data={
            "settings": [s.name for s in screened.settings],
            "diagnostics": keys,
            "correlations": screened.values.tolist(),
            "intervals": screened.bounds().tolist(),
        },
    )


def _too_few(name: str, title: str) -> Claim:
    return Claim(
        name,
        title,
        BET,
        "The records hold fewer than three kinds of task in which eight initializers of five families were compared.",
        Verdict.UNDECIDED,
        condition="too few tasks are there; unitcircle study run prediction, then --records with its folder",
    )


def _reason(verdict: Verdict) -> str:
    if verdict is Verdict.CONDITIONALLY:
        return "as screening, never as prediction: initializers are sorted better than by chance, one is not foretold"
    if verdict is Verdict.UNDECIDED:
        return "it is not better than chance by these runs, and an interval does not exclude prediction"
    return ""


def _transfer(scored: Screen, timed: Screen) -> Claim:
    """Return the claim on the diagnostic chosen in other kinds of task, ruled by what it is worth for the score."""
    title = "In a task that was not looked at"
    if len(scored.kinds) < FEWEST_KINDS:
        return _too_few("transfer", title)
    table: list[dict[str, Any]] = []
    said: list[str] = []
    judged: list[tuple[float, tuple[float, float]]] = []
    for outcome, screened in (("score", scored), ("steps", timed)):
        if len(screened.kinds) < FEWEST_KINDS:
            continue
        names, worth, ends, p, luck = screened.chosen()
        judged.append((p, ends))
        said.append(
            f"{outcome}: {np.nanmean(worth):+.2f} [{ends[0]:+.2f}, {ends[1]:+.2f}] on average, {luck:+.2f} "
            f"by chance ({_p(p)}), {np.nanmin(worth):+.2f} at worst"
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
    p, ends = judged[0]
    verdict = ruling(p, [ends])
    return Claim(
        "transfer",
        title,
        BET,
        "The diagnostic that is best in all other kinds of task, with the sign it has there, is worth here, by "
        f"{'; by '.join(said)}. Signs and choices are learned anew in every resample and every exchange of families: "
        "the initializers are the same in all tasks, so that chance gives more than 0, and only p says what is better. "
        "A mean over tasks of our choice: no interval covers another.",
        verdict,
        condition=_reason(verdict),
        table=table,
        figures={
            "Score. Spearman's ρ of each diagnostic in each kind of task (dots) with the sign it has in the other "
            "kinds; mean and its 95 % interval. Last line: the diagnostic that is best in the others.": partial(
                figures.transfer, scored
            )
        },
        data={"p": p, "interval": list(ends)},
    )


def _newcomers(scored: Screen, timed: Screen) -> Claim:
    """Return the claim on the linear predictor, ruled by what it is worth for the score."""
    name, title = "families", "For a kind of initializer, and in a task, that were not looked at"
    if len(scored.kinds) < FEWEST_KINDS:
        return _too_few(name, title)
    table: list[dict[str, Any]] = []
    said: list[str] = []
    judged: list[tuple[float, tuple[float, float]]] = []
    for outcome, screened in (("score", scored), ("steps", timed)):
        if len(screened.kinds) < FEWEST_KINDS:
            continue
        found = newcomers(screened)
        judged.append((found.p, (found.low, found.high)))
        said.append(
            f"{outcome}: {np.nanmean(found.values):+.2f} [{found.low:+.2f}, {found.high:+.2f}] on average "
            f"({_p(found.p)}), {np.nanmin(found.values):+.2f} at worst, against "
            f"{np.nanmean(found.remembered):+.2f} for memory"
        )
        table += [
            {
                "outcome": outcome,
                "kind of task": kind,
                "diagnosis, ρ here": float(value),
                "memory of the other tasks, ρ here": float(memory),
            }
            for kind, value, memory in zip(screened.kinds, found.values, found.remembered, strict=True)
        ]
    p, ends = judged[0]
    verdict = ruling(p, [ends])
    return Claim(
        name,
        title,
        BET,
        "A linear predictor of the rank from the ranks of all diagnostics, fitted on other kinds of task and other "
        f"families of initializers, is worth, by {'; by '.join(said)}. Memory is the mean rank that the same "
        "initializer reached in the other kinds of task: who has that needs no diagnosis, and who has a new "
        "initializer lacks it.",
        verdict,
        condition=_reason(verdict),
        table=table,
        data={"p": p, "interval": list(ends)},
    )


def _seeds(found: Sequence[Setting], seed: int) -> Claim:
    """Return the claim on the seeds of one initializer, ruled by the largest correlation and all intervals."""
    pooled = within(found, seed=seed)
    if not pooled.runs or np.isnan(pooled.values).all():
        few = "no initializer has two seeds with different scores"
        return Claim("seeds", SEEDS, BET, "Nothing to correlate.", Verdict.UNDECIDED, condition=few)
    titles = list(DIAGNOSTICS.values())
    order = sorted(range(len(titles)), key=lambda d: -abs(np.nan_to_num(pooled.values[d])))
    table = [
        {
            "diagnostic at step 0": titles[d],
            "ρ among seeds": float(pooled.values[d]),
            "low": float(pooled.bounds[d, 0]),
            "high": float(pooled.bounds[d, 1]),
            "p": float(pooled.p[d]),
        }
        for d in order
    ]
    best = int(np.nanargmin(pooled.p))
    value, p = float(pooled.values[best]), float(pooled.p[best])
    verdict = ruling(p, [(low, high) for low, high in pooled.bounds.tolist()])
    return Claim(
        "seeds",
        SEEDS,
        BET,
        f"Ranks of diagnosis and score among the seeds of one initializer in one setting, pooled over {pooled.runs:,} "
        f"runs of {len(found)} settings. The correlation farthest from chance is {value:+.2f} "
        f"[{pooled.bounds[best, 0]:+.2f}, {pooled.bounds[best, 1]:+.2f}] ({titles[best]}), {_p(p)} after the choice of "
        f"{len(titles)} (seeds exchanged, those of all initializers of a task alike). It leaves {1 - value**2:.1%} of "
        "the variance of the ranks open.",
        verdict,
        condition=_reason(verdict),
        table=table,
    )


# An alarm is borne out if alarmed runs stand lower than others, p at most .05 after correction for the number of
# alarms; it is against us if they stand higher so. HOLDS: all that are raised are borne out. CONDITIONALLY: some are,
# none is against. FAILS: one is against, or none is borne out and every interval excludes that they stand a fifth of
# the ranking lower. Else UNDECIDED.
def _findings(found: Sequence[Setting], seed: int) -> Claim:
    table = alarm_rows([s for s in found if not s.all_solve and not s.none_begins], seed=seed)
    told = [row for row in table if row["alarmed"]]
    borne = [row["finding"] for row in told if row["p"] <= LEVEL and row["difference"] < 0]
    against = [row["finding"] for row in told if row["p"] <= LEVEL and row["difference"] > 0]
    silent = [row["finding"] for row in table if not row["alarmed"]]
    open_ = [row["finding"] for row in told if row["finding"] not in {*borne, *against}]
    said = "; ".join(
        f"{row['finding']}: {row['alarmed']} of {row['runs']:,} runs ({row['families alarmed']} families), place "
        f"{row['place if alarmed']:.2f} against {row['place if not']:.2f} ({_p(row['p'])}), near the baseline "
        f"{row['stuck if alarmed']:.0%} against {row['stuck if not']:.0%}"
        for row in told
    )
    if against or (told and not borne and all(row["low"] > -MATERIAL for row in told)):
        verdict = Verdict.FAILS
    elif borne:
        verdict = Verdict.CONDITIONALLY if open_ else Verdict.HOLDS
    else:
        verdict = Verdict.UNDECIDED
    return Claim(
        "findings",
        "What it means for the thresholds of the findings",
        "A finding UC2xx, raised on an untrained model, warns of a run that will do worse than others.",
        "Place of a run's score among all runs of its setting (0 worst, 1 best), with and without the finding at step "
        f"0, and share of runs that go less than a tenth of the way from the baseline to the threshold. {said}. Borne "
        f"out: {', '.join(borne) or 'none'}; against: {', '.join(against) or 'none'}; cannot be told: "
        f"{', '.join(open_) or 'none'}; never raised here: {', '.join(silent) or 'none'}. A threshold that is borne "
        "out stays an alarm, not a forecast: it is about families of initializers. What is not borne out is kept for "
        "what it measures, and its text must not promise more.",
        verdict,
        condition={
            Verdict.CONDITIONALLY: f"for {', '.join(borne)}",
            Verdict.UNDECIDED: "no finding separates the runs better than chance, and not every interval is narrow",
        }.get(verdict, ""),
        table=table,
        figures={
            "Mean place of the runs with and without each finding, and the difference with its interval (95 % for all "
            "findings together).": partial(figures.alarms, table)
        }
        if told
        else {},
    )


SEEDS = "One seed against another"
BET = "The product's own bet: what is measured on an untrained network says how well it will train."
SOURCE = Source(
    "prediction",
    "Does a diagnosis at initialization predict training?",
    "unitcircle's own bet, not a published claim: over the records of studies",
    claims,
)
