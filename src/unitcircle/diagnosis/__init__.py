"""Findings: rules over measurements, reported as a linter does."""

__all__ = [
    "RULES",
    "Diagnosis",
    "DrivenDynamics",
    "Examination",
    "Finding",
    "GateActivity",
    "LayerExamination",
    "LiveLayer",
    "Place",
    "Rule",
    "Severity",
    "Trial",
    "Trials",
    "diagnose",
    "drive",
    "explain",
    "is_live",
]

# Importing the rules registers them.
from unitcircle.diagnosis import _length_rules, _live_rules, _weight_rules
from unitcircle.diagnosis._diagnosis import Diagnosis as Diagnosis
from unitcircle.diagnosis._diagnosis import diagnose as diagnose
from unitcircle.diagnosis._diagnosis import is_live as is_live
from unitcircle.diagnosis._driven import DrivenDynamics as DrivenDynamics
from unitcircle.diagnosis._driven import drive as drive
from unitcircle.diagnosis._examination import Examination as Examination
from unitcircle.diagnosis._examination import LayerExamination as LayerExamination
from unitcircle.diagnosis._finding import Finding as Finding
from unitcircle.diagnosis._finding import Place as Place
from unitcircle.diagnosis._finding import Severity as Severity
from unitcircle.diagnosis._live_layer import GateActivity as GateActivity
from unitcircle.diagnosis._live_layer import LiveLayer as LiveLayer
from unitcircle.diagnosis._rule import RULES as RULES
from unitcircle.diagnosis._rule import Rule as Rule
from unitcircle.diagnosis._rule import explain as explain
from unitcircle.diagnosis._trial import Trial as Trial
from unitcircle.diagnosis._trial import Trials as Trials

del _length_rules, _live_rules, _weight_rules
