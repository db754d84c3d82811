"""Settings of a project: where they are found, what they may hold, what a call overrides."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from unitcircle.diagnosis import RULES, Finding, Place, Severity
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.linting import Settings, find_settings

DEFAULT = [code for code in sorted(RULES) if not RULES[code].on_request]


def finding(code, severity=Severity.WARNING):
    return Finding(severity, Place("lstm"), "m", "w", "r", code=code)


def test_the_nearest_file_is_found_upwards_and_a_pyproject_without_the_table_is_passed_over(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_settings(inner) is None
    (tmp_path / "unitcircle.toml").write_text("steps = 7\n")
    (tmp_path / "a" / "pyproject.toml").write_text('[project]\nname = "unitcircle-user"\n')
    assert find_settings(inner) == tmp_path / "unitcircle.toml"
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.unitcircle]\nsteps = 9\n")
    assert find_settings(inner) == tmp_path / "a" / "pyproject.toml"
    (tmp_path / "a" / "unitcircle.toml").write_text("steps = 11\n")
    assert Settings.load(find_settings(inner)).steps == 11


def test_every_setting_is_read(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text("""
[tool.unitcircle]
select = ["UC1"]
extend-select = ["UC115", "UC2"]
ignore = ["UC104"]
steps = 100
fail-on = "error"
allow-unread = true
baseline = "known.json"
[tool.unitcircle.per-file-ignores]
"old/*.pt" = ["UC101", "UC110"]
[tool.unitcircle.severity]
UC110 = "note"
UC1 = "error"
""")
    settings = Settings.load(file)
    assert settings.baseline == tmp_path / "known.json"
    assert (settings.steps, settings.fail_on, settings.allow_unread) == (100, "error", True)
    assert settings.codes_for("a.pt") == [code for code in sorted(RULES) if code != "UC104"]
    old = settings.codes_for(str(tmp_path / "old" / "x.pt"))
    assert set(settings.codes_for("a.pt")) - set(old) == {"UC101", "UC110"}
    assert settings.judged(finding("UC110")).severity is Severity.NOTE
    assert settings.judged(finding("UC103")).severity is Severity.ERROR
    assert settings.judged(finding("UC203")).severity is Severity.WARNING


def test_without_a_selection_all_rules_run_but_those_on_request(monkeypatch):
    asked = ("ACME7",)
    monkeypatch.setitem(RULES, *asked, replace(RULES["UC101"], code=asked[0], on_request=True))
    assert Settings().codes_for("x") == DEFAULT
    assert set(Settings(extend_select=asked).codes_for("x")) - set(DEFAULT) == set(asked)
    assert Settings(select=("UC101",), extend_select=asked).codes_for("x") == ["ACME7", "UC101"]
    assert Settings(extend_select=asked, ignore=asked).codes_for("x") == DEFAULT


def test_a_glob_without_a_slash_is_held_against_the_name_of_the_file(tmp_path):
    settings = Settings(per_file_ignores={"*.pt": ("UC101",)}, folder=tmp_path)
    assert "UC101" not in settings.codes_for(str(tmp_path / "deep" / "x.pt"))
    assert "UC101" in settings.codes_for(str(tmp_path / "deep" / "x.npz"))


@pytest.mark.parametrize("threshold", ["error", "warning", "never"])
def test_the_threshold(threshold):
    settings = Settings(fail_on=threshold)
    failing = [severity for severity in Severity if settings.fails([finding("UC101", severity)])]
    assert (
        failing
        == {
            "error": [Severity.ERROR],
            "warning": [Severity.WARNING, Severity.ERROR],
            "never": [],
        }[threshold]
    )
    assert not settings.fails([])


def test_what_a_call_gives_overrides_and_severities_are_merged():
    project = Settings(steps=5, ignore=("UC101",), severity={"UC110": Severity.NOTE})
    call = project.overridden(steps=9, ignore=(), fail_on=None, severity={"UC101": Severity.ERROR}, allow_unread=False)
    assert (call.steps, call.ignore, call.fail_on) == (9, ("UC101",), "warning")
    assert call.severity == {"UC110": Severity.NOTE, "UC101": Severity.ERROR}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("select = {UC101 = true}", "list of codes"),
        ('severity = [["UC101", "note"]]', "table of codes"),
        ('severity = {"UC101,UC102" = "note"}', "of one code"),
        ('severity = {"" = "note"}', "of one code"),
        ("stepz = 3", "Did you mean 'steps'?"),
        ("steps = true", "whole number"),
        ("steps = 0", "positive"),
        ('select = "UC101"', "list of codes"),
        ('select = ["UC9"]', "code must be one of"),
        ('per-file-ignores = ["UC101"]', "table of globs"),
        ('per-file-ignores = {"*.pt" = ["XX"]}', "code must be one of"),
        ('severity = {UC101 = "bad"}', "error"),
        ('severity = {XX = "note"}', "code must be one of"),
        ('fail-on = "note"', "fail-on must be one of"),
        ("allow-unread = 1", "true or false"),
        ("baseline = 3", "path"),
        ("steps = ", "readable TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_rule(text, words, tmp_path):
    file = tmp_path / "unitcircle.toml"
    file.write_text(text + "\n")
    with pytest.raises((ArgumentError, UnknownNameError), match=re.escape(words)):
        Settings.load(file)


@pytest.mark.parametrize("text", ["tool = 3", 'tool = ["unitcircle"]', "[tool]\nunitcircle = 3  # unitcircle"])
def test_a_pyproject_of_another_form_ends_in_no_traceback(text, tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text(f"{text}  # unitcircle\n")
    if (found := find_settings(tmp_path)) is not None:
        with pytest.raises(ArgumentError, match=r"\[tool.unitcircle\]"):
            Settings.load(found)


def test_the_same_file_by_other_paths_has_the_same_ignores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(per_file_ignores={"old/*": ("UC101",), "hf://lab/*": ("UC110",)})
    for path in ("old/x.pt", "./old/x.pt", "new/../old/x.pt", str(tmp_path / "old/x.pt")):
        assert "UC101" not in settings.codes_for(path)
    assert "UC101" in settings.codes_for("old/../new/x.pt")
    assert "UC110" not in settings.codes_for("hf://lab/model")


def test_a_named_pyproject_must_have_the_table(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text("[project]\n")
    with pytest.raises(ArgumentError, match=r"\[tool.unitcircle\]"):
        Settings.load(file)
    with pytest.raises(ArgumentError, match="readable TOML"):
        Settings.load(Path("nowhere.toml"))
