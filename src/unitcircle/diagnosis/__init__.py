"""Findings: rules over measurements, reported as a linter does."""

__all__ = [
    "LOST_DECAY",
    "MAX_STEPS",
    "RULES",
    "SATURATED",
    "Answer",
    "Check",
    "Diagnosis",
    "Difference",
    "DrivenDynamics",
    "Examination",
    "FailOn",
    "Finding",
    "GateActivity",
    "LayerExamination",
    "LiveLayer",
    "Place",
    "Remedy",
    "Rule",
    "Severity",
    "TrainingEvidence",
    "Trial",
    "Trials",
    "check_codes",
    "diagnose",
    "diagnosis_page",
    "diagnosis_text",
    "diagnosis_view",
    "difference",
    "drawn_decay",
    "drive",
    "explain",
    "initialized",
    "is_live",
    "load_rules",
    "merged_action",
    "rule_of",
    "rules",
    "selected_codes",
]

# Importing the rules registers them; they use the modules above.
from unitcircle.diagnosis import rules
from unitcircle.diagnosis._answer import Answer
from unitcircle.diagnosis._diagnose import MAX_STEPS, diagnose
from unitcircle.diagnosis._diagnosis import Diagnosis
from unitcircle.diagnosis._difference import Difference, difference
from unitcircle.diagnosis._driven import DrivenDynamics, drive
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import FailOn, Finding, Place, Severity
from unitcircle.diagnosis._live_layer import SATURATED, GateActivity, LiveLayer
from unitcircle.diagnosis._page import diagnosis_page
from unitcircle.diagnosis._remedy import LOST_DECAY, Remedy, drawn_decay, initialized, merged_action
from unitcircle.diagnosis._rule import RULES, Check, Rule, check_codes, explain, load_rules, rule_of, selected_codes
from unitcircle.diagnosis._subject import is_live
from unitcircle.diagnosis._text import diagnosis_text, diagnosis_view
from unitcircle.diagnosis._training import TrainingEvidence
from unitcircle.diagnosis._trial import Trial, Trials
