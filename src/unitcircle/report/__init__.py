"""What a person sees: figures, tables, sentences and pages made from measurements.

Figures are functions that take ``ax`` and return it; matplotlib is imported when the first one is drawn.
"""

__all__ = [
    "FIGURE_RC",
    "Comparison",
    "Curve",
    "Group",
    "Interval",
    "RadiusSummary",
    "Row",
    "Verdict",
    "WeightSummary",
    "describe",
    "diagnosis_page",
    "diagnosis_text",
    "diagnosis_view",
    "inline_svg",
    "page",
    "plot_calibration",
    "plot_eigenvalues",
    "plot_learning_curves",
    "plot_learning_rates",
    "plot_power_norms",
    "plot_pseudospectrum",
    "plot_radius_law",
    "plot_seeds",
    "plot_singular_values",
    "plot_sweep",
    "radius_figure",
    "radius_summary",
    "radius_view",
    "read_run",
    "save_figure",
    "study_figure",
    "study_page",
    "study_progress_view",
    "study_view",
    "style",
    "to_json",
    "watch_page",
    "watch_view",
    "weight_overview",
    "weight_summary",
    "weight_table",
]

from unitcircle.report._calibration import plot_calibration as plot_calibration
from unitcircle.report._comparison import Comparison as Comparison
from unitcircle.report._comparison import Curve as Curve
from unitcircle.report._comparison import Group as Group
from unitcircle.report._comparison import Interval as Interval
from unitcircle.report._comparison import Row as Row
from unitcircle.report._comparison import Verdict as Verdict
from unitcircle.report._diagnosis_page import diagnosis_page as diagnosis_page
from unitcircle.report._diagnosis_text import diagnosis_text as diagnosis_text
from unitcircle.report._diagnosis_text import diagnosis_view as diagnosis_view
from unitcircle.report._figures import plot_eigenvalues as plot_eigenvalues
from unitcircle.report._figures import plot_power_norms as plot_power_norms
from unitcircle.report._figures import plot_pseudospectrum as plot_pseudospectrum
from unitcircle.report._figures import plot_singular_values as plot_singular_values
from unitcircle.report._json import to_json as to_json
from unitcircle.report._overview import save_figure as save_figure
from unitcircle.report._overview import weight_overview as weight_overview
from unitcircle.report._page import FIGURE_RC as FIGURE_RC
from unitcircle.report._page import inline_svg as inline_svg
from unitcircle.report._page import page as page
from unitcircle.report._radius import RadiusSummary as RadiusSummary
from unitcircle.report._radius import plot_radius_law as plot_radius_law
from unitcircle.report._radius import radius_figure as radius_figure
from unitcircle.report._radius import radius_summary as radius_summary
from unitcircle.report._radius import radius_view as radius_view
from unitcircle.report._run_file import read_run as read_run
from unitcircle.report._study import study_progress_view as study_progress_view
from unitcircle.report._study import study_view as study_view
from unitcircle.report._study_figures import plot_learning_curves as plot_learning_curves
from unitcircle.report._study_figures import plot_learning_rates as plot_learning_rates
from unitcircle.report._study_figures import plot_seeds as plot_seeds
from unitcircle.report._study_figures import plot_sweep as plot_sweep
from unitcircle.report._study_figures import study_figure as study_figure
from unitcircle.report._study_page import study_page as study_page
from unitcircle.report._style import style as style
from unitcircle.report._watch import watch_page as watch_page
from unitcircle.report._watch import watch_view as watch_view
from unitcircle.report._weights import WeightSummary as WeightSummary
from unitcircle.report._weights import weight_summary as weight_summary
from unitcircle.report._weights import weight_table as weight_table
from unitcircle.report._words import describe as describe
