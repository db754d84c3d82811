"""What a person sees: figures, tables, sentences and pages made from measurements.

Figures are functions that take ``ax`` and return it; matplotlib is imported when the first one is drawn.
"""

__all__ = [
    "RadiusSummary",
    "WeightSummary",
    "describe",
    "diagnosis_page",
    "diagnosis_text",
    "diagnosis_view",
    "plot_calibration",
    "plot_eigenvalues",
    "plot_power_norms",
    "plot_pseudospectrum",
    "plot_radius_law",
    "plot_singular_values",
    "radius_figure",
    "radius_summary",
    "radius_view",
    "save_figure",
    "to_json",
    "weight_overview",
    "weight_summary",
    "weight_table",
]

from unitcircle.report._calibration import plot_calibration as plot_calibration
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
from unitcircle.report._radius import RadiusSummary as RadiusSummary
from unitcircle.report._radius import plot_radius_law as plot_radius_law
from unitcircle.report._radius import radius_figure as radius_figure
from unitcircle.report._radius import radius_summary as radius_summary
from unitcircle.report._radius import radius_view as radius_view
from unitcircle.report._weights import WeightSummary as WeightSummary
from unitcircle.report._weights import weight_summary as weight_summary
from unitcircle.report._weights import weight_table as weight_table
from unitcircle.report._words import describe as describe
