"""The committed records: pages are computed from them again, and a new initializer is placed among them."""

import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle_reproduction import Context, _archive, _board, _kept_records, _parquet, _transition
from unitcircle_reproduction._leaderboard import leaderboard
from unitcircle_reproduction.eigen import _answers as answers
from unitcircle_reproduction.eigen import _bracketed as bracketed
from unitcircle_reproduction.eigen import _departures as departures
from unitcircle_reproduction.eigen import _dose as dose
from unitcircle_reproduction.orthogonal import _clipping as clipping
from unitcircle_reproduction.orthogonal import _gating as gating
from unitcircle_reproduction.orthogonal import _linear_transition as linear
from unitcircle_reproduction.orthogonal import _stabilizer as stabilizer
from unitcircle_reproduction.orthogonal import _standstill as standstill
from unitcircle_reproduction.orthogonal import _unitary as unitary
from unitcircle_reproduction.prediction import _second_look as second
from unitcircle_reproduction.prediction._out_of_sample import transfer
from unitcircle_reproduction.prediction._ranking import rankings
from unitcircle_reproduction.prediction._runs import records, table
from unitcircle_reproduction.prediction._screen import screen

RESULTS = Path(__file__).parents[2] / "docs" / "results"
SEED = 8
RUN = {
    "task": "adding", "cell": "tanh(size=8)", "recurrent": "zeros()", "bias": "zeros()", "seed": 1090,
    "learning_rate": 0.1,
}  # fmt: skip
RECORD = json.dumps({"run": RUN, "status": "diverged", "message": "the loss overflowed at step 3", "summary": {}})


@pytest.mark.parametrize(
    ("claims", "page"),
    [
        (dose.claims, "reproduce-dose.md"),
        (linear.claims, "reproduce-transitions.md"),
        (departures.claims, "reproduce-transitions.md"),
        (standstill.claims, "reproduce-gradients.md"),
    ],
)
def test_the_pages_are_those_of_the_records(claims, page, tmp_path, monkeypatch):
    monkeypatch.setattr(_kept_records, "contest", lambda *_: pytest.fail("trained"))
    text = (RESULTS / page).read_text(encoding="utf-8")
    seed = int(re.search(r"--seed (\d+)", text)[1])
    for claim in claims(Context(tmp_path, full=True, seed=seed)):
        assert claim.measured in text
        assert f"**Verdict:** {claim.verdict}" in text
        for row in claim.table:
            # Numbers of a page have four digits; names and intervals are printed as they are.
            assert all(value in text for value in row.values() if isinstance(value, str))


def test_records_are_small_and_whole():
    entries = _kept_records.committed()
    assert _parquet.SHIPPED.stat().st_size < 5e6
    assert len(entries) == len({(e.protocol, e.law, e.seed) for e in entries})
    # Every law of a contest has the same eight seeds.
    assert set(Counter((e.protocol, e.law) for e in entries).values()) == {8}
    assert "seeds 80 to 87" in (_parquet.SHIPPED.parent / "README.md").read_text(encoding="utf-8")


def _entries(seeds=(0, 1)):
    task = dose.CELLS["tanh"]
    return task, [
        _kept_records.Entry(_kept_records.protocol(task), "a, b", law, seed, 0.1, True, loss, 1 / 3)
        for law in ("x(a=1, b=2)", "y")
        for seed, loss in zip(seeds, (0.1, math.inf), strict=False)
    ]


def test_what_is_written_is_read_back_bit_by_bit(tmp_path):
    _, entries = _entries()
    _kept_records.write(entries, tmp_path / "r.csv")
    assert list(_kept_records.read(tmp_path / "r.csv")) == entries
    assert _kept_records.read(tmp_path / "none.csv") == ()


