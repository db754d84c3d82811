"""What UC114 and its neighbours find of lost decays, and what they say of correct ones; ``--page`` prints the page.

The zoo damages one parameter of a layer in one way (``tests/oracles/decays.py``): a case is *warned* where a finding
above a note names the layer, *noted* where UC114 is a note ("unless it was clamped or pruned"), else *missed*. The
remedy is taken at its word: the parameters that the findings name are drawn again, and the findings have to be gone.
Draws and damages are seeded. About four minutes on one core.
"""

import datetime as dt
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
from tests.oracles.decays import BUFFERS, DAMAGES, DRAWS, HALF, TRAINED, UNTOLD, damaged, stored

from unitcircle.diagnosis import Severity, diagnose
from unitcircle.recurrence import from_linear

SIZES = (8, 16, 64)
SEEDS = 2
DRAWN = 70
"""Correct draws of a family and size, in each of three precisions."""
COUPLED = ("S4",)
"""HiPPO in half precision is no correct draw: its memories move by up to 36 % in bfloat16, as UC111 says."""


@dataclass
class Count:
    """How many layers there were of a kind, and how many had a finding above a note, and a note of UC114."""

    layers: int = 0
    warned: int = 0
    noted: int = 0
    which: Counter[str] = field(default_factory=Counter)

    @property
    def missed(self):
        """Layers without a word."""
        return self.layers - self.warned - self.noted

    def add(self, warned, noted, what):
        """Count one layer."""
        self.layers += 1
        self.warned += warned
        self.noted += noted and not warned
        if what:
            self.which[what] += 1


def judged(family, parameters, dtype="float32"):
    """Return the findings above a note, and whether UC114 is a note."""
    with np.errstate(all="ignore"):
        layer = from_linear(family, parameters, name="layers.0", dtypes=dict.fromkeys(parameters, dtype))
        findings = diagnose([layer]).findings
    above = [finding for finding in findings if finding.severity > Severity.NOTE]
    return above, any(finding.code == "UC114" for finding in findings)


def zoo():
    """Return damage → its count, and the cases in which the remedy did not make the findings vanish."""
    counts, stubborn = defaultdict(Count), []
    for family, draw in DRAWS.items():
        for size in SIZES:
            for seed in range(SEEDS):
                rng = np.random.default_rng([seed, size])
                right = draw(rng, size, rng.uniform())
                for damage, parameter, lost in damaged(family, right, rng):
                    above, noted = judged(family, lost)
                    missed = "" if above or noted else f"{family}: {parameter}"
                    counts[damage].add(bool(above), noted, missed)
                    named = {finding.evidence.get("parameter", parameter) for finding in above} or {parameter}
                    again, _ = judged(family, lost | {name: right[name] for name in named})
                    if again:
                        stubborn.append(f"{damage}, {family}: {parameter}")
    return {damage: counts[damage] for damage in DAMAGES}, stubborn


def correct():
    """Return family → the count of its correct draws in three precisions."""
    counts = defaultdict(Count)
    for family, draw in DRAWS.items():
        for size in SIZES:
            for seed in range(DRAWN):
                rng = np.random.default_rng([seed, size, 1])
                right = draw(rng, size, rng.uniform())
                for dtype in ("float32",) if family in COUPLED else ("float32", *HALF):
                    above, noted = judged(family, stored(right, dtype), dtype)
                    counts[family].add(bool(above), noted, above[0].message if above else "")
    return counts


def trained():
    """Return kind of training → the count over families, sizes, seeds and two precisions."""
    counts = defaultdict(Count)
    for family, draw in DRAWS.items():
        for size in (4, *SIZES):
            for seed in range(SEEDS):
                for kind, train in TRAINED.items():
                    rng = np.random.default_rng([seed, size, 2])
                    right = train(draw(rng, size, rng.uniform()), rng)
                    for dtype in ("float32", "bfloat16"):
                        if family in BUFFERS:
                            continue
                        above, noted = judged(family, stored(right, dtype), dtype)
                        above = [finding for finding in above if finding.code == "UC114"]
                        counts[kind].add(bool(above), noted, f"{family}: {above[0].message}" if above else "")
    return counts


