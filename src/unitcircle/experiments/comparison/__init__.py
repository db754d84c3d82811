"""Statistics of the records of a study: intervals, tests and verdicts, and their figures, tables and pages."""

__all__ = [
    "Comparison",
    "Curve",
    "Group",
    "Interval",
    "Judge",
    "Row",
    "Standing",
    "compare",
    "holm",
    "judge",
    "median_interval",
    "paired_p",
    "plot_learning_curves",
    "plot_learning_rates",
    "plot_seeds",
    "plot_sweep",
    "rank_differences",
    "study_figure",
    "study_page",
    "study_progress_view",
    "study_sentences",
    "study_view",
]

from unitcircle._renamed import moved
from unitcircle.experiments.comparison._comparison import compare
from unitcircle.experiments.comparison._figures import (
    plot_learning_curves,
    plot_learning_rates,
    plot_seeds,
    plot_sweep,
    study_figure,
)
from unitcircle.experiments.comparison._judge import Judge, judge
from unitcircle.experiments.comparison._page import study_page
from unitcircle.experiments.comparison._result import Comparison, Curve, Group, Interval, Row, Standing
from unitcircle.experiments.comparison._sentences import study_sentences
from unitcircle.experiments.comparison._statistics import holm, median_interval, paired_p, rank_differences
from unitcircle.experiments.comparison._view import study_progress_view, study_view

__getattr__ = moved(
    __name__,
    {"Contest": "unitcircle.experiments.comparison:Judge", "Verdict": "unitcircle.experiments.comparison:Standing"},
)
