"""What is measured during training, when, and where it goes."""

from importlib import import_module
from typing import TYPE_CHECKING

from unitcircle.monitor._alarm import TrainingStopped as TrainingStopped
from unitcircle.monitor._alarm import UnitcircleWarning as UnitcircleWarning
from unitcircle.monitor._json_lines import JsonLines as JsonLines
from unitcircle.monitor._loggers import MLflow as MLflow
from unitcircle.monitor._loggers import TensorBoard as TensorBoard
from unitcircle.monitor._loggers import WandB as WandB
from unitcircle.monitor._measurement import GROUPS as METRICS
from unitcircle.monitor._monitor import Monitor as Monitor
from unitcircle.monitor._pace import Cost as Cost
from unitcircle.monitor._record import scalars as scalars
from unitcircle.monitor._rules import RULES as RULES

if TYPE_CHECKING:
    from unitcircle.monitor._keras import KerasCallback as KerasCallback
    from unitcircle.monitor._lightning import LightningCallback as LightningCallback
    from unitcircle.monitor._run_file import RunFile as RunFile
    from unitcircle.monitor._run_file import read_run as read_run
    from unitcircle.monitor._transformers import TransformersCallback as TransformersCallback
    from unitcircle.monitor._transformers import attach as attach
    from unitcircle.monitor._watch import watch_page as watch_page
    from unitcircle.monitor._watch import watch_view as watch_view

_LAZY = {
    "RunFile": "_run_file",
    "read_run": "_run_file",
    "watch_page": "_watch",
    "watch_view": "_watch",
    "KerasCallback": "_keras",
    "LightningCallback": "_lightning",
    "TransformersCallback": "_transformers",
    "attach": "_transformers",
}
"""Loaded when first used: subclasses of a framework's own class need the framework, views need figures."""

__all__ = [
    "METRICS",
    "RULES",
    "Cost",
    "JsonLines",
    "KerasCallback",
    "LightningCallback",
    "MLflow",
    "Monitor",
    "RunFile",
    "TensorBoard",
    "TrainingStopped",
    "TransformersCallback",
    "UnitcircleWarning",
    "WandB",
    "attach",
    "read_run",
    "scalars",
    "watch_page",
    "watch_view",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        value = getattr(import_module(f"unitcircle.monitor.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    message = f"module 'unitcircle.monitor' has no attribute {name!r}"
    raise AttributeError(message)
