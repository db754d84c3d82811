"""Findings: rules over measurements, reported as a linter does."""

__all__ = [
    "RULES",
    "SATURATED",
    "Answer",
    "Diagnosis",
    "DrivenDynamics",
    "Examination",
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
    "diagnose",
    "diagnosis_page",
    "diagnosis_text",
    "diagnosis_view",
    "drive",
    "explain",
    "is_live",
    "rule_of",
]

# Importing the rules registers them.
from unitcircle.diagnosis import _decay_rules, _length_rules, _live_rules, _weight_rules
from unitcircle.diagnosis._answer import Answer
from unitcircle.diagnosis._diagnose import diagnose
from unitcircle.diagnosis._diagnosis import Diagnosis
from unitcircle.diagnosis._driven import DrivenDynamics, drive
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Place, Severity
from unitcircle.diagnosis._live_layer import SATURATED, GateActivity, LiveLayer
from unitcircle.diagnosis._page import diagnosis_page
from unitcircle.diagnosis._remedy import Remedy
from unitcircle.diagnosis._rule import RULES, Rule, explain, rule_of
from unitcircle.diagnosis._subject import is_live
from unitcircle.diagnosis._text import diagnosis_text, diagnosis_view
from unitcircle.diagnosis._training import TrainingEvidence
from unitcircle.diagnosis._trial import Trial, Trials

del _decay_rules, _length_rules, _live_rules, _weight_rules
