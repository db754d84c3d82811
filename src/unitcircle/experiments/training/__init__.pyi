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

from ._evaluation import sequence_axis, sequences_per_part, stack_batches
from ._network import build_network
from ._penalties import loss_and_penalty
from ._record import Record, Status
from ._run import PROTOCOL, Run
from ._train import train
from ._weights import initial_parameters
