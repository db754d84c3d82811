"""Training: what a run is, how it is trained, alone or in a stack of many, and what is recorded of it."""

__all__ = [
    "PROTOCOL",
    "Record",
    "Run",
    "Status",
    "axis_of_sequences",
    "initial_parameters",
    "network_of",
    "penalties",
    "stacked",
    "train",
    "width_of_part",
]


from unitcircle.experiments.training._evaluation import axis_of_sequences, stacked, width_of_part
from unitcircle.experiments.training._penalties import penalties
from unitcircle.experiments.training._record import Record, Status
from unitcircle.experiments.training._run import PROTOCOL, Run
from unitcircle.experiments.training._train import network_of, train
from unitcircle.experiments.training._weights import initial_parameters
