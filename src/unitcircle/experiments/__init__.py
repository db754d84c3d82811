"""Experiments: tasks, models, training, and statistical comparisons of initializers (needs torch)."""

from importlib.util import find_spec as _find_spec

from unitcircle._renamed import moved as _moved
from unitcircle.errors import MissingExtraError

if _find_spec("torch") is None:
    raise MissingExtraError("experiments", "torch", "experiments")

from unitcircle.experiments import comparison, engines, models, studies, tasks, training

__all__ = ["comparison", "engines", "models", "studies", "tasks", "training"]

# A separate distribution since 0.2.
__getattr__ = _moved(__name__, {"reproduce": "unitcircle_reproduction"})
