"""Many files in one call: what is reported, known findings, exit statuses."""

import io
import json

import pytest
from rich.console import Console

from unitcircle.diagnosis import Severity
from unitcircle.errors import ArgumentError
from unitcircle.linting import (
    CLEAN,
    FINDINGS,
    UNREAD,
    UNREADABLE,
    Baseline,
    Settings,
    check,
    expand,
    report_lines,
    report_view,
)


def test_one_file_that_cannot_be_read_does_not_hide_the_others(models):
    report = check(["good.npz", "broken.npz", "bad.npz"])
    assert [file.path for file in report.files] == ["good.npz", "broken.npz", "bad.npz"]
    good, broken, bad = report.files
    assert good.findings == ()
    assert "broken.npz" in broken.error
    assert [finding.code for finding in bad.findings] == ["UC102"]
    assert report.status == UNREADABLE
    assert report.summary == "3 files: 1 error; 1 cannot be read"
    assert report_lines(report).splitlines()[1].startswith("bad.npz: lstm[o]: UC102 error: ")


@pytest.mark.parametrize(("names", "status"), [(["good.npz"], CLEAN), (["good.npz", "bad.npz"], FINDINGS)])
def test_exit_status(names, status, models):
    assert check(names).status == status


def test_what_was_not_read_is_a_status_of_its_own(models):
    import numpy as np

    np.savez("nothing.npz", mystery=np.ones((5, 5)))
    report = check(["good.npz", "nothing.npz"])
    assert report.status == UNREAD
    assert "1 not read in whole" in report.summary
    assert "unread: nothing was analysed" in report_lines(report)
    assert check(["nothing.npz"], Settings(allow_unread=True)).status == CLEAN
    assert check(["nothing.npz", "bad.npz"]).status == FINDINGS


def test_as_many_jobs_as_asked_for_give_the_same_report(models):
    names = ["good.npz", "bad.npz"] * 3
    assert report_lines(check(names, jobs=1)) == report_lines(check(names, jobs=4))


def test_severities_and_ignored_files(models):
    report = check(["bad.npz"], Settings(severity={"UC102": Severity.NOTE}))
    assert [finding.severity for finding in report.files[0].findings] == [Severity.NOTE]
    assert report.status == CLEAN
    report = check(["bad.npz"], Settings(select=("UC102",), per_file_ignores={"bad.*": ("UC1",)}))
    assert report.files[0].findings == ()  # no rule at all is left


def test_only_what_is_new_fails(models):
    settings = Settings(baseline=models / "ci" / "known.json")
    Baseline(settings.baseline).write(check(["bad.npz"]).findings)
    entry = {"file": "../bad.npz", "code": "UC102", "layer": "lstm", "gate": "o", "tensor": "lstm.weight_hh_l0"}
    entry |= {"severity": "error"}
    assert json.loads(settings.baseline.read_text()) == {"schema": 1, "findings": [entry]}
    baseline = Baseline.read(settings.baseline)
    report = check(["bad.npz", "good.npz"], settings, baseline=baseline)
    assert report.status == CLEAN
    assert report.summary == "2 files: no findings; 1 known finding in the baseline"
    new = check(["bad.npz"], Settings(steps=500), baseline=baseline)
    assert [finding.code for finding in new.files[0].known] == ["UC102"]
    assert "UC102" not in {finding.code for finding in new.files[0].findings}


def test_what_the_baseline_knows_and_nothing_finds_any_more_is_said(models):
    Baseline(models / "known.json").write(check(["bad.npz"]).findings)
    (models / "good.npz").replace(models / "bad.npz")
    baseline = Baseline.read(models / "known.json")
    report = check(["bad.npz"], baseline=baseline)
    assert report.summary == "1 file: no findings; 1 entry of the baseline found no more"
    # A file that was not looked at says nothing about its entries.
    (models / "other.npz").write_bytes((models / "bad.npz").read_bytes())
    assert check(["other.npz"], baseline=baseline).stale == []


