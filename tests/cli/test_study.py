"""``unitcircle study``, run as a user runs it."""

import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tyro
from tests.study_records import finder, noise, record

from unitcircle import cli
from unitcircle.cli._study import Command
from unitcircle.errors import ArgumentError
from unitcircle.experiments import studies
from unitcircle.experiments.studies import Store, Study
from unitcircle.experiments.training import Status

TOML = """
name = "little"
seeds = {seeds}
tuning_seeds = 2

[initializers]
"torch default" = "torch_default"
Haar = "orthogonal"

[[experiment]]
task = "digits"
sizes = [4]
learning_rates = [1e-3, 3e-3]
steps = 2
evaluate_every = 1
batch_size = 2
measure_at = []
"""


@pytest.fixture(autouse=True)
def _working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "little.toml"
    path.write_text(TOML.format(seeds=10), encoding="utf-8")
    return str(path)


def fill(file, keep=lambda label, run: True, status=lambda label, run: Status.FINISHED):
    store = Store("out/studies/little")
    made = finder(
        Study.load(file),
        lambda label, run: (
            record(run, 0.5 + 0.3 * (label == "Haar") + noise(label, run), status=status(label, run))
            if keep(label, run)
            else None
        ),
    )
    for one in made.values():
        store.write(one)


def test_compare_prints_the_table_and_its_meaning(file, capsys):
    fill(file)
    assert cli.main(["study", "compare", file]) == 0
    out = capsys.readouterr().out
    assert "First: Haar" in out
    assert "Better than torch default: Haar by +0." in out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def test_compare_as_json_page_and_figure(file, capsys, tmp_path):
    fill(file)
    arguments = ["study", "compare", file, "--json", "--html", "new/page.html", "--figure", "new/figure.svg"]
    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (found["schema"], found["reference"], found["missing"]) == (1, "torch default", 0)
    (group,) = found["groups"]
    assert group["rows"][0]["label"] == "Haar"
    assert group["rows"][0]["verdict"] == "better"
    assert "<svg" in (tmp_path / "new/page.html").read_text(encoding="utf-8")
    assert "learning curves" in (tmp_path / "new/figure.svg").read_text(encoding="utf-8")


def test_what_is_not_complete_has_status_1(file, capsys):
    fill(file, keep=lambda label, run: label != "Haar" or run.seed != 7)
    assert cli.main(["study", "compare", file]) == 1
    assert "1 missing" in capsys.readouterr().out
    assert cli.main(["study", "show", file]) == 1
    out = capsys.readouterr().out
    assert "9/10" in out
    assert "results: out/studies/little" in out


def test_a_failed_run_is_not_complete_either(file, capsys):
    fill(file, status=lambda label, run: Status.FAILED if label == "Haar" and run.seed == 7 else Status.FINISHED)
    assert cli.main(["study", "show", file]) == 1
    assert "1 failed" in capsys.readouterr().out


def test_a_file_that_is_no_record_is_named(file, capsys):
    fill(file)
    path = next(iter(sorted(Store("out/studies/little").folder.iterdir())))
    path.write_text("{", encoding="utf-8")
    # Whether the study needs it depends on the rates that were chosen; the file is named either way by export.
    assert cli.main(["study", "export", file, "--csv", "runs.csv"]) == 0
    assert f"{path} is left out" in capsys.readouterr().err


@pytest.fixture
def done(file, monkeypatch):
    """A study whose runs have ended; `study run` repeated one."""
    fill(file)
    path = Path("out/studies/little/runs/1.json")
    monkeypatch.setattr(studies, "execute", lambda *_, **__: studies.Outcome(1, 0, 0, 1.0, {path: "it ends early"}))
    return path


def test_a_damaged_record_that_was_done_again_is_named(file, done, capsys):
    assert cli.main(["study", "run", file, "--engine", "here"]) == 0
    assert f"{done} was no record, and its run was done again: it ends early" in capsys.readouterr().err


@pytest.mark.usefixtures("done")
def test_results_that_cannot_be_written_say_what_is_kept(file, capsys):
    Path("out/studies/little/table.csv").mkdir()
    assert cli.main(["study", "run", file, "--engine", "here"]) == 2
    assert "All records are kept: run the study again to write them" in " ".join(capsys.readouterr().err.split())


def test_export_of_runs_and_curves(file, capsys, tmp_path):
    pytest.importorskip("duckdb")
    fill(file)
    assert cli.main(["study", "export", file, "--csv", "runs.csv", "--parquet", "runs.parquet"]) == 0
    # Three rows with two rates, two tuning seeds, and ten reported ones at the chosen rate.
    assert "runs.csv: 42 rows" in capsys.readouterr().out
    assert (tmp_path / "runs.parquet").exists()
    assert cli.main(["study", "export", file, "--curves", "--csv", "curves.csv"]) == 0
    assert "curves.csv: 210 rows" in capsys.readouterr().out


