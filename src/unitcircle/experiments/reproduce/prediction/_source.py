"""The product's own bet: that a diagnosis at initialization says something about training."""

from __future__ import annotations

__all__ = ["SOURCE", "claims"]

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from unitcircle.experiments.reproduce._claim import Claim, Source, Verdict
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.reproduce.prediction import _figures as figures
from unitcircle.experiments.reproduce.prediction._alarms import rows as alarm_rows
from unitcircle.experiments.reproduce.prediction._correlation import rank_correlation, screening
from unitcircle.experiments.reproduce.prediction._points import DIAGNOSTICS, points, records
from unitcircle.experiments.reproduce.prediction._screen import Screen, Setting, screen, settings

FEWEST_TASKS = 3
FEWEST_SEEDS = 4


def claims(context: Context, /) -> Iterator[Claim]:
    """Correlate what is measured before training with what comes out, over all studies below the folder.

    Parameters
    ----------
    context
        Whose folder holds the records; where there are none, those of the eigen chapter are made.

    Yields
    ------
    Claim
        One after the other.
    """
    found = settings(points(records(context.folder)))
    if len({setting.task for setting in found}) < FEWEST_TASKS:
        _train_some(context)
        found = settings(points(records(context.folder)))
    scored, timed = (screen(found, outcome, seed=context.seed) for outcome in ("score", "speed"))
    yield _in_sample("score", "Final score", scored)
    yield _in_sample("speed", "Steps to the threshold", timed)
    yield _out_of_sample(scored, timed)
    yield _seeds(found, context.seed)
    yield _findings(found, context.seed)


def _train_some(context: Context) -> None:
    from unitcircle.experiments.reproduce.eigen import _studies as studies  # noqa: PLC0415  (needed seldom)

    for study in (studies.plain, studies.regression, studies.structure, studies.rectified, studies.gated):
        context.study(study(context))


def _rests_on(found: Sequence[Setting]) -> str:
    points = [point for setting in found for point in setting.points]
    runs = sum(len(point.seeds) for point in points)
    families = len({point.family for point in points})
    tasks = len({setting.task for setting in found})
    rows = f"{len(points)} initializers in them ({families} families), {runs:,} runs"
    return f"{len(found)} settings ({tasks} tasks), {rows}"


def _best(screened: Screen) -> tuple[int, np.ndarray, np.ndarray]:
    mean, bounds = screened.mean(among=len(DIAGNOSTICS))
    return int(np.argmax(np.where(np.isnan(mean), -1, np.abs(mean)))), mean, bounds


def _in_sample(outcome: str, title: str, screened: Screen) -> Claim:
    name = {"score": "score", "speed": "steps"}[outcome]
    if not screened.settings:
        nothing = "no setting below the folder has enough initializers with different results"
        return Claim(name, title, BET, "Nothing to correlate.", Verdict.UNDECIDED, condition=nothing)
    best, mean, bounds = _best(screened)
    keys = list(DIAGNOSTICS)
    table = [
        {
            "diagnostic at step 0": DIAGNOSTICS[key],
            "mean ρ over tasks": float(mean[d]),
            "low": float(bounds[d, 0]),
            "high": float(bounds[d, 1]),
        }
        | {s.name: float(screened.values[k, d]) for k, s in enumerate(screened.settings)}
        for d, key in enumerate(keys)
    ]
    order = sorted(range(len(keys)), key=lambda d: -abs(mean[d]) if not math.isnan(mean[d]) else 0.0)
    ranked = "; ".join(
        f"{DIAGNOSTICS[keys[d]]} {mean[d]:+.2f} [{bounds[d, 0]:+.2f}, {bounds[d, 1]:+.2f}]" for d in order[:4]
    )
    verdict = Verdict.UNDECIDED
    if len(screened.tasks) >= FEWEST_TASKS:
        verdict = screening(*(float(x) for x in (mean[best], *bounds[best])))
    return Claim(
        name,
        f"{title} against the diagnosis, in sample",
        BET,
        f"{_rests_on(screened.settings)}. Spearman correlation with the "
        f"{'test score' if outcome == 'score' else 'speed (minus the median steps to the threshold)'}, mean over "
        f"tasks, bootstrap over families of initializers (95 % for all {len(keys)} together): {ranked}. The largest of "
        f"{len(keys)} correlations is biased upward by the choice; what it is worth in a task that did not choose it "
        "is the matter of the claim on transfer.",
        verdict,
        condition=_reason(verdict),
        table=table,
        figures={
            "Spearman's ρ of each diagnostic before training with the result after it, below it the 95 % interval "
            "(bootstrap over families); bold: it excludes 0.": partial(figures.heat_map, screened),
            f"The diagnostic with the largest mean, {DIAGNOSTICS[keys[best]]}: ranks within each setting, each point "
            "an initializer.": partial(figures.scatter, screened.settings, keys[best], outcome),
        },
        data={"mean": dict(zip(keys, mean.tolist(), strict=True)), "settings": [s.name for s in screened.settings]},
    )


