"""Studies: which initializer is better, by how much, and where the data cannot tell.

A study is a TOML file. :func:`execute` does the runs that have no record yet; :func:`compare` says what follows from
those that have.
"""

__all__ = [
    "TLS",
    "Dask",
    "EngineKind",
    "Event",
    "Experiment",
    "Here",
    "Local",
    "Outcome",
    "Plan",
    "Slurm",
    "Store",
    "Study",
    "chosen_rate",
    "compare",
    "curve_table",
    "engine_kind",
    "execute",
    "progress_display",
    "query",
    "shipped_studies",
    "stack_limit",
    "study_table",
    "write_table",
]

from unitcircle.experiments.studies._choice import chosen_rate as chosen_rate
from unitcircle.experiments.studies._cluster import TLS as TLS
from unitcircle.experiments.studies._cluster import Dask as Dask
from unitcircle.experiments.studies._cluster import Slurm as Slurm
from unitcircle.experiments.studies._cluster import engine_kind as engine_kind
from unitcircle.experiments.studies._comparison import compare as compare
from unitcircle.experiments.studies._engine import EngineKind as EngineKind
from unitcircle.experiments.studies._execute import Outcome as Outcome
from unitcircle.experiments.studies._execute import execute as execute
from unitcircle.experiments.studies._export import query as query
from unitcircle.experiments.studies._export import write_table as write_table
from unitcircle.experiments.studies._here import Here as Here
from unitcircle.experiments.studies._plan import Plan as Plan
from unitcircle.experiments.studies._plan import stack_limit as stack_limit
from unitcircle.experiments.studies._progress import Event as Event
from unitcircle.experiments.studies._progress import progress_display as progress_display
from unitcircle.experiments.studies._store import Store as Store
from unitcircle.experiments.studies._study import Experiment as Experiment
from unitcircle.experiments.studies._study import Study as Study
from unitcircle.experiments.studies._study import shipped_studies as shipped_studies
from unitcircle.experiments.studies._supervisor import Local as Local
from unitcircle.experiments.studies._table import curve_table as curve_table
from unitcircle.experiments.studies._table import study_table as study_table
