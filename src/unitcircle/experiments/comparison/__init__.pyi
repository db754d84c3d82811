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

from ._comparison import compare
from ._figures import (
    plot_learning_curves,
    plot_learning_rates,
    plot_seeds,
    plot_sweep,
    study_figure,
)
from ._judge import Judge, judge
from ._page import study_page
from ._result import Comparison, Curve, Group, Interval, Row, Standing
from ._sentences import study_sentences
from ._statistics import holm, median_interval, paired_p, rank_differences
from ._view import study_progress_view, study_view
