__all__ = [
    "METRICS",
    "RULES",
    "Cost",
    "JsonLines",
    "KerasCallback",
    "LightningCallback",
    "MLflow",
    "Monitor",
    "MonitorOptions",
    "RunFile",
    "TensorBoard",
    "TrainingStopped",
    "TransformersCallback",
    "UnitcircleWarning",
    "WandB",
    "WeightOptions",
    "attach",
    "read_run",
    "scalars",
    "watch_page",
    "watch_view",
]

from ._finding_reporter import TrainingStopped, UnitcircleWarning
from ._json_lines import JsonLines
from ._keras import KerasCallback
from ._lightning import LightningCallback
from ._loggers import MLflow, TensorBoard, WandB
from ._measurement import METRICS
from ._monitor import Monitor
from ._options import MonitorOptions, WeightOptions
from ._pace import Cost
from ._page import watch_page
from ._record import scalars
from ._run_file import RunFile, read_run
from ._transformers import TransformersCallback, attach
from ._view import watch_view
from .rules import RULES
