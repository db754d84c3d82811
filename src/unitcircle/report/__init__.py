"""Figures, tables, sentences and pages that present measurements.

Figures are functions that take ``ax`` and return it; matplotlib is imported when the first one is drawn.
"""

__all__ = [
    "COLORS",
    "CYCLE",
    "DASHES",
    "FIGURE_RC",
    "WITHOUT_DATE",
    "Progress",
    "RadiusSummary",
    "WeightSummary",
    "axes_or_new",
    "describe",
    "duration",
    "factor",
    "inline_svg",
    "page",
    "panel",
    "plot_eigenvalues",
    "plot_power_norms",
    "plot_powers",
    "plot_pseudospectrum",
    "plot_radius_law",
    "plot_singular_values",
    "progress_bar",
    "radius_figure",
    "radius_summary",
    "radius_view",
    "render",
    "save_figure",
    "style",
    "table",
    "to_json",
    "weight_overview",
    "weight_summary",
    "weight_table",
    "written_whole",
]

from unitcircle._files import written_whole
from unitcircle._json import to_json
from unitcircle._progress import Progress, duration, progress_bar
from unitcircle._renamed import moved
from unitcircle.report._figures import (
    plot_eigenvalues,
    plot_power_norms,
    plot_powers,
    plot_pseudospectrum,
    plot_singular_values,
)
from unitcircle.report._html import render, table
from unitcircle.report._overview import save_figure, weight_overview
from unitcircle.report._page import FIGURE_RC, inline_svg, page
from unitcircle.report._radius import RadiusSummary, plot_radius_law, radius_figure, radius_summary, radius_view
from unitcircle.report._style import COLORS, CYCLE, DASHES, WITHOUT_DATE, axes_or_new, panel, style
from unitcircle.report._weights import WeightSummary, weight_summary, weight_table
from unitcircle.report._words import describe, factor

_COMPARISON = (
    "Comparison",
    "Curve",
    "Group",
    "Interval",
    "Row",
    "plot_learning_curves",
    "plot_learning_rates",
    "plot_seeds",
    "plot_sweep",
    "study_figure",
    "study_page",
    "study_progress_view",
    "study_view",
)
_MOVED = {
    "unitcircle.experiments.comparison": _COMPARISON,
    "unitcircle.diagnosis": ("diagnosis_page", "diagnosis_text", "diagnosis_view"),
    "unitcircle.dynamics": ("plot_calibration",),
    "unitcircle.monitor": ("read_run", "watch_page", "watch_view"),
}
__getattr__ = moved(
    __name__,
    {name: f"{package}:{name}" for package, names in _MOVED.items() for name in names}
    | {"Verdict": "unitcircle.experiments.comparison:Standing"},
)
