"""What the thresholds of the findings UC2xx say about runs: how often alarmed runs fail, and others do."""

from __future__ import annotations

__all__ = ["ALARMS", "Alarm", "rows"]

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.experiments.reproduce.prediction._chance import chance, orders
from unitcircle.experiments.reproduce.prediction._correlation import FEWEST, multiplicities, simultaneous
from unitcircle.experiments.reproduce.prediction._setting import Setting

LOST = math.log(1e-3)


@dataclass(frozen=True)
class Alarm:
    """A finding, as far as a record at step 0 shows it.

    Attributes
    ----------
    code, rule
        Of the finding.
    sounds
        Diagnosis of a run → whether it is found.
    needs
        What the diagnosis must hold.
    """

    code: str
    rule: str
    sounds: Callable[[Mapping[str, float]], bool]
    needs: tuple[str, ...]


ALARMS = (
    Alarm("UC201", "‖∂h_T/∂s‖ falls below 1/1000", lambda d: d["log_ratio"] < LOST, ("log_ratio",)),
    Alarm("UC202", "‖∂h_T/∂s‖ rises above 1000", lambda d: d["log_ratio"] > -LOST, ("log_ratio",)),
    Alarm("UC203", "more than half of h_T saturated", lambda d: d["saturation"] > 0.5, ("saturation",)),
    Alarm("UC204", "‖h_T‖/√n below 1/1000", lambda d: d["distance"] < 1e-3, ("distance",)),
    Alarm("UC205", "h_T in fewer than 2 directions", lambda d: d["dimension"] < 2, ("dimension",)),
    Alarm(
        "UC206",
        "leading exponent above 0, growth above e over T",
        lambda d: d["leading"] > 0 and d["log_ratio"] > 1,
        ("leading", "log_ratio"),
    ),
)


@dataclass(frozen=True, eq=False)
class _Runs:
    """The runs of one setting, point by point: how many sound each alarm and how many do not, and their places."""

    setting: Setting
    sounding: np.ndarray
    """``(points, alarms)``: runs that sound it; ``silent``: runs known not to."""
    silent: np.ndarray
    places: np.ndarray
    """``(points,)``: mean place of the point's runs."""
    stuck: np.ndarray
    """``(points,)``: share of them that do not begin to learn."""


def rows(settings: Sequence[Setting], /, *, seed: int = 0) -> list[dict[str, Any]]:
    """Compare runs with and without each alarm by the place of their score among all runs of their setting.

    The place is the share of the setting's runs that are worse, ties by half: 0.5 on average; that of a run is the mean
    over the seeds of its initializer. Chance is what families give that get each other's places, corrected for the
    number of alarms; the intervals, of the bootstrap over families, hold all together. Give settings in which there is
    something to tell: where every run learns the task, places are noise, and draw differences towards 0.

    Parameters
    ----------
    settings
        Whose runs.
    seed
        Of resamples and shuffles.

    Returns
    -------
    list of dict
        One an alarm: runs with it, families with it, how many of those with and without it stay near the baseline, mean
        place with and without it, the difference with its interval and p.
    """
    runs = [_runs(setting) for setting in settings]
    if not runs:
        return []
    drawn = multiplicities([family for r in runs for family in r.setting.families], seed)
    order = orders([r.setting.members for r in runs], seed)
    on, off = (np.concatenate([getattr(r, name) for r in runs]) for name in ("sounding", "silent"))
    places, stuck = (np.concatenate([getattr(r, name) for r in runs]) for name in ("places", "stuck"))
    families = np.array([family for r in runs for family in r.setting.families])
    weights = np.stack([drawn[family] for family in families.tolist()], -1)
    moved = np.concatenate([r.places[o] for r, o in zip(runs, order, strict=True)], -1)
    ones = np.ones((1, len(places)))
    found = (_mean(on, places[None], ones) - _mean(off, places[None], ones))[0]
    resampled = _mean(on, places[None], weights) - _mean(off, places[None], weights)
    shuffled = _mean(on, moved, ones) - _mean(off, moved, ones)
    p = chance(found, shuffled)
    alarmed = [sorted(set(families[on[:, k] > 0].tolist())) for k in range(len(ALARMS))]
    told = np.array([len(names) >= FEWEST for names in alarmed])
    ends = simultaneous(np.where(told, found, np.nan), resampled, len(drawn), bounded=False)
    shares = [[_mean(mask, values[None], ones)[0] for mask in (on, off)] for values in (stuck, places)]
    return [
        {
            "finding": alarm.code,
            "rule at step 0": alarm.rule,
            "runs": int((on + off)[:, k].sum()),
            "alarmed": int(on[:, k].sum()),
            "families alarmed": len(alarmed[k]),
            "stuck if alarmed": float(shares[0][0][k]),
            "stuck if not": float(shares[0][1][k]),
            "place if alarmed": float(shares[1][0][k]),
            "place if not": float(shares[1][1][k]),
            "difference": float(found[k]),
            "low": float(ends[k, 0]),
            "high": float(ends[k, 1]),
            "p": float(p[k]),
        }
        for k, alarm in enumerate(ALARMS)
    ]


def _runs(setting: Setting) -> _Runs:
    scores = np.array([s.score for point in setting.points for s in point.seeds])
    counts = np.zeros((2, len(setting.points), len(ALARMS)))
    places, stuck = [], []
    for i, point in enumerate(setting.points):
        own = np.array([s.score for s in point.seeds])
        worse = (scores < own[:, None]).mean(-1) + 0.5 * (scores == own[:, None]).mean(-1)
        places.append(worse.mean())
        stuck.append((own < setting.begun).mean())
        for k, alarm in enumerate(ALARMS):
            for s in point.seeds:
                if all(name in s.diagnosis for name in alarm.needs):
                    counts[int(not alarm.sounds(s.diagnosis)), i, k] += 1
    return _Runs(setting, counts[0], counts[1], np.array(places), np.array(stuck))


def _mean(counts: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of values ``(batch, points)`` over counted, weighted runs ``(points, alarms)``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return ((weights * values) @ counts) / (weights @ counts)
