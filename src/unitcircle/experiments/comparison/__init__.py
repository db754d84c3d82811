"""What follows from the records of a study: intervals, tests and verdicts, and how they are shown."""

__all__ = [
    "Comparison",
    "Contest",
    "Curve",
    "Group",
    "Interval",
    "Row",
    "Verdict",
    "compare",
    "holm",
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


from unitcircle.experiments.comparison._comparison import compare
from unitcircle.experiments.comparison._figures import (
    plot_learning_curves,
    plot_learning_rates,
    plot_seeds,
    plot_sweep,
    study_figure,
)
from unitcircle.experiments.comparison._judge import Contest
from unitcircle.experiments.comparison._page import study_page
from unitcircle.experiments.comparison._result import Comparison, Curve, Group, Interval, Row, Verdict
from unitcircle.experiments.comparison._sentences import study_sentences
from unitcircle.experiments.comparison._statistics import holm, median_interval, paired_p, rank_differences
from unitcircle.experiments.comparison._view import study_progress_view, study_view
