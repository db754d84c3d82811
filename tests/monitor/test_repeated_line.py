"""A line of numbers that repeats the names of one before it is read as json.loads reads it, or not at all."""

import json

import numpy as np
import pytest

from unitcircle.monitor import _run_file, read_run
from unitcircle.monitor._repeated_line import RepeatedLine
from unitcircle.monitor._run_line import parse_record

FIRST = '{"run": "a", "step": 10, "loss": 0.5, "h/radius": 1.25, "h/norm": 3}'
KEPT = ("loss", "h/radius")


def numbers(line, first=FIRST):
    shared = RepeatedLine.of(first.encode(), parse_record(first), KEPT)
    found, ends = shared.read(f"{line}\n{first}".encode(), 0)
    assert ends.tolist() == [len(line.encode()) + 1] * (len(found) > 0)
    return tuple(found) or None


@pytest.mark.parametrize(
    ("loss", "norm"), [("0.25", "1"), ("-1e-3", "2.5E+4"), ("7", "-0"), ("1e999", "0.0"), ("-0.125e2", "1" * 300)]
)
def test_numbers_are_those_of_json(loss, norm):
    line = FIRST.replace("0.5", loss).replace("3}", f"{norm}}}").replace("10", "20")
    record = json.loads(line)
    assert numbers(line) == (20, *(float(record[name]) for name in KEPT))


@pytest.mark.parametrize("first", [FIRST, FIRST.replace('"run": "a", ', ""), FIRST.replace('"a"', '"ä b"')])
def test_with_and_without_the_name_of_a_run(first):
    assert numbers(first, first) == (10, 0.5, 1.25)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(
            (" 3}", f" {text}}}")
            for text in ("01", "+1", ".5", "1.", "1e", "nan", "NaN", "1_0", "[1]", "true", "", "1 ")
        ),
        *((" 0.5,", f" {text},") for text in ("--1", "0.5.5", "0.5,", "", '"nan"', "1e+-1", "0x1", "\u0663")),
        *((" 10,", f" {text},") for text in ("10.0", "1e1", str(10**15), "-")),
        (" 3}", " 3"),
        (" 3}", " 3}}"),
        (" 3}", " 3} "),
        ('": 3', '" : 3'),
        ('"h/norm": ', '"h/norm"'),
        ("{", ""),
        ('"run": "a", ', '"run", "a": '),
        (" 3}", " " + "1" * 302 + "}"),
    ],
)
def test_a_line_written_in_another_way_is_left_to_json(old, new):
    assert numbers(FIRST.replace(old, new, 1)) is None


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 1, "loss": 1.0, "h/radius": 1.0, "findings": []}',
        '{"loss": 1.0, "h/radius": 1.0}',
        '{"step": 1, "loss": 1.0, "h/radius": 1.0, "loss": 2.0}',
        '{"step": 1, "loss": 1.0, "h/radius": 1.0, "a\\u0009": 2.0}',
        '{"loss": 1.0, "step": 1, "h/radius": 1.0}',
        '{"step": 1, "run": "a", "loss": 1.0, "h/radius": 1.0}',
        '{"step": 1, "loss": NaN, "h/radius": 1.0}',
    ],
)
def test_what_is_not_numbers_alone_repeats_nothing(line):
    record = json.loads(line)
    assert RepeatedLine.of(line.encode(), record, [name for name in KEPT if name in record]) is None


def test_runs_in_turns_shapes_in_turns_and_damaged_lines(tmp_path):
    lines = []
    for k in range(12):
        wide = ', "h/norm": 1.5' if k % 3 == 0 else ""
        name = '"nan"' if k == 7 else f"{k}.5"
        lines.append(f'{{"run": "{"ab"[k % 2]}", "step": {k}, "loss": {name}, "h/radius": 1.0{wide}}}')
    lines.insert(5, lines[3].replace(" 1.0", " 1.0.0"))
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(lines) + "\n")
    run = read_run(path)
    assert run.steps.tolist() == [1, 3, 5, 7, 9, 11]
    assert [run.unreadable, run.others] == [1, 1]
    steps, losses = run.series("loss")
    assert [losses[steps == k].tolist() for k in (1, 3, 5, 9, 11)] == [[k + 0.5] for k in (1, 3, 5, 9, 11)]
    assert str(losses[3]) == "nan"
    assert run.series("h/norm")[0].tolist() == [3, 9]


def random_file(rng, count=400):
    """Lines of two runs and several shapes, in turns or not; now and then one that is damaged or empty."""
    shapes = [("loss", "h/radius"), ("loss", "h/radius", "h/norm"), ("h/radius", "loss"), ("h/norm",)]
    lines, shape, run = [], shapes[0], "a"
    for k in range(count):
        if rng.random() < 0.15:
            shape, run = shapes[rng.integers(4)], "ab"[rng.integers(2)]
        step = int(rng.integers(50)) if rng.random() < 0.05 else k
        record = {"run": run, "step": step, **{name: float(f"{rng.normal():.7g}") for name in shape}}
        if rng.random() < 0.03:
            record |= {"loss": "nan"} if rng.random() < 0.5 else {"step": 2**53 - k}
        line = json.dumps(record)
        lines.append(line[:-3] if rng.random() < 0.03 else "" if rng.random() < 0.03 else line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(8))
def test_a_file_is_read_as_line_by_line(tmp_path, monkeypatch, seed):
    path = tmp_path / "run.jsonl"
    path.write_text(random_file(np.random.default_rng(seed)))
    monkeypatch.setattr(_run_file, "PIECE", [97, 1 << 20][seed % 2])
    fast = read_run(path)
    monkeypatch.setattr(_run_file, "OFTEN", 10**9)
    slow = read_run(path)
    assert [fast.unreadable, fast.others] == [slow.unreadable, slow.others]
    assert list(fast.records) == list(slow.records)
    assert np.array_equal(fast.shapes, slow.shapes)
    assert fast.kept.keys() == slow.kept.keys()
    for name, values in slow.kept.items():
        assert np.array_equal(fast.kept[name], values, equal_nan=True)
        assert np.array_equal(fast.kept[name], [float(r.get(name, "nan")) for r in slow.records], equal_nan=True)


def test_a_pattern_is_made_for_lines_that_repeat(tmp_path, monkeypatch):
    """Otherwise the test above compares the slow way with itself."""
    path = tmp_path / "run.jsonl"
    path.write_text("".join(f'{{"step": {k}, "loss": {k}.5}}\n' for k in range(50)))
    parsed = []
    monkeypatch.setattr(_run_file, "parse_record", lambda *line: parsed.append(line) or parse_record(*line))
    run = read_run(path)
    assert run.kept["loss"].tolist() == [k + 0.5 for k in range(50)]
    assert len(parsed) == _run_file.OFTEN + 1
