"""What the thresholds of the findings UC2xx say about runs: how often alarmed runs fail, and others do."""

from __future__ import annotations

__all__ = ["ALARMS", "Alarm", "rows"]

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.experiments.reproduce.prediction._correlation import FEWEST, FEWEST_FAMILIES, interval, multiplicities
from unitcircle.experiments.reproduce.prediction._screen import Setting

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


def rows(settings: Sequence[Setting], /, *, seed: int = 0) -> list[dict[str, Any]]:
    """Compare runs with and without each alarm by the place of their score among all runs of their setting.

    The place is the share of the setting's runs that are worse, ties by half: 0.5 on average. Give settings in which
    there is something to tell: where every run learns the task, places are noise, and draw differences towards 0.

    Parameters
    ----------
    settings
        Whose runs.
    seed
        Of the bootstrap over families.

    Returns
    -------
    list of dict
        One an alarm: runs with it, families with it, mean place with and without it, the difference with its interval.
    """
    runs: list[tuple[str, float, Mapping[str, float]]] = []
    for setting in settings:
        scores = np.array([s.score for point in setting.points for s in point.seeds])
        owners = [(point.family, s) for point in setting.points for s in point.seeds]
        for score, (family, own) in zip(scores, owners, strict=True):
            place = float((scores < score).mean() + 0.5 * (scores == score).mean())
            runs.append((family, place, own.diagnosis))
    drawn = multiplicities([family for family, _, _ in runs] or [""], seed)
    found: list[dict[str, Any]] = []
    for alarm in ALARMS:
        known = [(f, place, alarm.sounds(d)) for f, place, d in runs if all(name in d for name in alarm.needs)]
        places = np.array([place for _, place, _ in known])
        on = np.array([sounds for _, _, sounds in known], bool)
        families = {f for f, _, sounds in known if sounds}
        difference, low, high = math.nan, math.nan, math.nan
        if on.any() and not on.all():
            difference = float(places[on].mean() - places[~on].mean())
            weights = np.stack([drawn[f] for f, _, _ in known], -1)
            if len({f for f, _, _ in known}) >= FEWEST_FAMILIES and len(families) >= FEWEST:
                low, high = interval(_mean_where(weights, places, on) - _mean_where(weights, places, ~on))
        found.append(
            {
                "finding": alarm.code,
                "rule at step 0": alarm.rule,
                "runs": len(known),
                "alarmed": int(on.sum()),
                "families alarmed": len(families),
                "place if alarmed": float(places[on].mean()) if on.any() else math.nan,
                "place if not": float(places[~on].mean()) if (~on).any() else math.nan,
                "difference": difference,
                "low": low,
                "high": high,
            }
        )
    return found


def _mean_where(weights: np.ndarray, places: np.ndarray, mask: np.ndarray) -> np.ndarray:
    total = (weights * mask).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (weights * mask * places).sum(-1) / total, np.nan)