def test_records_of_another_protocol_seed_or_law_are_not_used():
    task, entries = _entries()
    laws = {"a": "x(a=1, b=2)", "b": "y"}
    assert _kept_records.arrays_of(entries, task, laws, 0)["scores"].tolist() == [[0.1, math.inf]] * 2
    assert _kept_records.arrays_of(entries, task, laws, 10) == {}
    assert _kept_records.arrays_of(entries, dose.CELLS["linear"], laws, 0) == {}
    assert _kept_records.arrays_of(entries[:-1], task, laws, 0) == {}
    assert _kept_records.arrays_of(entries, task, laws | {"c": "z"}, 0) == {}


def test_a_new_initializer_is_placed_and_held_against_each_line():
    noise = np.random.default_rng(0).normal(0, 1e-3, (4, 8))
    old = {"good": 0.1 + noise[0], "alike": 0.5 + noise[1], "bad": 0.9 + noise[2]}
    board = _board.places("new", 0.5 + noise[3], old, at_edge=dict.fromkeys([*old, "new"], False), baseline=1.0)
    assert {place.label: place.standing for place in board} == {
        "good": "better", "new": "", "alike": "no practical difference", "bad": "worse",
    }  # fmt: skip
    assert [place.median for place in board] == sorted(place.median for place in board)
    # A board of a dozen lines still tells what is plainly apart.
    many = {f"line {k}": 0.9 + noise[k % 3] for k in range(12)}
    crowd = _board.places("new", 0.5 + noise[3], many, at_edge=dict.fromkeys([*many, "new"], False), baseline=1.0)
    assert [place.standing for place in crowd] == ["", *["worse"] * 12]
    wild = {"wild": np.random.default_rng(1).normal(0.5, 0.3, 8)}
    (_, line) = sorted(_board.places("new", 0.5 + noise[3], wild, at_edge={"new": False, "wild": True}, baseline=1.0))
    assert line.standing.startswith("not told apart; about ")
    assert line.at_edge


def test_the_command_trains_by_the_protocol_of_the_records(monkeypatch, capsys):
    asked = []

    def contest(task, laws, first_seed):
        asked.append((task, laws, first_seed))
        return {"scores": np.full((1, 8), 1e-9), "rates": np.array([0.1]), "edge": np.array([True])}

    monkeypatch.setattr(_transition, "contest", contest)
    assert leaderboard("orthogonal(gain=1.05)", task="adding 100") == 0
    ((task, laws, first_seed),) = asked
    assert (task, laws, first_seed) == (_transition.ADDING, ("orthogonal(gain=1.05)",), 10 * SEED)
    out = capsys.readouterr().out
    assert out.index("(new)") < out.index("identity") < out.index("Haar ")
    assert "edge of those tried: orthogonal(gain=1.05) (new)" in " ".join(out.split())


def test_an_unknown_contest_or_initializer_is_refused():
    with pytest.raises(UnknownNameError, match="contest"):
        leaderboard("orthogonal", task="copying 30")
    with pytest.raises(UnknownNameError):
        leaderboard("orthogonl")


def test_a_contest_without_records_is_refused(monkeypatch):
    monkeypatch.setattr(_kept_records, "committed", lambda: ())
    with pytest.raises(ArgumentError, match="committed records"):
        leaderboard("orthogonal")


def test_what_is_packed_is_not_trained_again(tmp_path, monkeypatch):
    folder = tmp_path / "out" / "full-9"
    record = folder / "contest" / "runs" / "ab.json"
    record.parent.mkdir(parents=True)
    record.write_text(RECORD, encoding="utf-8")
    (folder / "text.txt").write_text("not kept")
    (folder / "measured").mkdir()
    np.savez(folder / "measured" / "a.npz", x=np.arange(3))
    path = tmp_path / "a.parquet"
    _archive.pack([folder], path)
    first = path.read_bytes()
    _archive.pack([folder], path)
    assert path.read_bytes() == first
    assert {str(name) for name in _archive.contents(path)} == {"full-9/contest/runs/ab.json", "full-9/measured/a.npz"}
    monkeypatch.setattr(_parquet, "SHIPPED", path)
    other = tmp_path / "new" / "full-9"
    _archive.unpack(other, "contest")
    assert [file.name for file in other.rglob("*.*")] == ["ab.json"]
    # Another seed, or a record that is there, is left alone.
    (other / "contest" / "runs" / "ab.json").write_bytes(b"[]")
    _archive.unpack(other, "contest")
    assert (other / "contest" / "runs" / "ab.json").read_bytes() == b"[]"
    _archive.unpack(tmp_path / "new" / "full-8", "contest")
    assert not (tmp_path / "new" / "full-8").exists()
    assert _archive.contents(tmp_path / "none") == {}
    (row,) = [row for row in _parquet.read(path) if row["kind"] == "run"]
    # What a query asks for stands in columns of its own.
    assert (row["law"], row["seed"], row["chooses_rate"], row["score"]) == ("zeros()", 1090, True, None)
    assert (row["status"], row["message"]) == ("diverged", "the loss overflowed at step 3")


