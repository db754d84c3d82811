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
    "tuned_runs",
    "write_table",
]

from ._choice import chosen_rate, tuned_runs
from ._execute import Outcome, execute
from ._export import query, write_table
from ._plan import Plan, stack_limit
from ._progress import Event, StudyProgress, progress_display
from ._shipped import shipped_studies
from ._store import Store
from ._study import FIRST_TUNING_SEED, TWIN, Experiment, Study
from ._table import curve_table, study_table