@dataclass(frozen=True)
class CountRow:
    """A claim about counts."""

    claim: str
    holds: bool

    def __str__(self) -> str:
        return f"  {self.claim} ({'holds' if self.holds else 'MISSED'})"


def rows():
    """Claims of issue 20 on lost and correct decays."""
    counts, stubborn = zoo()
    unlisted = [
        f"{damage}, {which}"
        for damage, count in counts.items()
        for which in count.which
        if which.partition(": ")[2] not in UNTOLD.get(damage, (frozenset(), ""))[0]
    ]
    cases, missed = _total(counts, "layers"), _total(counts, "missed")
    yield CountRow(f"{missed} of {cases} lost decays are missed, unlisted: {unlisted or 'none'}", not unlisted)
    yield CountRow(f"remedies that leave a finding: {stubborn or 'none'}", not stubborn)
    for what, found in (("correct draws", correct()), ("trained layers", trained())):
        warned = _total(found, "warned")
        yield CountRow(f"{warned} of {_total(found, 'layers')} {what} have a finding above a note", not warned)


def _total(counts, what):
    return sum(getattr(count, what) for count in counts.values())


HEAD = """# Lost decays that are found, and correct ones that are not

Printed by `python -m benchmarks.lost_decays` on {date}. `tests/oracles/decays.py` draws the parameters of the decay of
{families} families as their authors do, with {sizes} heads or channels, damages one parameter of a layer in one of
{damages} ways, and asks what a diagnosis of the file alone says, without knowing that anything is wrong. *Warned*:
a finding above a note; *noted*: UC114 says that the entries were lost unless they were clamped or pruned; the rest is
missed. The parameters that the findings name were then drawn again: {vanished}.

| damage | layers | warned | noted | missed | in |
|---|---|---|---|---|---|"""
UNTOLD_HEAD = """
## What a file does not tell

A damage that leaves what authors or training may leave cannot be told from it; `unitcircle diff` with the original can.
Training is told from a start where another parameter of the layer is exactly where its authors start it.

| damage | parameter | |
|---|---|---|"""
CORRECT_HEAD = """
## Correct draws

{sizes} heads or channels, in float32, bfloat16 and float16, at all depths. S4 in float32 only: in bfloat16 the
eigenvalues of HiPPO move, its memories by up to 36 %, which UC111 says with a warning.

| family | layers | with a finding above a note |
|---|---|---|"""
TRAINED_HEAD = """
## Trained, pruned and clamped layers

Every parameter of a correct draw moves by a random walk of the stated standard deviation, shrinks, or loses its
smallest entries, in float32 and bfloat16. UC114 only: a walk may well take a head's memory to one token.

| what happened | layers | UC114 above a note | a note |
|---|---|---|---|"""


def page():
    """Yield the lines of docs/results/lost-decays.md."""
    counts, stubborn = zoo()
    sizes = f"{', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]}"
    vanished = "no finding was left" if not stubborn else "findings were left in " + "; ".join(stubborn)
    yield HEAD.format(
        date=dt.datetime.now(dt.UTC).date(), families=len(DRAWS), sizes=sizes, damages=len(DAMAGES), vanished=vanished
    )
    for damage, count in counts.items():
        where = "; ".join(sorted(count.which))
        yield f"| {damage} | {count.layers} | {count.warned} | {count.noted} | {count.missed} | {where} |"
    totals = (str(_total(counts, what)) for what in ("layers", "warned", "noted", "missed"))
    yield f"| **all** | {' | '.join(totals)} | |"
    yield UNTOLD_HEAD
    for damage, (parameters, why) in UNTOLD.items():
        yield f"| {damage} | {', '.join(f'`{name}`' for name in sorted(parameters))} | {why} |"
    yield CORRECT_HEAD.format(sizes=sizes)
    for family, count in correct().items():
        yield f"| {family} | {count.layers} | {count.warned} |"
    yield TRAINED_HEAD
    for kind, count in trained().items():
        yield f"| {kind} | {count.layers} | {count.warned} | {count.noted} |"


if __name__ == "__main__":
    for line in page():
        print(line, flush=True)
    sys.exit(0)