def _reason(verdict: Verdict) -> str:
    if verdict is Verdict.CONDITIONALLY:
        return "as screening, never as prediction: initializers are sorted better than by chance, one is not foretold"
    if verdict is Verdict.UNDECIDED:
        return (
            "too few tasks or families of initializers are there: the interval excludes neither chance nor prediction"
        )
    return ""


def _out_of_sample(scored: Screen, timed: Screen) -> Claim:
    title = "In a task that was not looked at"
    if len(scored.tasks) < FEWEST_TASKS:
        return Claim(
            "transfer", title, BET, "Fewer than three tasks.", Verdict.UNDECIDED, condition="too few tasks are there"
        )
    table: list[dict[str, Any]] = []
    said: list[str] = []
    judged = (math.nan, math.nan, math.nan)
    for outcome, screened in (("score", scored), ("steps", timed)):
        if len(screened.tasks) < FEWEST_TASKS:
            continue
        names, worth, bounds = screened.chosen()
        combined = screened.combined()
        mean = float(np.nanmean(worth))
        together = [value for value in combined if not math.isnan(value)]
        if outcome == "score":
            judged = (mean, *bounds)
        said.append(
            f"{outcome}: the diagnostic that is best in the other tasks is worth {mean:+.2f} [{bounds[0]:+.2f}, "
            f"{bounds[1]:+.2f}] on average, {np.nanmin(worth):+.2f} at worst; a linear rank predictor of all "
            f"diagnostics, fitted on other tasks and other families, {np.mean(together):+.2f} ({min(together):+.2f} to "
            f"{max(together):+.2f} by setting)"
        )
        for task, name, value in zip(screened.tasks, names, worth, strict=True):
            own = [c for s, c in zip(screened.settings, combined, strict=True) if s.task == task]
            table.append(
                {
                    "outcome": outcome,
                    "task left out": task,
                    "best in the others": DIAGNOSTICS[name],
                    "its ρ here": float(value),
                    "linear predictor, ρ here": float(np.mean(own)),
                }
            )
    verdict = screening(*judged)
    return Claim(
        "transfer",
        title,
        BET,
        f"Out of sample. {'. '.join(said)}. Signs and choices are learned from the other tasks, anew in every "
        "resample.",
        verdict,
        condition=_reason(verdict),
        table=table,
        figures={
            "Score. Spearman's ρ of each diagnostic in each task (dots) with the sign it has in the other tasks; mean "
            "and its 95 % interval. Last line: the diagnostic that is best in the other tasks.": partial(
                figures.transfer, scored
            )
        },
        data={"mean": judged[0], "interval": list(judged[1:])},
    )


