"""Eigenvalues at rest against one step of the classes of transformers, made tiny, at zero gate input."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import unitcircle as uc

EPS32 = float(np.finfo(np.float32).eps)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip(
    "transformers", minversion="5.24", reason="the classes take their cache by this name"
)

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
survey = importlib.import_module("linear_recurrences")
sys.path.pop(0)


@pytest.mark.parametrize("name", survey.MODELS)
def test_eigenvalues_at_rest_are_those_of_the_class(name):
    for ours, measured in survey.at_rest(survey.built(name)):
        # The classes compute their gates in float32, those of KDA as log(1 + exp(x)), with 6 EPS32 measured.
        assert survey.apart(ours, measured) < 8 * EPS32


def test_a_live_model_is_read_by_its_names():
    model = survey.built("mamba2")
    result = uc.diagnose(model)
    assert [layer.kind for layer in result.layers] == ["Mamba-2", "Mamba-2"]
    assert not [finding for finding in result.findings if finding.severity > 1]
    for parameter, values in model.named_parameters():
        if parameter.endswith("dt_bias"):
            values.data.fill_(1.0)
    findings = uc.diagnose(model).findings
    assert [finding.code for finding in findings if finding.kind != "expressivity"] == ["UC114", "UC114"]
