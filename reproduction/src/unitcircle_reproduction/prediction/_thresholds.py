"""What the runs mean for the thresholds of the findings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction.prediction import _figures as figures
from unitcircle_reproduction.prediction._criteria import rows
from unitcircle_reproduction.prediction._ranking import Ranking
from unitcircle_reproduction.prediction._ruling import LEVEL, p_text

MATERIAL = 0.2
"""Difference of mean places that would matter to who reads a finding: a fifth of the ranking."""


def thresholds(rankings: Sequence[Ranking], seed: int) -> Claim:
    """Return the claim on the thresholds of the findings UC2xx."""
    # An alarm is borne out if alarmed runs stand lower than others, p at most .05 after correction for the number
    # of alarms; it is against us if they stand higher so. HOLDS: all that are raised are borne out.
    # CONDITIONALLY: some are, none is against. FAILS: one is against, or none is borne out and every interval
    # excludes that they stand a fifth of the ranking lower. Else TOO_FEW.
    table = rows([ranking for ranking in rankings if ranking.is_informative], seed=seed)
    raised = [row for row in table if row["alarmed"]]
    borne = [row["finding"] for row in raised if row["p"] <= LEVEL and row["difference"] < 0]
    against = [row["finding"] for row in raised if row["p"] <= LEVEL and row["difference"] > 0]
    silent = [row["finding"] for row in table if not row["alarmed"]]
    open_ = [row["finding"] for row in raised if row["finding"] not in {*borne, *against}]
    comparisons = "; ".join(
        f"{row['finding']}: {row['alarmed']} of {row['runs']:,} runs ({row['families alarmed']} families), place "
        f"{row['place if alarmed']:.2f} against {row['place if not']:.2f} ({p_text(row['p'])}), stuck "
        f"{row['stuck if alarmed']:.0%} against {row['stuck if not']:.0%}"
        for row in raised
    )
    if against or (raised and not borne and all(row["low"] > -MATERIAL for row in raised)):
        verdict = Verdict.FAILS
    elif borne:
        verdict = Verdict.CONDITIONALLY if open_ else Verdict.HOLDS
    else:
        verdict = Verdict.TOO_FEW
    return Claim(
        "findings",
        "What it means for the thresholds of the findings",
        "A finding UC2xx, raised on an untrained model, warns of a run that will do worse than others.",
        "Place of a run's score among all runs of its setting (0 worst, 1 best), with and without the finding at step "
        "0, and share of runs that are stuck (less than a tenth of the way from the baseline to the threshold); "
        "means over settings with the weights of Mantel and Haenszel, not shares of all runs. "
        f"{comparisons}. Borne out: {_list(borne)}; against: {_list(against)}; cannot "
        f"be told: {_list(open_)}; never raised here: {_list(silent)}. A threshold that is borne out stays an "
        "alarm, not a forecast: it is about families of initializers. What is not borne out is kept for what it "
        "measures, and its text must not promise more.",
        verdict,
        condition={
            Verdict.CONDITIONALLY: f"for {', '.join(borne)}",
            Verdict.TOO_FEW: "no finding separates the runs better than chance, and not every interval is narrow",
        }.get(verdict, ""),
        table=table,
        figures={
            "Mean place of the runs with and without each finding, and the difference with its interval (95 % for all "
            "findings together).": partial(figures.alarms, table)
        }
        if raised
        else {},
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