def test_curves_where_every_run_failed_are_a_table_without_rows(file, capsys, tmp_path):
    fill(file, status=lambda label, run: Status.FAILED)
    assert cli.main(["study", "export", file, "--curves", "--csv", "curves.csv"]) == 0
    assert "curves.csv: 0 rows" in capsys.readouterr().out
    assert (tmp_path / "curves.csv").read_text().startswith("key,label,stage,")


def test_query(file, capsys):
    pytest.importorskip("duckdb")
    fill(file)
    assert cli.main(["study", "query", file, "select count(*) as n, min(step) as first from curves"]) == 0
    assert capsys.readouterr().out == "n,first\n210,0.0\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "nowhere.toml"], "nowhere.toml"),
        (["export", "{file}"], "--csv or --parquet must be given"),
        (["export", "{file}", "--csv", "runs.txt"], "must end in .csv"),
        (
            ["export", "{file}", "--csv", "runs.csv"],
            "must have at least one finished run; got none in out/studies",
        ),
        (["export", "{file}", "--parquet", "runs.parquet", "--curves"], "Run it first, with unitcircle study run"),
        (
            ["query", "{file}", "select * from runs"],
            "must have at least one finished run; got none in out/studies",
        ),
        (["run", "{file}", "--minutes", "-3"], "minutes must be a number that is not negative; got -3.0"),
        (["run", "{file}", "--workers", "0"], "workers must be at least 1"),
        (["run", "{file}", "--engine", "nonsense"], "nonsense"),
        (["run", "{file}", "--engine", "slurm", "--gpu-fraction", "0.5"], "--gpu-fraction"),
        (["run", "{file}", "--gpu-fraction", "0.5"], "gpu_fraction needs an experiment on a GPU"),
    ],
)
def test_what_cannot_be_used_has_status_2(arguments, said, file, capsys):
    assert cli.main(["study", *(text.format(file=file) for text in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_a_command_runs_after_its_line_is_parsed():
    call = tyro.cli(Command, args=["show", "nowhere.toml"])
    with pytest.raises(ArgumentError, match=r"nowhere\.toml"):
        call()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_has_ended_and_shows_it(file, capsys, monkeypatch, signum):
    from unitcircle.experiments import studies

    fill(file, keep=lambda label, run: run.seed != 7)

    def interrupted(*arguments, **options):
        signal.raise_signal(signum)

    monkeypatch.setattr(studies, "execute", interrupted)
    assert cli.main(["study", "run", file]) == 130
    assert "run the command again to resume" in " ".join(capsys.readouterr().out.split())
    folder = Path("out/studies/little")
    written = {"table.csv", "comparison.json", "figure.png", "figure.svg", "report.html"}
    assert written <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / "comparison.json").read_text(encoding="utf-8"))["missing"] == 3


def test_a_second_interrupt_ends_the_page_as_well(file, monkeypatch):
    from unitcircle.experiments import studies

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(studies, "execute", interrupted)
    monkeypatch.setattr("unitcircle.cli._study.write_results", interrupted)
    assert cli.main(["study", "run", file]) == 130


@pytest.mark.slow
def test_run_trains_compares_writes_and_resumes(tmp_path, capsys):
    path = tmp_path / "little.toml"
    text = TOML.format(seeds=2).replace("tuning_seeds = 2", "tuning_seeds = 1")
    path.write_text(text, encoding="utf-8")
    assert cli.main(["study", "run", str(path), "--workers", "1", "--minutes", "0"]) == 1
    assert "0 of 12 runs" in capsys.readouterr().out
    assert cli.main(["study", "run", str(path), "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "complete: 12 runs" in out
    assert "\x1b" not in out
    folder = tmp_path / "out/studies/little"
    assert {p.name for p in folder.iterdir()} == {
        "runs",
        "table.csv",
        "comparison.json",
        "figure.png",
        "figure.svg",
        "report.html",
    }
    first = (folder / "comparison.json").read_bytes()
    records = sorted((folder / "runs").iterdir())
    assert len(records) == 12
    score = json.loads(records[0].read_text(encoding="utf-8"))["summary"]["test_score"]
    assert 0 <= score <= 1
    assert not math.isnan(score)
    # A third of it lost and done again: the identical comparison.
    for lost in records[::3]:
        lost.unlink()
    assert cli.main(["study", "run", str(path), "--workers", "1"]) == 0
    assert (folder / "comparison.json").read_bytes() == first


def test_looking_at_records_loads_nothing_that_trains_or_draws(file):
    fill(file)
    code = (
        "import sys; from unitcircle.cli import main; main(['study', 'show', 'little.toml']);"
        "main(['study', 'compare', 'little.toml']);"
        "print('loaded', *{'torch', 'matplotlib', 'scipy.stats'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "loaded"