def test_entries_that_hold_no_more_are_named_and_those_of_files_that_are_gone(models):
    Baseline(models / "known.json").write(check(["bad.npz"]).findings)
    (models / "elsewhere").mkdir()
    (models / "known.json").replace(models / "elsewhere" / "known.json")
    report = check(["bad.npz"], baseline=Baseline.read(models / "elsewhere" / "known.json"))
    # The paths start at the folder of the baseline: it was moved, and what it knew is new, and said to be gone.
    assert report.status == FINDINGS
    assert list(map(str, report.stale)) == ["bad.npz: lstm[o]: UC102 of lstm.weight_hh_l0"]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(report_view(report))
    assert "in the baseline and found no more: bad.npz: lstm[o]: UC102" in console.export_text()


def test_one_known_parameter_does_not_hide_another(models):
    import numpy as np

    def write(**decay):
        lost = {"A_log": np.log(np.linspace(2, 16, 8)), "dt_bias": np.linspace(-6, -3, 8)} | decay
        np.savez("decay.npz", **{f"layers.0.attn.{name}": value for name, value in lost.items()})

    write(dt_bias=np.ones(8))
    Baseline(models / "known.json").write(check(["decay.npz"]).findings)
    baseline = Baseline.read(models / "known.json")
    assert check(["decay.npz"], baseline=baseline).status == CLEAN
    write(dt_bias=np.ones(8), A_log=np.ones(8))
    report = check(["decay.npz"], baseline=baseline)
    assert report.status == FINDINGS
    assert [finding.place.tensor.rpartition(".")[2] for finding in report.files[0].findings] == ["A_log"]


def test_a_known_note_does_not_hide_a_later_warning_of_the_same_code_and_place(models):
    lenient = Settings(severity={"UC102": Severity.NOTE})
    Baseline(models / "known.json").write(check(["bad.npz"], lenient).findings)
    baseline = Baseline.read(models / "known.json")
    assert list(baseline.known.values()) == [Severity.NOTE]
    assert (
        check(["bad.npz"], lenient, baseline=baseline).summary == "1 file: no findings; 1 known finding in the baseline"
    )
    risen = check(["bad.npz"], Settings(severity={"UC102": Severity.WARNING}), baseline=baseline)
    assert (risen.status, risen.stale) == (FINDINGS, [])
    assert [finding.severity for finding in risen.files[0].findings] == [Severity.WARNING]


def test_a_baseline_without_severities_accepts_any(models):
    Baseline(models / "known.json").write(check(["bad.npz"]).findings)
    content = json.loads((models / "known.json").read_text())
    for entry in content["findings"]:
        del entry["severity"]
    (models / "known.json").write_text(json.dumps(content))
    assert check(["bad.npz"], baseline=Baseline.read(models / "known.json")).status == CLEAN


def test_statistics_name_the_files_that_were_not_read(models):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(report_view(check(["broken.npz", "bad.npz"]), statistics=True))
    text = console.export_text()
    assert "1  UC102" in text
    assert "broken.npz: error: " in text


NO_BASELINES = [
    "",
    "[]",
    "{}",
    '{"schema": 2, "findings": []}',
    '{"schema": 1, "findings": [{}]}',
    '{"schema": 1, "findings": [{"file": 1, "code": "", "layer": "", "gate": "", "tensor": ""}]}',
    '{"schema": 1, "findings": [{"file": "", "code": "", "layer": "", "gate": "", "tensor": "", "severity": 3}]}',
]


@pytest.mark.parametrize("text", NO_BASELINES)
def test_what_is_no_baseline_is_refused(text, tmp_path):
    (tmp_path / "known.json").write_text(text)
    with pytest.raises(ArgumentError, match="must be a baseline of schema 1"):
        Baseline.read(tmp_path / "known.json")


def test_globs(models):
    (models / "deep" / "er").mkdir(parents=True)
    (models / "good.npz").replace(models / "deep" / "er" / "good.npz")
    (models / "we[ird].npz").write_bytes(b"")
    assert expand(["*.npz"]) == ["bad.npz", "broken.npz", "we[ird].npz"]
    assert expand(["**/good.npz", "bad.npz", "b*.npz"]) == ["deep/er/good.npz", "bad.npz", "broken.npz"]
    assert expand(["./bad.npz", "bad.npz", "deep/../bad.npz", str(models / "bad.npz")]) == ["./bad.npz"]
    assert expand(["we[ird].npz", "hf://a/b*"]) == ["we[ird].npz", "hf://a/b*"]
    with pytest.raises(ArgumentError, match="matches none"):
        expand(["*.nothing"])
    with pytest.raises(ArgumentError, match="at least one"):
        expand([])