def _seeds(found: Sequence[Setting], seed: int) -> Claim:
    table: list[dict[str, Any]] = []
    for name, title in DIAGNOSTICS.items():
        x: list[float] = []
        y: list[float] = []
        families: list[str] = []
        for setting in found:
            for point in setting.points:
                own = [s for s in point.seeds if not math.isnan(s.diagnosis.get(name, math.nan))]
                if len(own) >= FEWEST_SEEDS and len({s.score for s in own}) > 1:
                    x += _centred([s.diagnosis[name] for s in own])
                    y += _centred([s.score for s in own])
                    families += [point.family] * len(own)
        within = rank_correlation(x, y, families, seed=seed, among=len(DIAGNOSTICS))
        row = {"diagnostic at step 0": title, "Spearman within an initializer": within.value}
        table.append(row | {"low": within.low, "high": within.high, "runs": within.points})
    known = [row for row in table if not math.isnan(row["Spearman within an initializer"])]
    if not known:
        return Claim("seeds", SEEDS, BET, "Too few seeds.", Verdict.UNDECIDED, condition="too few seeds are there")
    best = max(known, key=lambda row: abs(row["Spearman within an initializer"]))
    value, low, high = (best[key] for key in ("Spearman within an initializer", "low", "high"))
    sure = [row["diagnostic at step 0"] for row in known if row["low"] > 0 or row["high"] < 0]
    verdict = screening(value, low, high)
    return Claim(
        "seeds",
        SEEDS,
        BET,
        f"Ranks among the seeds of one initializer, pooled over {len(found)} settings, intervals 95 % for all "
        f"together. The largest of {len(known)} "
        f"correlations is {value:+.2f} [{low:+.2f}, {high:+.2f}] ({best['diagnostic at step 0']}); intervals that "
        f"exclude 0: {', '.join(sure) or 'none'}. It leaves {1 - value**2:.0%} of the variance of the ranks open.",
        verdict,
        condition=_reason(verdict),
        table=table,
    )


def _centred(values: Sequence[float]) -> list[float]:
    """Return mid-ranks from −1 to 1 of the values."""
    a = np.array(values)
    below = (a[None, :] < a[:, None]).sum(1) - (a[None, :] > a[:, None]).sum(1)
    return (below / max(len(a) - 1, 1)).tolist()


def _findings(found: Sequence[Setting], seed: int) -> Claim:
    table = alarm_rows([setting for setting in found if not setting.all_solve], seed=seed)
    told = [row for row in table if row["alarmed"]]
    borne = [row["finding"] for row in told if row["high"] < 0]
    against = [row["finding"] for row in told if row["low"] > 0]
    silent = [row["finding"] for row in table if not row["alarmed"]]
    open_ = [row["finding"] for row in told if row["finding"] not in {*borne, *against}]
    said = "; ".join(
        f"{row['finding']}: {row['alarmed']} of {row['runs']:,} runs ({row['families alarmed']} families), place "
        f"{row['place if alarmed']:.2f} against {row['place if not']:.2f}"
        for row in told
    )
    if against or not told:
        verdict = Verdict.FAILS if against else Verdict.UNDECIDED
    else:
        decided = Verdict.CONDITIONALLY if open_ or silent else Verdict.HOLDS
        verdict = decided if borne else Verdict.UNDECIDED
    return Claim(
        "findings",
        "What it means for the thresholds of the findings",
        "A finding UC2xx, raised on an untrained model, warns of a run that will do worse than others.",
        "Place of a run's score among all runs of its setting (0 worst, 1 best), with and without the finding at step "
        f"0. {said}. Borne out (95 % interval below 0): {', '.join(borne) or 'none'}; against: "
        f"{', '.join(against) or 'none'}; cannot be told: {', '.join(open_) or 'none'}; never raised here: "
        f"{', '.join(silent) or 'none'}. A threshold that is borne out stays an alarm, not a forecast: it is about "
        "families of initializers. What is not borne out is kept for what it measures, and its text must not promise "
        "more.",
        verdict,
        condition={
            Verdict.CONDITIONALLY: f"for {', '.join(borne)}",
            Verdict.UNDECIDED: "too few families raise a finding: no interval excludes 0",
        }.get(verdict, ""),
        table=table,
    )


SEEDS = "One seed against another"
BET = "The product's own bet: what is measured on an untrained network says how well it will train."
SOURCE = Source(
    "prediction",
    "Does a diagnosis at initialization predict training?",
    "unitcircle's own bet, not a published claim: over the records of all studies below the folder of results",
    claims,
)
