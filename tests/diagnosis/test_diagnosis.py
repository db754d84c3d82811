"""The diagnosis as a whole: selection, order, forms."""

import json

import numpy as np
import pytest

import unitcircle as uc
from unitcircle.diagnosis import RULES, Severity, diagnose, explain
from unitcircle.errors import ArgumentError, DtypeError, ShapeError, UnknownNameError
from unitcircle.recurrence import from_torch

EYE = from_torch(np.eye(16, 4), cell="lstm", weight_ih=np.ones((16, 3)), bias_ih=np.zeros(16), name="lstm")


def test_the_worst_comes_first():
    diagnosis = diagnose([EYE])
    severities = [finding.severity for finding in diagnosis.findings]
    assert severities == sorted(severities, reverse=True)
    assert diagnosis.worst is Severity.ERROR
    assert diagnose([]).worst is None


def test_codes_are_selected_by_their_beginning():
    assert {f.code for f in diagnose([EYE], select=["UC11"]).findings} == {"UC110"}
    assert "UC110" not in {f.code for f in diagnose([EYE], ignore=["uc110"]).findings}
    assert {f.code for f in diagnose([EYE], select=["UC102, UC110"]).findings} == {"UC102", "UC110"}
    with pytest.raises(UnknownNameError, match="UC101"):
        diagnose([EYE], select=["UC9"])


def test_what_is_selected_may_be_ignored_in_part():
    uniform = np.random.default_rng(0).uniform(-0.125, 0.125, (256, 64))
    default = from_torch(uniform, cell="lstm", weight_ih=np.ones((256, 3)), bias_ih=np.zeros(256))
    assert {f.code for f in diagnose([default], select=["UC1"]).findings} >= {"UC104", "UC110"}
    codes = {f.code for f in diagnose([default], select=["UC1"], ignore=["UC104"]).findings}
    assert "UC110" in codes
    assert "UC104" not in codes


def test_json_is_strict_and_versioned():
    report = json.loads(diagnose([EYE], steps=10).to_json(), parse_constant=pytest.fail)
    assert report["schema"] == 1
    assert report["steps"] == 10
    (layer,) = report["layers"]
    assert layer["gates"]["f"]["radius"] == 0.0
    assert layer["gates"]["f"]["log_norm"] == "-inf"
    assert {f["code"] for f in report["findings"]} >= {"UC102", "UC110"}
    assert set(report["findings"][0]) == {
        "code", "name", "kind", "severity", "layer", "gate", "tensor", "message", "why", "remedy", "evidence", "action",
    }  # fmt: skip


def test_text_fits_eighty_columns_and_holds_every_finding():
    diagnosis = diagnose([EYE], steps=10)
    text = str(diagnosis)
    assert max(map(len, text.splitlines())) <= 80
    assert all(finding.code in text for finding in diagnosis.findings)


def test_the_same_seed_gives_the_same_diagnosis():
    layer = from_torch(np.random.default_rng(0).standard_normal((16, 4)), cell="lstm", weight_ih=np.ones((16, 3)))
    assert diagnose([layer], rng=3).to_json() == diagnose([layer], rng=3).to_json()
    assert diagnose([layer], rng=3).to_json() != diagnose([layer], rng=4).to_json()


def test_a_generator_is_advanced_and_the_old_name_of_the_seed_works():
    layer = from_torch(np.random.default_rng(0).standard_normal((16, 4)), cell="lstm", weight_ih=np.ones((16, 3)))
    rng = np.random.default_rng(3)
    first, second = (diagnose([layer], rng=rng).to_json() for _ in range(2))
    assert first == diagnose([layer], rng=np.random.default_rng(3)).to_json() != second
    with pytest.warns(DeprecationWarning, match=r"diagnose\(seed=\) is now rng="):
        assert diagnose([layer], seed=3).to_json() == diagnose([layer], rng=3).to_json()
    with pytest.raises(ArgumentError, match="rng must be a seed, 0 or more, or a numpy"):
        diagnose([layer], rng="3")


@pytest.mark.parametrize(
    "options",
    [{"loss": min}, {"at": ["h2h"]}, {"try_initializers": ["identity"]}, {"seeds": 7}, {"weights": {"flow": 1.0}}],
    ids=lambda options: next(iter(options)),
)
def test_what_belongs_to_a_module_is_refused_for_layers(options):
    with pytest.raises(
        ArgumentError,
        match=r"must be a torch\.nn\.Module, or a model of JAX, for batch, loss, at, try_initializers, seeds",
    ):
        diagnose([EYE], **options)


def test_data_drives_the_layers_it_fits():
    data = np.zeros((7, 2, 3))
    (layer,) = diagnose([EYE], data=data).layers
    assert layer.driven.inputs == "the data given (2 trajectories)"
    for shape in ((7, 2, 5), (7, 3), (), (0, 2, 3)):
        with pytest.raises(ShapeError, match="m = 3"):
            diagnose([EYE], data=np.zeros(shape))
    with pytest.raises(DtypeError, match="numbers"):
        diagnose([EYE], data=np.full((7, 2, 3), "x"))


def test_steps_must_be_positive():
    with pytest.raises(ArgumentError, match="steps"):
        diagnose([EYE], steps=0)


def test_a_layer_too_large_to_drive_is_said_to_be_unmeasured():
    big = from_torch(np.eye(96), cell="rnn_tanh", name="big")
    diagnosis = diagnose([big], select=["UC106"], steps=1_000_000)
    assert diagnosis.layers[0].driven is None
    assert "not measured" in str(diagnosis)


@pytest.mark.parametrize("code", RULES)
def test_every_code_has_a_page_with_evidence_reason_and_remedy(code):
    page = explain(code.lower())
    for heading in ("## What was found", "## Why it matters", "## Remedy"):
        assert heading in page


def test_unknown_codes_list_the_choices():
    with pytest.raises(UnknownNameError, match="UC101"):
        explain("UC999")


def test_the_public_names_are_the_diagnosis():
    assert uc.diagnose is diagnose
    assert uc.Severity is Severity


def test_names_from_a_file_are_not_markup():
    layer = from_torch(np.eye(16, 4), cell="lstm", name="[red]enc[/x]")
    assert "[red]enc[/x]" in str(diagnose([layer]))
