"""What UC114 and its neighbours find of lost decays, and what they say of correct ones; ``--page`` prints the page.

The zoo damages one parameter of a layer in one way (``tests/oracles/decays.py``): a case is *warned* where a finding
above a note names the layer, *noted* where UC114 is a note ("unless ..."), *undecidable* where the oracle shows that
correct or trained layers have such values too, else *missed*. The remedy is taken at its word: each finding states an
assignment, the parameters that the findings name are drawn again, and the findings and the notes of UC114 have to be
gone. Draws and damages are seeded. About four minutes.
"""

import datetime as dt
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
from tests.oracles.decays import (
    BUFFERS,
    DAMAGES,
    DRAWS,
    HALF,
    NEVER,
    TRAINED,
    UNDECIDABLE,
    damaged,
    stored,
    undecidable,
)

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
    why: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def undecidable(self):
        """Layers without a word whose values a correct or trained layer has too."""
        return self.why.total()

    @property
    def missed(self):
        """Layers without a word that are none of these."""
        return self.layers - self.warned - self.noted - self.undecidable

    def add(self, warned, noted, what, why=""):
        """Count one layer, what it is where nothing was said, and why nothing could be said."""
        self.layers += 1
        self.warned += warned
        self.noted += noted and not warned
        if why:
            self.why[what, why] += 1
        elif what:
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
                    why = undecidable(family, parameter, right, lost[parameter], size) if missed else ""
                    counts[damage].add(bool(above), noted, missed, why)
                    named = {finding.evidence.get("parameter", parameter) for finding in above} or {parameter}
                    again, still = judged(family, lost | {name: right[name] for name in named})
                    if again or still or any("<-" not in finding.remedy for finding in above):
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
    which = [f"{damage}, {one}" for damage, count in counts.items() for one in count.which]
    cases, missed, never = (_total(counts, what) for what in ("layers", "missed", "undecidable"))
    claim = (
        f"{missed} of {cases - never} lost decays that a file shows are missed: {which or 'none'}; {never} it does not"
    )
    yield CountRow(claim, not missed)
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
a finding above a note; *noted*: UC114 says that the entries were lost, unless clamping, pruning or training left them
so. *Undecidable*: nothing is said, and correct or trained layers have such values too, as the section below tells;
*missed*: nothing is said for any other reason. The parameters that the findings name were then drawn again:
{vanished}.

| damage | layers | warned | noted | undecidable | missed | missed in |
|---|---|---|---|---|---|---|"""
UNDECIDABLE_HEAD = """
## What a file does not tell

Of {cases} damaged parameters {never} are undecidable. The reason is not taken from a list but from the values: they
equal a correct draw (in another order, or of another layer), or a Kolmogorov-Smirnov test against what correct draws
and training leave does not reject them at {level:g}, the false alarms that a rule may have if 10,000 layers are to
pass. Training counts as a reason only where no other parameter of the layer is exactly where its authors start it.
`unitcircle diff` with the original shows the change; with a sequence length, `--steps`, UC112 finds those that leave
too little memory.

| damage | in | layers | why |
|---|---|---|---|"""
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
    vanished = "no finding was left, nor a note of UC114"
    if stubborn:
        vanished = "findings were left in " + "; ".join(stubborn)
    yield HEAD.format(
        date=dt.datetime.now(dt.UTC).date(), families=len(DRAWS), sizes=sizes, damages=len(DAMAGES), vanished=vanished
    )
    columns = ("layers", "warned", "noted", "undecidable", "missed")
    for damage, count in counts.items():
        cells = " | ".join(str(getattr(count, what)) for what in columns)
        yield f"| {damage} | {cells} | {'; '.join(sorted(count.which))} |"
    totals = {what: _total(counts, what) for what in columns}
    yield f"| **all** | {' | '.join(map(str, totals.values()))} | |"
    yield UNDECIDABLE_HEAD.format(cases=totals["layers"], never=totals["undecidable"], level=NEVER)
    for damage, count in counts.items():
        for why in UNDECIDABLE:
            where = {what: layers for (what, reason), layers in sorted(count.why.items()) if reason == why}
            if where:
                yield f"| {damage} | {'; '.join(where)} | {sum(where.values())} | {why} |"
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
