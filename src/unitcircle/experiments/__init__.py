"""Experiments: which initializer trains which network best, asked so that the answer can be trusted (needs torch)."""

from importlib.util import find_spec as _find_spec

from unitcircle.errors import MissingExtraError

if _find_spec("torch") is None:
    raise MissingExtraError("experiments", "torch", "experiments")

from unitcircle.experiments import models as models
from unitcircle.experiments import studies as studies
from unitcircle.experiments import tasks as tasks
from unitcircle.experiments import training as training

__all__ = ["models", "studies", "tasks", "training"]
