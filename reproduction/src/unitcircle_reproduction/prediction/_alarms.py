"""What the thresholds of the findings UC2xx say about runs: how often alarmed runs fail, and others do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle_reproduction._correlation import FEWEST, multiplicities, simultaneous
from unitcircle_reproduction.prediction._chance import chance, orders
from unitcircle_reproduction.prediction._setting import Setting

LOST = math.log(1e-3)


@dataclass(frozen=True)
class Alarm:
    """A finding, as far as a record at step 0 shows it."""

    code: str  # code, rule: Of the finding
    rule: str
    sounds: Callable[[Mapping[str, float]], bool]  # Diagnosis of a run → whether it is found
    needs: tuple[str, ...]  # What the diagnosis must hold


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
    """``(points, alarms)``: runs that sound it."""
    silent: np.ndarray
    """``(points, alarms)``: runs known not to."""
    places: np.ndarray
    """``(points,)``: mean place of the point's runs."""
    stuck: np.ndarray
    """``(points,)``: share of them that do not begin to learn."""


def rows(settings: Sequence[Setting], /, *, seed: int = 0) -> list[dict[str, Any]]:
    """Compare runs with and without each alarm, within settings: rank of the score, and whether they are stuck."""
    # The place is the share of the setting's runs that are worse, ties by half: 0.5 on average; that of a run is
    # the mean over the seeds of its initializer. A run is stuck behind a tenth of the way from the baseline to
    # the threshold. Means with and without an alarm are compared in each setting and averaged with the weights of
    # Mantel and Haenszel, (alarmed · others) / runs, so that a setting where all are alarmed, or none, says
    # nothing. Chance is what families give that get each other's places, corrected for the number of alarms; the
    # intervals, of the bootstrap over families, hold all together.
    runs = [_runs(setting) for setting in settings]
    if not runs:
        return []
    drawn = multiplicities([family for r in runs for family in r.setting.families], seed)
    order = orders([r.setting.members for r in runs], seed)
    ones = [np.ones((1, len(r.places))) for r in runs]
    weights = [np.stack([drawn[family] for family in r.setting.families], -1) for r in runs]
    places = [r.places[None] for r in runs]
    on, off = (means[0] for means in _compared(runs, places, ones))
    stuck = [means[0] for means in _compared(runs, [r.stuck[None] for r in runs], ones)]
    resampled, shuffled = (
        np.subtract(*_compared(runs, values, counted))
        for values, counted in ((places, weights), ([r.places[o] for r, o in zip(runs, order, strict=True)], ones))
    )
    p = chance(on - off, shuffled)
    alarmed = [
        {f for r in runs for f, sounding in zip(r.setting.families, r.sounding[:, k], strict=True) if sounding}
        for k in range(len(ALARMS))
    ]
    told = np.array([len(names) >= FEWEST for names in alarmed])
    ends = simultaneous(np.where(told, on - off, np.nan), resampled, len(drawn), bounded=False)
    sounding, silent = (np.concatenate([getattr(r, name) for r in runs]).sum(0) for name in ("sounding", "silent"))
    return [
        {
            "finding": alarm.code,
            "rule at step 0": alarm.rule,
            "runs": int(sounding[k] + silent[k]),
            "alarmed": int(sounding[k]),
            "families alarmed": len(alarmed[k]),
            "stuck if alarmed": float(stuck[0][k]),
            "stuck if not": float(stuck[1][k]),
            "place if alarmed": float(on[k]),
            "place if not": float(off[k]),
            "difference": float(on[k] - off[k]),
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


def _compared(
    runs: Sequence[_Runs], values: Sequence[np.ndarray], weights: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return means with and without each alarm ``(batch, alarms)`` of values ``(batch, points)`` of each setting."""
    with_it, without, total = (np.zeros((1, len(ALARMS))) for _ in range(3))
    for r, value, weight in zip(runs, values, weights, strict=True):
        on, off = weight @ r.sounding, weight @ r.silent
        both = (on > 0) & (off > 0)
        share = np.where(both, on * off / np.maximum(on + off, 1), 0.0)
        total = total + share
        with_it = with_it + share * ((weight * value) @ r.sounding) / np.where(both, on, 1.0)
        without = without + share * ((weight * value) @ r.silent) / np.where(both, off, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return with_it / total, without / total