def test_rows_of_transitions_are_packed_bit_by_bit(tmp_path):
    _, entries = _entries()
    path = tmp_path / "r.parquet"
    _parquet.write(map(_kept_records.columns, entries), path)
    assert sorted(_kept_records.committed(path)) == sorted(entries)
    _archive.pack([], path)
    assert sorted(_kept_records.committed(path)) == sorted(entries)


def test_every_column_stands_in_the_data_card():
    card = (_parquet.SHIPPED.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in card for name in _parquet.COLUMNS)


@pytest.mark.parametrize(
    ("claims", "page"),
    [
        (answers.claims, "reproduce-answers.md"),
        (bracketed.claims, "reproduce-tomita.md"),
        (clipping.claims, "reproduce-methods.md"),
        (gating.claims, "reproduce-methods.md"),
        (unitary.claims, "reproduce-methods.md"),
    ],
)
def test_pages_of_studies_are_computed_from_the_archive(claims, page, tmp_path, monkeypatch):
    monkeypatch.setattr("unitcircle.experiments.training._train._Stack.train", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr(answers, "fitted", lambda *_: pytest.fail("trained"))
    text = (RESULTS / page).read_text(encoding="utf-8")
    seed = int(re.search(r"--seed (\d+)", text)[1])
    claim = next(claims(Context(tmp_path, full=True, workers=1, seed=seed)))
    assert claim.measured in text
    assert f"**Verdict:** {claim.verdict}" in text
    assert _parquet.SHIPPED.stat().st_size < 5e6


def test_what_was_measured_of_the_stabilizer_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(stabilizer, "beyond", lambda *_: pytest.fail("trained"))
    claim = stabilizer.claim(Context(tmp_path, full=True, seed=9))
    assert claim.measured in (RESULTS / "reproduce-methods.md").read_text(encoding="utf-8")


def test_the_second_look_is_computed_from_the_archive(tmp_path):
    text = (RESULTS / "prediction-second-look.md").read_text(encoding="utf-8")
    _archive.unpack(tmp_path / "full-31", second.NAME)
    ranked = rankings(table(records([tmp_path])))
    scored, timed = (screen(ranked, outcome, seed=31) for outcome in ("score", "speed"))
    for claim in (transfer(scored, timed), second.named(scored)):
        assert claim.measured in text
        assert f"**Verdict:** {claim.verdict}: {claim.condition}" in text


def test_every_plain_network_of_the_first_look_is_in_the_file():
    rows = [row for row in _parquet.read() if row["contest"] == "prediction" and not row["cell"].startswith("gru")]
    reported, tuning = (
        Counter((row["task"], row["cell"], row["law"]) for row in rows if row["chooses_rate"] is chooses)
        for chooses in (False, True)
    )
    # 12 settings of 32 laws: three seeds at the better of two rates, one seed that chooses it.
    assert (len(reported), set(reported.values())) == (12 * 32, {3})
    assert (set(tuning), set(tuning.values())) == (set(reported), {2})
    assert {row["repetition"] for row in rows} == {"full-30"}
    assert {row["seed"] for row in rows} == {300, 301, 302, 1300}
    assert {row["status"] for row in rows} <= {"finished", "diverged"}
