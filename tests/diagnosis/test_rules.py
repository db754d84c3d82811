"""The registry: one file a rule, what each says of itself, rules of other distributions."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import unitcircle as uc
from unitcircle import monitor
from unitcircle.cli import main
from unitcircle.diagnosis import RULES, Finding, Place, Rule, Severity, load_rules, selected_codes
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.recurrence import from_torch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plugins(monkeypatch):
    """Return a function that installs entry points for the time of a test."""
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "plugin" / "src"))
    before = dict(RULES)

    def install(**values):
        entries = [EntryPoint(name, value, "unitcircle.rules") for name, value in values.items()]
        monkeypatch.setattr("unitcircle.diagnosis._rule.entry_points", lambda group: entries)

    yield install
    for code in set(RULES) - set(before):
        del RULES[code]
    sys.modules.pop("acme_rules", None)


@pytest.mark.parametrize(("package", "rules"), [("diagnosis", RULES), ("monitor", monitor.RULES)])
def test_every_rule_has_a_file_of_its_own(package, rules):
    files = sorted(path.stem for path in (ROOT / "src" / "unitcircle" / package / "rules").glob("_uc*.py"))
    assert [name.split("_")[1].upper() for name in files] == sorted(rules)
    for name in files:
        code = name.split("_")[1].upper()
        assert name == f"_{code.lower()}_{rules[code].check.__name__}"


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_page_has_its_parts(code):
    rule = RULES[code]
    assert rule.summary.endswith(".")
    assert rule.status in {"stable", "preview", "deprecated"}
    for heading in ("## What was found", "## Why it matters", "## Remedy"):
        assert heading in rule.page


def test_a_rule_of_another_distribution_joins(plugins, capsys, tmp_path):
    plugins(acme="acme_rules:WIDE_LAYER")
    layer = from_torch(np.zeros((513, 513)), cell="rnn_tanh", name="wide")
    (found,) = [f for f in uc.diagnose([layer]).findings if f.code == "ACME001"]
    assert found.name == "wide-layer"
    assert found.evidence["hidden_size"] == 513
    assert selected_codes(["ACME"]) == ["ACME001"]
    assert load_rules() is RULES
    assert main(["rule", "ACME001"]) == 0
    assert capsys.readouterr().out.startswith("# ACME001 wide-layer")


def test_without_the_distribution_its_code_is_unknown():
    with pytest.raises(UnknownNameError):
        selected_codes(["ACME001"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_module:RULE", "must be importable"),
        ("acme_rules:LARGEST", "must be a Rule or a sequence of rules"),
        ("unitcircle.diagnosis:RULES", "must be a Rule"),
    ],
)
def test_an_entry_point_that_is_no_rule_is_refused_with_its_name(value, words, plugins):
    plugins(broken=value)
    with pytest.raises(ArgumentError, match=words) as error:
        load_rules()
    assert "'broken'" in str(error.value)


@pytest.mark.parametrize("code", ["UC999", "ACME001"])
def test_the_codes_of_others_must_be_free(code, plugins, monkeypatch):
    plugins(acme="acme_rules:WIDE_LAYER")
    load_rules()
    import acme_rules

    monkeypatch.setattr(acme_rules, "WIDE_LAYER", Rule(code, "taken", acme_rules.wide_layer))
    with pytest.raises(ArgumentError, match="codes of its own"):
        load_rules()


def documented(check):
    check.__doc__ = "A page."
    return check


BAD_RULES = {
    "a code in small letters": Rule("acme001", "x", documented(lambda exam: iter(()))),
    "a code without number": Rule("ACME", "x", documented(lambda exam: iter(()))),
    "no page": Rule("ACME001", "x", lambda exam: iter(())),
    "no function": Rule("ACME001", "x", None),
    "a status": Rule("ACME001", "x", documented(lambda exam: iter(())), status="new"),
    "a fix": Rule("ACME001", "x", documented(lambda exam: iter(())), fix="maybe"),
}


@pytest.mark.parametrize("kind", BAD_RULES)
def test_a_rule_that_breaks_a_rule_is_refused_with_its_entry_point(kind, plugins, monkeypatch):
    plugins(acme="acme_rules:WIDE_LAYER")
    import acme_rules

    monkeypatch.setattr(acme_rules, "WIDE_LAYER", BAD_RULES[kind])
    with pytest.raises(ArgumentError, match="entry point 'acme'"):
        load_rules()


def failing(exam):
    yield from ()
    raise ZeroDivisionError


NONSENSE = {
    "raises": failing,
    "is no iterator": lambda exam: None,
    "yields texts": lambda exam: iter(["bad"]),
    "has a severity of its own": lambda exam: iter([Finding("bad", Place("x"), "m", "w", "r")]),
    "has a place of its own": lambda exam: iter([Finding(Severity.NOTE, Place(3), "m", "w", "r")]),
    "has evidence that is no JSON": lambda exam: iter(
        [Finding(Severity.NOTE, Place("x"), "m", "w", "r", {"a": object()})]
    ),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_check_of_others_that_fails_is_named_and_no_traceback(kind, plugins, monkeypatch, capsys, tmp_path):
    plugins(acme="acme_rules:WIDE_LAYER")
    import acme_rules

    monkeypatch.setattr(acme_rules, "WIDE_LAYER", Rule("ACME001", "x", documented(NONSENSE[kind])))
    np.save(tmp_path / "w.npy", np.eye(8))
    for form in ("text", "json", "sarif"):
        assert main(["diagnose", str(tmp_path / "w.npy"), "--tensor", "w", "--output-format", form]) == 2
        out, err = capsys.readouterr()
        assert "the rule ACME001 must yield findings" in err
        assert "unexpected" not in err
        assert not out


def test_the_list_of_rules(capsys):
    assert main(["rule"]) == 0
    out = capsys.readouterr().out
    assert "UC101  stacked-orthogonal (safe fix)" in out
    assert "UC115  no-state-tracking (preview, expressivity)" in out
    assert "UC3" in out
