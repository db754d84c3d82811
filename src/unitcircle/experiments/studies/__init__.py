"""Studies: comparisons of initializers over tasks, cells, learning rates and seeds.

A study is a TOML file. :func:`execute` trains the runs that have no record yet;
:func:`unitcircle.experiments.comparison.compare` computes the statistics of the records.
"""

__all__ = [
    "FIRST_TUNING_SEED",
    "TWIN",
    "Event",
    "Experiment",
    "Outcome",
    "Plan",
    "Store",
    "Study",
    "StudyProgress",
    "chosen_rate",
    "curve_table",
    "execute",
    "progress_display",
    "query",
    "shipped_studies",
    "stack_limit",
    "study_table",
    "write_table",
]

from unitcircle._renamed import moved
from unitcircle.experiments.studies._choice import chosen_rate
from unitcircle.experiments.studies._execute import Outcome, execute
from unitcircle.experiments.studies._export import query, write_table
from unitcircle.experiments.studies._plan import Plan, stack_limit
from unitcircle.experiments.studies._progress import Event, StudyProgress, progress_display
from unitcircle.experiments.studies._store import Store
from unitcircle.experiments.studies._study import FIRST_TUNING_SEED, TWIN, Experiment, Study, shipped_studies
from unitcircle.experiments.studies._table import curve_table, study_table

_ENGINES = ("TLS", "Dask", "EngineKind", "Here", "Local", "Slurm", "engine_kind")
__getattr__ = moved(
    __name__,
    {name: f"unitcircle.experiments.engines:{name}" for name in _ENGINES}
    | {"compare": "unitcircle.experiments.comparison:compare"},
)
