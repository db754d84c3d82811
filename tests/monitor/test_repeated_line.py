"""A line of numbers that repeats the names of one before it is read as json.loads reads it, or not at all."""

import json

import pytest

from unitcircle.monitor import read_run
from unitcircle.monitor._repeated_line import RepeatedLine
from unitcircle.monitor._run_line import parse_record

FIRST = '{"run": "a", "step": 10, "loss": 0.5, "h/radius": 1.25, "h/norm": 3}'
KEPT = ("loss", "h/radius")


def numbers(line, first=FIRST):
    shared = RepeatedLine.of(first.encode(), parse_record(first), KEPT)
    return shared.numbers(line.encode().split(b'"'))


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
        *((" 10,", f" {text},") for text in ("10.0", "1e1", str(2**53 + 1), "-")),
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
