"""The page of the verdicts, in Markdown."""

import datetime as dt
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import unitcircle as uc
from benchmarks._verdict import Verdict, rates

HEAD = """# Does acting on a warning pay?

Printed by `python -m benchmarks.verdicts {wanted}` on {date}, {machine}, {cores} cores (shared), Python
{python}, unitcircle {version}; five seeds.

Every pair is a model of 24 units a layer and direction and a task, diagnosed and then trained as it is and with every
remedy on the list of the diagnosis: 400 steps of Adam at one rate. The protocol, with the tasks and the rule of what
is beyond noise, is the head of `benchmarks/verdicts.py`, committed before any result. Rules were tuned on the first
part; the first part held out was run once, after they were committed, and rules were added for what it showed; the
second part held out was run once with the rules of its commit, and two rules were changed for what it showed. Judged
with the rules of today, neither part is held out any longer, nor are the third and fourth, after which rules changed.

Scores are squared errors over the variance of the target, geometric means over the seeds: 1 is a constant answer. A
warning is *right* if the first remedy improves the score beyond noise. The findings are those of most seeds, warnings
in bold. The verdict of a warned pair is *pays*, *no gain* or *harms*; of another *rightly silent* (no remedy improves
it) or *missed*.
"""


def page(parts: Mapping[str, Sequence[Verdict]], missing: Sequence[Any]) -> str:
    """The page of judged pairs, and what was not run."""
    lines = [
        HEAD.format(
            date=dt.date.today().isoformat(),
            machine=platform.machine(),
            cores=os.cpu_count(),
            python=platform.python_version(),
            version=uc.__version__,
            wanted=" ".join(f'"{part}"' for part, verdicts in parts.items() if verdicts),
        )
    ]
    for part, verdicts in parts.items():
        if not verdicts:
            continue
        lines += [f"## {part.capitalize()}: {len(verdicts)} pairs", ""]
        lines += ["| goal | pairs | asked | |", "|---|---|---|---|"]
        for rate in rates(list(verdicts), part):
            asked = f"{'at most' if rate.at_most else 'at least'} {rate.goal:.0%}"
            claim = rate.claim.partition(": ")[2]
            lines.append(
                f"| {claim} | {rate.hits} of {rate.total} | {asked} | {'met' if rate.holds else '**missed**'} |"
            )
        lines += ["", "| pair | findings | as it is | first remedy | | best of the list | | verdict |"]
        lines += ["|---|---|---|---|---|---|---|---|", *(_row(v) for v in verdicts), ""]
    names = ", ".join(f"`{pair.name}`" for pair in missing)
    return "\n".join([*lines, f"Not run: {names or 'none'}."])


def _row(verdict: Verdict) -> str:
    findings = " ".join(code if severity == "note" else f"**{code}**" for code, severity in verdict.findings.items())
    first = verdict.same or verdict.first
    cells = (
        verdict.pair.name,
        findings or "none",
        _mean(verdict.scores["as it is"]),
        first or "none",
        _mean(verdict.scores[verdict.first]) if verdict.first else "",
        verdict.best if verdict.remedies else "",
        _mean(verdict.scores[verdict.best]) if verdict.remedies else "",
        _judgement(verdict),
    )
    return f"| {' | '.join(cells)} |"


def _judgement(verdict: Verdict) -> str:
    if not verdict.warned:
        return "missed" if verdict.curable else "rightly silent"
    word = "harms" if verdict.harms else "pays" if verdict.pays else "no gain"
    return word if not verdict.first or verdict.near_best else f"{word}, another is better"


def _mean(scores: np.ndarray) -> str:
    return f"{np.exp(np.log(scores).mean()):.2g}"
