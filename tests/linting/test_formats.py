"""What other programs read, against the schemas that they publish."""

import json
import os
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest

import unitcircle as uc
from unitcircle.diagnosis import Finding, Place, Severity
from unitcircle.errors import UnknownNameError
from unitcircle.linting import FORMATS, Baseline, Settings, check, diagnosis_schema, render_report

OFFICIAL = Path(__file__).parent / "sarif-schema-2.1.0.json"
"""OASIS, SARIF 2.1.0: github.com/oasis-tcs/sarif-spec, sarif-2.1/schema."""
NAMES = ["good.npz", "bad.npz", "broken.npz"]
HOSTILE = "lstm\r\n::error::forged\x1b[2J\u202e%0A,\ud800<![CDATA["


@pytest.fixture
def report(models):
    return check(NAMES)


@pytest.fixture
def hostile(models):
    """A model whose tensors and whose file have names that break lines, quotes and terminals."""
    name = "evil :,%\u202e.npz"
    weights = dict(np.load("bad.npz"))
    np.savez(name, **{key.replace("lstm", "l\u202e%,:<&>"): value for key, value in weights.items()})
    return check([name])


def test_sarif_is_valid_and_says_where(report):
    log = json.loads(render_report(report, "sarif"))
    jsonschema.validate(log, json.loads(OFFICIAL.read_text(encoding="utf-8")))
    (run,) = log["runs"]
    (result,) = run["results"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (result["ruleId"], result["level"], rule["id"], rule["name"]) == ("UC102", "error", "UC102", "ZeroedGate")
    (where,) = result["locations"]
    assert where["physicalLocation"]["artifactLocation"]["uri"] == "bad.npz"
    assert where["logicalLocations"][0]["fullyQualifiedName"] == "lstm[o]"
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "broken.npz" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    assert "baselineState" not in result


def test_sarif_tells_known_findings_from_new_ones(models):
    Baseline(models / "known.json").write(check(["bad.npz"]).findings)
    report = check(["bad.npz"], Settings(steps=64), baseline=Baseline.read(models / "known.json"))
    log = json.loads(render_report(report, "sarif"))
    jsonschema.validate(log, json.loads(OFFICIAL.read_text(encoding="utf-8")))
    states = {result["ruleId"]: result["baselineState"] for result in log["runs"][0]["results"]}
    assert states["UC102"] == "unchanged"
    assert log["runs"][0]["results"][-1]["suppressions"][0]["kind"] == "external"


def test_fingerprints_do_not_change_with_the_numbers(models):
    def mark():
        return json.loads(render_report(check(["bad.npz"]), "sarif"))["runs"][0]["results"][0]["partialFingerprints"]

    before = mark()
    weights = dict(np.load("bad.npz"))
    np.savez("bad.npz", **weights | {"lstm.weight_ih_l0": weights["lstm.weight_ih_l0"] * 1.5})
    assert mark() == before


def test_github_annotations(report):
    lines = render_report(report, "github").splitlines()
    assert lines[0].startswith("::error file=bad.npz,title=UC102 zeroed-gate::lstm[o]: ")
    assert lines[1].startswith("::error file=broken.npz,title=cannot be read::")
    assert len(lines) == 2


def test_gitlab_code_quality(report):
    issues = json.loads(render_report(report, "gitlab"))
    # The fields that GitLab requires of an issue.
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert issue["location"]["lines"]["begin"] == 1
    assert [issue["check_name"] for issue in issues] == ["UC102", "cannot-be-read"]
    assert len({issue["fingerprint"] for issue in issues}) == 2


def test_junit_counts_what_it_holds(report):
    root = ET.fromstring(render_report(report, "junit").encode())
    assert (root.get("failures"), root.get("errors")) == ("1", "1")
    assert [suite.get("name") for suite in root] == NAMES
    for suite in root:
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        for outcome, key in (("failure", "failures"), ("error", "errors")):
            assert int(suite.get(key)) == len(suite.findall(f"testcase/{outcome}"))
    (failed,) = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed.get("name") == "UC102 zeroed-gate"


def test_json_of_one_file_is_its_diagnosis_and_of_several_a_list(models, report):
    one = json.loads(render_report(check(["bad.npz"]), "json"))
    assert one == json.loads(uc.diagnose("bad.npz").to_json())
    many = json.loads(render_report(report, "json"))
    assert many["files"][1]["diagnosis"] == one
    assert many["status"] == 2
    assert "broken.npz" in many["files"][2]["error"]


def test_every_json_is_valid(models, report):
    Baseline(models / "known.json").write(check(["bad.npz"]).findings)
    known = check(["bad.npz"], baseline=Baseline.read(models / "known.json"))
    for each in (check(["good.npz"]), report, known):
        jsonschema.validate(json.loads(render_report(each, "json")), diagnosis_schema())
    one = json.loads(render_report(known, "json"))
    assert [finding["code"] for finding in one["known"]] == ["UC102"]


def test_the_schema_refuses_what_is_no_diagnosis():
    for wrong in ({}, {"schema": 1}, [], {"schema": 1, "files": [], "status": 7, "summary": ""}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, diagnosis_schema())


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_names_forge_nothing(name, hostile):
    text = render_report(hostile, name)
    assert "\u202e" not in text
    if name == "github":
        for line in text.splitlines():
            assert line.startswith("::error file=")
            assert line.count("::") == 2
    elif name == "junit":
        assert len(ET.fromstring(text.encode())) == 1
    else:
        json.loads(text)


@pytest.mark.parametrize("name", FORMATS)
def test_line_ends_and_halves_of_characters_in_a_finding(name, models):
    def examine(path, **_):
        from dataclasses import replace

        finding = Finding(
            Severity.ERROR, Place(HOSTILE, "f", HOSTILE), HOSTILE, HOSTILE, HOSTILE, code="UC102", name="x"
        )
        return replace(uc.diagnose(path), findings=(finding,))

    text = render_report(check(["good.npz"], examine=examine), name)
    text.encode()
    assert "\x1b" not in text
    assert not any(line.startswith("::error::") for line in text.splitlines())


def test_an_unknown_format_is_refused(report):
    with pytest.raises(UnknownNameError, match="sarif"):
        render_report(report, "sarf")


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX are bytes")
@pytest.mark.parametrize("name", FORMATS)
def test_the_name_of_a_file_need_not_be_text(name, models):
    raw = os.fsdecode(b"b\xffd.npz")
    try:
        (models / raw).write_bytes((models / "bad.npz").read_bytes())
    except OSError:
        pytest.skip("this file system knows only names of text")
    text = render_report(check([raw]), name)
    text.encode()
    if name == "sarif":
        (result,) = json.loads(text)["runs"][0]["results"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "b%FFd.npz"
