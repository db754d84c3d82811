"""Unitary evolution networks on copying at the shortest delay of their paper, a hundred steps."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.experiments.comparison import Group, Standing
from unitcircle.experiments.studies import Experiment
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._contenders import contenders
from unitcircle_reproduction._context import FURTHER, Context
from unitcircle_reproduction._sequential import claim_by_looks
from unitcircle_reproduction._statement import Statement
from unitcircle_reproduction.orthogonal._memory import CONTENDERS, LSTM, TANH, UNITARY

UNITS, STEPS, DELAY = 32, 2000, 100
TASK = f"copying(delay={DELAY})"
RATES = (3e-3, 1e-2, 3e-2)
_LONG = Statement(
    "unitary-delays",
    "Unitary evolution networks at a delay of a hundred steps",
    "Unitary evolution RNNs (Arjovsky et al.) solve copying over delays of hundreds of steps, where a tanh-RNN and an "
    "LSTM stay at the baseline.",
    UNITARY,
    (TANH, LSTM),
    Standing.WORSE,
)


def claims(context: Context, /) -> Iterator[Claim]:
    """Train the three networks, with more seeds only while a comparison is open."""
    if context.leaves_out("orthogonal/unitary"):
        return
    yield claim_by_looks(
        _LONG,
        lambda pairs: {TASK: _group(context, pairs)},
        f"All have n = {UNITS} units; those of the unitary network are complex.",
    )


def _group(context: Context, pairs: int) -> Group:
    options = {"steps": STEPS, "evaluate_every": STEPS // 20, "batch_size": 20, "measure_at": ()}
    experiment = Experiment(TASK, sizes=(UNITS,), learning_rates=RATES, further_rates=FURTHER, options=options)
    members = [member for member in CONTENDERS if member.label in {UNITARY, TANH, LSTM}]
    return contenders(context, "orthogonal-unitary", members, experiment, pairs=pairs)
