"""Unitary evolution, recurrent orthogonal and strongly-typed networks on copying and adding."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.experiments.comparison import Group, Standing
from unitcircle.experiments.studies import Experiment
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._contenders import Contender, claim_on, contenders
from unitcircle_reproduction._context import FURTHER, Context
from unitcircle_reproduction._statement import Statement

TANH, LSTM = "tanh, torch default", "LSTM, forget bias 1"
UNITARY, ROTATIONS, CONSTRAINED = "unitary evolution", "tanh, block rotations", "tanh, kept orthogonal"
TYPED = "strongly typed"
SIZES = (32, 64)
CONTENDERS = (
    Contender(TANH, "tanh"),
    Contender(LSTM, "lstm", "torch_default + forget_bias"),
    Contender(UNITARY, "unitary_evolution"),
    Contender(ROTATIONS, "tanh", "block_rotation"),
    Contender(CONSTRAINED, "orthogonal", "block_rotation"),
)


_UNITARY = Statement(
    "unitary-evolution",
    "Unitary evolution networks on copying and adding",
    "Unitary evolution RNNs (Arjovsky et al.) hold long memories that a tanh-RNN and an LSTM do not: they solve "
    "copying where those stay at the baseline, and compete on adding.",
    UNITARY,
    (TANH, LSTM),
    Standing.WORSE,
)
_ORTHOGONAL = Statement(
    "recurrent-orthogonal",
    "Recurrent orthogonal networks on copying and adding",
    "Started as rotations of planes, and kept orthogonal or not while they train (Henaff et al.), plain networks solve "
    "long-memory tasks on which an ordinary start fails.",
    TANH,
    (ROTATIONS, CONSTRAINED),
    Standing.BETTER,
)
_TYPED = Statement(
    "strongly-typed",
    "Strongly-typed networks on adding",
    "Without any recurrent weight matrix (Balduzzi and Ghifary), so that no initialization can make its gradient "
    "explode, a network learns what a tanh-RNN and an LSTM learn.",
    TYPED,
    (TANH, LSTM),
    Standing.WORSE,
)


def claims(context: Context, /) -> Iterator[Claim]:
    """Train the networks that the source points to, and what they are meant to beat."""
    copying = {f"copying(delay={delay})": _copying(context, delay) for delay in context.pick((10,), (20, 50, 100, 200))}
    adding = {f"adding(length={length})": _adding(context, length) for length in context.pick((30,), (50, 100, 200))}
    size = context.pick(*SIZES)
    yield claim_on(_UNITARY, copying | adding, f"All have n = {size} units; those of the unitary network are complex.")
    yield claim_on(_ORTHOGONAL, copying | adding, f"All have n = {size} units.")
    yield claim_on(_TYPED, adding, f"All have n = {size} units.")


def _copying(context: Context, delay: int) -> Group:
    name, steps = f"copying(delay={delay})", context.pick(400, 4000)
    return contenders(context, f"orthogonal-copying-{delay}", CONTENDERS, _experiment(context, name, steps))


def _adding(context: Context, length: int) -> Group:
    name, steps = f"adding(length={length})", context.pick(600, 6000)
    members = (*CONTENDERS, Contender(TYPED, "strongly_typed"))
    return contenders(context, f"orthogonal-adding-{length}", members, _experiment(context, name, steps))


def _experiment(context: Context, task: str, steps: int) -> Experiment:
    options = {"steps": steps, "evaluate_every": steps // context.pick(5, 20), "batch_size": 20, "measure_at": ()}
    rates = context.pick((3e-3, 1e-2, 3e-2), (3e-4, 1e-3, 3e-3, 1e-2))
    return Experiment(task, sizes=(context.pick(*SIZES),), learning_rates=rates, further_rates=FURTHER, options=options)
