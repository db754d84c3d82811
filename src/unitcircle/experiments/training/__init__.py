"""Training: what a run is, how it is trained, alone or in a stack of many, and what is recorded of it."""

__all__ = ["PROTOCOL", "Record", "Run", "Status", "train"]

from unitcircle.experiments.training._record import Record as Record
from unitcircle.experiments.training._record import Status as Status
from unitcircle.experiments.training._run import PROTOCOL as PROTOCOL
from unitcircle.experiments.training._run import Run as Run
from unitcircle.experiments.training._train import train as train
