"""Training: what a run is, how it is trained, alone or in a stack of many, and what is recorded of it."""

__all__ = [
    "PROTOCOL",
    "Record",
    "Run",
    "Status",
    "build_network",
    "initial_parameters",
    "loss_and_penalty",
    "sequence_axis",
    "sequences_per_part",
    "stack_batches",
    "train",
]


from unitcircle.experiments.training._evaluation import sequence_axis, sequences_per_part, stack_batches
from unitcircle.experiments.training._penalties import loss_and_penalty
from unitcircle.experiments.training._record import Record, Status
from unitcircle.experiments.training._run import PROTOCOL, Run
from unitcircle.experiments.training._train import build_network, train
from unitcircle.experiments.training._weights import initial_parameters
