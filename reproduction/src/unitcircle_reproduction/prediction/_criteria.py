"""What the criteria of the findings UC2xx say about runs: how often runs with a finding fail, and others do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unitcircle_reproduction._correlation import FEWEST, multiplicities, simultaneous
from unitcircle_reproduction.prediction._chance import chance, orders
from unitcircle_reproduction.prediction._ranking import Ranking

LOST = math.log(1e-3)


@dataclass(frozen=True)
class Criterion:
    """A finding, as far as a record at step 0 shows it."""

    code: str  # code, rule: Of the finding
    rule: str
    is_met: Callable[[pd.DataFrame], pd.Series]  # Runs → whether it is raised on each
    needs: tuple[str, ...]  # Columns that it looks at


CRITERIA = (
    Criterion("UC201", "‖∂h_T/∂s‖ falls below 1/1000", lambda d: d["log_ratio"] < LOST, ("log_ratio",)),
    Criterion("UC202", "‖∂h_T/∂s‖ rises above 1000", lambda d: d["log_ratio"] > -LOST, ("log_ratio",)),
    Criterion("UC203", "more than half of h_T saturated", lambda d: d["saturation"] > 0.5, ("saturation",)),
    Criterion("UC204", "‖h_T‖/√n below 1/1000", lambda d: d["distance"] < 1e-3, ("distance",)),
    Criterion("UC205", "h_T in fewer than 2 directions", lambda d: d["dimension"] < 2, ("dimension",)),
    Criterion(
        "UC206",
        "leading exponent above 0, growth above e over T",
        lambda d: (d["leading"] > 0) & (d["log_ratio"] > 1),
        ("leading", "log_ratio"),
    ),
)


@dataclass(frozen=True, eq=False)
class _Counts:
    """The runs of one setting, point by point."""

    ranking: Ranking
    met: np.ndarray  # (points, criteria): runs that meet it
    unmet: np.ndarray  # (points, criteria): runs known not to
    places: np.ndarray  # (points,): mean place of the point's runs
    stuck: np.ndarray  # (points,): share of them that do not begin to learn


def rows(rankings: Sequence[Ranking], /, *, seed: int = 0) -> list[dict[str, Any]]:
    """Compare runs with and without each finding, within settings: rank of the score, and whether they are stuck."""
    # The place is the share of the setting's runs that are worse, ties by half: 0.5 on average; that of a run is
    # the mean over the seeds of its initializer. A run is stuck behind a tenth of the way from the baseline to
    # the threshold. Means with and without a finding are compared in each setting and averaged with the weights of
    # Mantel and Haenszel, (with · without) / runs, so that a setting where all have it, or none, says
    # nothing. Chance is what families give that get each other's places, corrected for the number of findings; the
    # intervals, of the bootstrap over families, hold all together.
    counts = [_count(ranking) for ranking in rankings]
    if not counts:
        return []
    drawn = multiplicities([family for r in counts for family in r.ranking.families], seed)
    order = orders([r.ranking.members for r in counts], seed)
    ones = [np.ones((1, len(r.places))) for r in counts]
    weights = [np.stack([drawn[family] for family in r.ranking.families], -1) for r in counts]
    places = [r.places[None] for r in counts]
    on, off = (means[0] for means in _means(counts, places, ones))
    stuck = [means[0] for means in _means(counts, [r.stuck[None] for r in counts], ones)]
    resampled, shuffled = (
        np.subtract(*_means(counts, values, counted))
        for values, counted in ((places, weights), ([r.places[o] for r, o in zip(counts, order, strict=True)], ones))
    )
    p = chance(on - off, shuffled)
    alarmed = [
        {f for r in counts for f, number in zip(r.ranking.families, r.met[:, k], strict=True) if number}
        for k in range(len(CRITERIA))
    ]
    enough = np.array([len(names) >= FEWEST for names in alarmed])
    ends = simultaneous(np.where(enough, on - off, np.nan), resampled, len(drawn), bounded=False)
    met, unmet = (np.concatenate([getattr(r, name) for r in counts]).sum(0) for name in ("met", "unmet"))
    return [
        {
            "finding": criterion.code,
            "rule at step 0": criterion.rule,
            "runs": int(met[k] + unmet[k]),
            "alarmed": int(met[k]),
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
        for k, criterion in enumerate(CRITERIA)
    ]


def _count(ranking: Ranking) -> _Counts:
    runs = ranking.runs
    met = pd.DataFrame({c.code: c.is_met(runs) for c in CRITERIA})
    # What no run of the setting has was not measured; what some lack is undefined there, and meets nothing.
    known = pd.DataFrame({c.code: bool(runs[list(c.needs)].notna().any().all()) for c in CRITERIA}, index=runs.index)
    # Ties by half: the mid-rank of n runs, from 1/2 to n − 1/2.
    places = pd.DataFrame({"place": (runs["score"].rank() - 0.5) / len(runs), "stuck": runs["score"] < ranking.begun})
    means = places.groupby(runs["initializer"], sort=False).mean()
    counted, uncounted = (
        part.groupby(runs["initializer"], sort=False).sum().to_numpy(float) for part in (met & known, ~met & known)
    )
    return _Counts(ranking, counted, uncounted, means["place"].to_numpy(float), means["stuck"].to_numpy(float))


def _means(
    counts: Sequence[_Counts], values: Sequence[np.ndarray], weights: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return means with and without each finding ``(batch, findings)`` of values ``(batch, points)`` by setting."""
    with_it, without, total = (np.zeros((1, len(CRITERIA))) for _ in range(3))
    for r, value, weight in zip(counts, values, weights, strict=True):
        on, off = weight @ r.met, weight @ r.unmet
        both = (on > 0) & (off > 0)
        share = np.where(both, on * off / np.maximum(on + off, 1), 0.0)
        total = total + share
        with_it = with_it + share * ((weight * value) @ r.met) / np.where(both, on, 1.0)
        without = without + share * ((weight * value) @ r.unmet) / np.where(both, off, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return with_it / total, without / total
