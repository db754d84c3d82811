"""Every JSON that a diagnosis can give is valid against the schema of the package."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

import unitcircle as uc
from unitcircle.errors import CheckpointError
from unitcircle.linting import diagnosis_schema
from unitcircle.recurrence import LINEAR_FAMILIES, Cell, from_diagonal, from_torch

SHARED = Path(__file__).parents[3] / "shared"
VALIDATOR = jsonschema.Draft202012Validator(diagnosis_schema())
FILES = sorted(
    path for folder in ("checkpoints", "cases/files", "cases/lost-init") for path in (SHARED / folder).glob("*")
)


def valid(diagnosis):
    VALIDATOR.validate(json.loads(diagnosis.to_json()))
    return diagnosis


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(diagnosis_schema())


@pytest.mark.skipif(not FILES, reason="the files of ../shared are not here")
@pytest.mark.parametrize("path", [p for p in FILES if p.is_file() and p.stat().st_size < 4e6], ids=lambda p: p.name)
def test_files(path):
    try:
        valid(uc.diagnose(path))
    except CheckpointError:
        pytest.skip("not read")


@pytest.mark.parametrize("make", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
def test_live_models_with_and_without_trials(make):
    torch.manual_seed(0)
    model, batch = make(3, 8), torch.randn(20, 2, 3)
    assert valid(uc.diagnose(model, batch)).layers[0].live is not None
    assert valid(uc.diagnose(model, batch, try_initializers=["orthogonal"])).examination.trials is not None


def test_weights_that_are_not_finite_diagonal_or_absent():
    bad = from_torch(np.full((8, 8), np.nan), cell="rnn_tanh", name="bad")
    diagonal = from_diagonal(np.array([0.9, 1.1j]), name="lru")
    assert [layer.layer.cell for layer in valid(uc.diagnose([bad, diagonal])).layers] == [Cell.RNN_TANH, Cell.DIAGONAL]
    valid(uc.diagnose([]))


def test_a_linear_recurrence():
    weights = {"layers.0.attn.A_log": np.log(np.linspace(1, 16, 8)), "layers.0.attn.dt_bias": np.ones(8)}
    diagnosis = valid(uc.diagnose(weights, steps=100))
    assert diagnosis.layers[0].layer.linear.family.name in {family.name for family in LINEAR_FAMILIES.values()}
