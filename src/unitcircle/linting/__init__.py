"""A linter that stays in CI: many files in one call, settings, a baseline, and the formats that CI systems read."""

__all__ = [
    "CLEAN",
    "FINDINGS",
    "FORMATS",
    "UNREAD",
    "UNREADABLE",
    "Baseline",
    "Change",
    "Checked",
    "Repair",
    "Report",
    "Settings",
    "check",
    "diagnosis_schema",
    "expand",
    "find_settings",
    "plan_repair",
    "render_report",
    "report_lines",
    "report_view",
    "stored_places",
]

from unitcircle.linting._baseline import Baseline
from unitcircle.linting._check import check
from unitcircle.linting._formats import FORMATS, render_report
from unitcircle.linting._repair import Change, Repair, plan_repair
from unitcircle.linting._report import CLEAN, FINDINGS, UNREAD, UNREADABLE, Checked, Report
from unitcircle.linting._schema import diagnosis_schema
from unitcircle.linting._settings import Settings, find_settings
from unitcircle.linting._stored_places import stored_places
from unitcircle.linting._targets import expand
from unitcircle.linting._text import report_lines, report_view
