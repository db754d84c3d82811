"""A monitored run in the terminal and as a page."""

import json
import math
import re
import tracemalloc
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console
from tests.report.pages import HOSTILE, assert_a_browser_shows, assert_hostile_names_are_inert

from unitcircle.errors import ArgumentError
from unitcircle.monitor import RunFile, read_run, watch_page, watch_view
from unitcircle.monitor._page import mark_lone_points, thin_frames
from unitcircle.monitor._run_line import COLUMNS
from unitcircle.monitor._view import BARS, TREND, sparkline

FINDING = {
    "code": "UC302",
    "name": "radius-grows",
    "severity": "warning",
    "layer": "rnn.weight_hh_l0",
    "gate": "f",
    "tensor": "rnn.weight_hh_l0",
    "message": "ρ < 2 & growing",
    "why": "why",
    "remedy": "remedy",
    "evidence": {},
}


def _record(step, run="a", **more):
    W = "rnn.weight_hh_l0.f"
    record = {"schema": 1, "step": step, "run": run, "loss": 1 / (step + 1), f"{W}/radius": 1 + step / 100}
    if step % 20 == 0:
        record["eigenvalues"] = {W: [[1 + step / 100, 0.0], [0.5, 0.25], [0.5, -0.25]]}
    return record | more


def _write(path, records, tail=""):
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return path


@pytest.fixture
def path(tmp_path):
    records = [_record(step) for step in range(0, 100, 10)]
    records[3]["findings"] = [FINDING]
    records[5]["loss"] = "nan"
    return _write(tmp_path / "run.jsonl", records)


def _text(run, width=100):
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(watch_view(run))
    return capture.get()


def test_the_view_shows_place_numbers_trend_and_findings(path):
    text = _text(read_run(path))
    assert "step 90, 10 measurements" in text
    assert "rnn.weight_hh_l0.f" in text
    assert "1.9" in text
    assert "▁▂▃▃▄▅▆▆▇█" in text
    assert "step 30: UC302 warning rnn.weight_hh_l0[f]: ρ < 2 & growing" in text


@pytest.mark.parametrize(
    ("width", "left_out"), [(120, ""), (80, "drift, update"), (60, "drift, update, gradient, ‖WᵀW−I‖")]
)
def test_names_stay_whole_and_columns_give_way(tmp_path, width, left_out):
    W = "encoder.weight_hh_l0.f"
    metrics = dict.fromkeys(("radius", "norm", "orthogonality", "drift", "update", "gradient"), 1.2345e-2)
    more = {f"{W}/{metric}": value for metric, value in metrics.items()}
    text = _text(read_run(_write(tmp_path / "run.jsonl", [_record(k) | more for k in range(30)])), width)
    assert all(len(line) <= width for line in text.splitlines())
    (line,) = [line for line in text.splitlines() if W in line]
    assert line.count("0.0123") == 6 - len(left_out.split(", ")) * bool(left_out)
    assert (f"no room for {left_out}" in text) == bool(left_out)


def test_a_name_that_fits_nowhere_is_folded(tmp_path):
    name = "a" * 50
    text = _text(
        read_run(_write(tmp_path / "run.jsonl", [{"step": 0, f"{name}/radius": 1.0, f"{name}/norm": 2.0}])), 40
    )
    assert text.count("a") > 49
    assert "1" in text


def test_the_last_run_counts_and_the_later_line_of_a_step(tmp_path):
    old = [_record(step, run="old") for step in range(3)]
    first = [_record(0), _record(10), _record(20, loss=7.0)]
    run = read_run(_write(tmp_path / "run.jsonl", [*old, *first, _record(20, loss=5.0)], '{"step": 30, "lo'))
    assert [record["step"] for record in run.records] == [0, 10, 20]
    assert run.series("loss")[1][-1] == 5.0
    assert run.unreadable == 1
    assert "1 lines could not be read" in _text(run)


@pytest.mark.parametrize("text", ["", "[1, 2]\n", "no json\n"])
def test_a_file_without_records_is_refused(tmp_path, text):
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=f"must hold records.*whose {len(text.splitlines())} lines are none"):
        read_run(path)
    with pytest.raises(ArgumentError, match="that can be read"):
        read_run(tmp_path / "missing.jsonl")


def test_frames_are_where_eigenvalues_were_computed(path):
    frames = read_run(path).frames("rnn.weight_hh_l0.f")
    assert [step for step, _ in frames] == [0, 20, 40, 60, 80]
    assert frames[1][1] == pytest.approx(np.array([1.2, 0.5 + 0.25j, 0.5 - 0.25j]))


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_the_page_is_self_contained_and_has_a_film_strip(path, tmp_path):
    written = watch_page(read_run(path), tmp_path / "new" / "run.html")
    text = written.read_text()
    tags = _Tags()
    tags.feed(text)
    assert sum(tag == "svg" for tag, _ in tags.found) == 2 + 1 + 5  # loss, ρ; colours; frames
    assert not [
        a for _, a in tags.found if any(k in a and not a[k].startswith(("data:", "#")) for k in ("src", "href"))
    ]
    for step in (0, 20, 40, 60, 80):
        assert f"step {step}" in text
    assert "ρ &lt; 2 &amp; growing" in text
    hover = json.loads(text.partition('id="hover">')[2].partition("</script>")[0])
    assert hover["strip0-1"][0] == "λ = 1.2 +0i,  |λ| = 1.2"
    assert len(hover["curve-loss-0"]) == 9  # one is not finite
    for gid in hover:
        assert f'id="{gid}"' in text


def test_a_browser_opens_the_page_without_console_errors(path, tmp_path, tab):
    assert_a_browser_shows(watch_page(read_run(path), tmp_path / "run.html"), tab, figures=8)
    assert tab.js("document.querySelector('.tile').textContent.trim()") == "! rnn.weight_hh_l0.f"
    assert tab.js("document.querySelector('h1').textContent").endswith(
        "yes: 1 warning; UC302 in rnn.weight_hh_l0[f] at step 30"
    )


def test_a_finding_at_many_steps_is_one_of_many_places(tmp_path):
    records = [_record(step) | {"findings": [FINDING | {"message": f"at {step}"}]} for step in range(50)]
    text = watch_page(read_run(_write(tmp_path / "run.jsonl", records)), tmp_path / "run.html").read_text()
    assert text.count('<section class="finding') == 1
    assert "and at 46 more" in text
    assert text.index("at 49") < text.index("at 48")


def test_of_many_weights_the_worst_are_drawn_and_the_table_has_all(tmp_path, monkeypatch):
    names = [f"blocks.{k}.weight_hh_l0" for k in range(30)]
    spectra = {name: [[0.5, 0.0]] for name in names}
    records = [{f"{name}/radius": 1.0 for name in names} | _record(step, eigenvalues=spectra) for step in (0, 20)]
    records[1]["findings"] = [FINDING | {"layer": names[17], "gate": ""}]
    run = read_run(_write(tmp_path / "run.jsonl", records))
    reads, at = [], type(run.records).at
    monkeypatch.setattr(type(run.records), "at", lambda self, places: reads.append(1) or at(self, places))
    text = watch_page(run, tmp_path / "run.html").read_text()
    assert len(reads) < 10  # not one for each weight
    table = text[text.index("<tbody>") :]
    rows = re.findall(r'<span id="weight-(\d+)">(\S+)</span></th><td[^>]*><span class="mark (\w+)">', table)
    assert rows[0] == ("17", names[17], "warning")
    assert len(rows) == 31
    assert re.findall(r"<summary><b>(.*?)</b>", text)[0] == names[17]
    assert text.count("<summary>") == 12
    assert "19 further weights: in the tables only" in text


def test_names_cannot_become_markup(tmp_path):
    finding = dict.fromkeys(FINDING, HOSTILE)
    numbers = {f"{HOSTILE}/radius": 1.0, f"{HOSTILE}/exponent": 0.5}
    lists = {"eigenvalues": {HOSTILE: [[1.0, 0.0]]}, "gradient_by_lag": {HOSTILE: [0.0, -1.0]}, "findings": [finding]}
    run = read_run(_write(tmp_path / "run.jsonl", [{"step": 0, **numbers, **lists}]))
    assert_hostile_names_are_inert(watch_page(run, tmp_path / "run.html").read_text(encoding="utf-8"))


def test_a_dollar_in_a_name_ends_no_page(tmp_path):
    name = "$\\frac{x B_1^$"
    lists = {"eigenvalues": {name: [[1.0, 0.0]]}, "gradient_by_lag": {name: [0.0, -1.0]}}
    run = read_run(_write(tmp_path / "run.jsonl", [{"step": 0, f"{name}/radius": 1.0, **lists}]))
    assert "frac" in watch_page(run, tmp_path / "run.html").read_text(encoding="utf-8")


def test_a_long_film_is_cut_to_first_last_and_some_between(tmp_path):
    run = read_run(_write(tmp_path / "run.jsonl", [_record(step) for step in range(0, 1000, 20)]))
    text = watch_page(run, tmp_path / "run.html").read_text()
    steps = [int(found) for found in re.findall(r"step (\d+), ρ", text)]
    assert steps == [0, 200, 400, 580, 780, 980]  # of every twentieth those nearest to equal parts
    # A film that is ever more sparse is cut to equal parts of the run all the same.
    frames = [(step, np.zeros(1)) for step in [*range(17), 36, 48, 62, 84, 100]]
    assert [step for step, _ in thin_frames(frames)] == [0, 16, 36, 62, 84, 100]


def test_a_run_without_eigenvalues_or_loss_has_a_page_too(tmp_path):
    run = read_run(_write(tmp_path / "run.jsonl", [{"step": 0, "W/radius": 1.0}]))
    assert "over time</h2>" not in watch_page(run, tmp_path / "run.html").read_text().replace("Over time", "", 1)
    assert "step 0, 1 measurement" in _text(run)


_GOOD = {"step": 1, "run": "r", "loss": 1.0, "w/radius": 1.0, "w/norm": 1.2}
_UNEXPECTED = [
    {"step": 10**400},
    {"step": True},
    {"step": 1.5},
    {"run": ["r"]},
    {"loss": None},
    {"loss": "NaN"},
    {"w/radius": None},
    {"w/radius": [1.0]},
    {"w/radius": 10**400},
    {"l/exponent": {}},
    {"monitor/share": "much"},
    {"findings": {}},
    {"findings": [None]},
    {"findings": [{"code": "x"}]},
    {"findings": [FINDING | {"message": 3}]},
    {"findings": [FINDING | {"gate": 3}]},
    {"eigenvalues": [1]},
    {"eigenvalues": {"w": []}},
    {"eigenvalues": {"w": [[1.0]]}},
    {"eigenvalues": {"w": [[1.0, None]]}},
    {"eigenvalues": {"w": None}},
    {"gradient_by_lag": {"l": "x"}},
    {"gradient_by_lag": {"l": [[]]}},
    {"gradient_by_lag": 3},
]


def _see(path, tmp_path):
    run = read_run(path)
    return run, _text(run), watch_page(run, tmp_path / "run.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("more", _UNEXPECTED, ids=lambda more: str(more)[:30])
def test_a_line_that_no_monitor_writes_is_counted(tmp_path, more):
    run, text, _ = _see(_write(tmp_path / "run.jsonl", [_GOOD, _GOOD | {"step": 2} | more]), tmp_path)
    assert [record["step"] for record in run.records] == [1]
    assert "1 lines could not be read" in text


@pytest.mark.parametrize("line", ["[" * 200_000, '{"step": 3, "x": ' + "[" * 200_000, "9" * 5000, "null", "{}", "NaN"])
def test_json_of_another_kind_is_counted(tmp_path, line):
    assert read_run(_write(tmp_path / "run.jsonl", [_GOOD], line + "\n")).unreadable == 1


_SHOWN = [
    {"loss": 1e308, "w/radius": -1e308, "w/norm": 10**200},
    {"loss": math.inf, "w/radius": math.nan},
    {"loss": "inf", "w/radius": "nan"},
    {"eigenvalues": {"w": [[1e308, -1e308], [0.5, 0.0]]}},
    {"eigenvalues": {"w": [["nan", "nan"]]}},
    {"gradient_by_lag": {"w": [1e308, -1e308]}, "w/exponent": 1e308},
    {"\ud800/radius": 1.0, "\x1b[2J\n\u202e/exponent": 1.0, "findings": [FINDING | {"message": "\ud800\x1b[2J"}]},
    {"/radius": 1.0, "/": 1, "/exponent": 0.0},
]


@pytest.mark.parametrize("more", _SHOWN, ids=lambda more: str(more)[:30])
@pytest.mark.parametrize("step", [2, -(2**53)])
def test_what_is_huge_or_not_finite_is_shown(tmp_path, more, step):
    # The same numbers twice, negative in between: the extent of no axis may overflow.
    other = {name: -value if isinstance(value, float) else value for name, value in more.items()}
    records = [_GOOD, _GOOD | {"step": step} | more, _GOOD | {"step": 2**53} | other]
    run, text, page = _see(_write(tmp_path / "run.jsonl", records), tmp_path)
    assert (len(run.records), run.unreadable) == (3, 0)
    assert "\x1b" not in text + page
    assert "\u202e" not in page


def test_a_run_of_which_nothing_was_measured_has_a_page_without_an_empty_figure(tmp_path):
    _, _, page = _see(_write(tmp_path / "run.jsonl", [{"step": 1}]), tmp_path)
    assert "<svg" not in page
    assert "No loss and no weight has been measured." in page


def test_a_point_without_neighbours_is_marked():
    from matplotlib.lines import Line2D

    line = Line2D(range(6), [1.0, math.nan, 2.0, 3.0, math.nan, 4.0])
    mark_lone_points(line)
    assert (line.get_marker(), line.get_markevery()) == ("o", [0, 5])
    line = Line2D(range(3), [1.0, 2.0, 3.0])
    mark_lone_points(line)
    assert line.get_marker() == "None"


def test_sparklines():
    assert sparkline(np.array([0.0, 1.0])) == BARS[0] + BARS[-1]
    assert sparkline(np.array([2.0, 2.0])) == BARS[0] * 2
    assert sparkline(np.array([0.0, math.nan, 7.0])) == BARS[0] + " " + BARS[-1]
    assert sparkline(np.array([math.nan])) == ""
    assert len(sparkline(np.arange(1000.0))) == TREND


def test_memory_does_not_grow_with_the_text_of_the_records(tmp_path):
    path = tmp_path / "run.jsonl"
    weights = {f"rnn.weight_hh_l{k}.{metric}/{m}": 0.5 for k in range(8) for metric in "ifgo" for m in COLUMNS}
    count, text = 400, json.dumps(weights)[1:]
    with path.open("w") as file:
        file.writelines(f'{{"run": "a", "step": {step}, "loss": 1.0, {text}\n' for step in range(count))
    tracemalloc.start()
    run = RunFile(path).read()
    assert len(run.records) == count
    # Of each record four numbers and those that are drawn, 33 of 8 bytes; a piece of the file, one line and its pattern
    # besides.
    assert tracemalloc.get_traced_memory()[0] < 2 * count * 8 * (4 + 33) + 2**19
    assert tracemalloc.get_traced_memory()[1] < 2**20 * 6
    tracemalloc.stop()
    assert path.stat().st_size > 3 * 2**20
    np.testing.assert_array_equal(run.series("rnn.weight_hh_l0.i/norm")[1], np.full(count, 0.5))


def test_a_file_that_is_rewritten_while_it_is_looked_at_is_refused(tmp_path):
    path = _write(tmp_path / "run.jsonl", [_record(0), _record(10)])
    run = RunFile(path).read()
    path.write_text("x" * 4000)
    with pytest.raises(ArgumentError, match="must not be rewritten"):
        list(run.records)


def test_a_look_reads_what_is_new(tmp_path, monkeypatch):
    path = _write(tmp_path / "run.jsonl", [_record(0), _record(10)])
    file, parsed = RunFile(path), []
    loads = json.loads
    monkeypatch.setattr(
        "unitcircle.monitor._run_line.json.loads", lambda line, **how: parsed.append(line) or loads(line, **how)
    )
    assert len(file.read().records) == len(parsed) == 2
    with path.open("a") as opened:
        opened.write(json.dumps(_record(20)) + "\n" + '{"step": 30, ')
    run = file.read()
    assert len(parsed) == 3
    assert [record["step"] for record in run.records] == [0, 10, 20]
    with path.open("a") as opened:  # the rest of the line that was being written
        opened.write('"run": "a", "loss": 2.0}\n')
    run = file.read()
    assert [record["step"] for record in run.records] == [0, 10, 20, 30]
    assert run.unreadable == 0
    # A second run, and another file by the same name.
    with path.open("a") as opened:
        opened.write(json.dumps(_record(5, run="b")) + "\n")
    assert [record["step"] for record in file.read().records] == [5]
    _write(path, [_record(1)])
    assert [record["step"] for record in file.read().records] == [1]


def test_two_monitors_may_write_to_one_file_in_turns(tmp_path):
    records = [_record(step, run=run) for step in range(10) for run in "ab"]
    run = read_run(_write(tmp_path / "run.jsonl", records))
    assert {record["run"] for record in run.records} == {"b"}
    assert len(run.records) == 10
    assert "the run of the last line; the file holds 1 other run" in _text(run)
    assert "the file holds 1 other run</p>" in watch_page(run, tmp_path / "run.html").read_text()


def _on_batch(step, drop):
    names = {"exponent": -0.05, "gradient_growth": -0.0625, "gradient_horizon": "inf", "saturation": 0.375, "dead": 0.0}
    curve = {"rnn.l0": [0.0, -1.0 * drop, -2.0 * drop, "-inf"]}
    return _record(step, gradient_by_lag=curve, **{f"rnn.l0/{name}": value for name, value in names.items()})


def test_what_a_batch_says_is_shown_though_it_is_not_measured_each_time(tmp_path):
    W = "rnn.weight_hh_l0.f"
    records = [_on_batch(0, 1.0), _on_batch(10, 3.0), _record(20)]
    records[1] |= {f"{W}/departure": 1.75}
    records[2] |= {f"{W}/transient": 0.625}
    run = read_run(_write(tmp_path / "run.jsonl", records))
    text = _text(run)
    assert "batch, step 10" in text
    (line,) = [line for line in text.splitlines() if "rnn.l0" in line]
    assert line.split() == ["rnn.l0", "-0.05", "-0.0625", "inf", "0.375", "0"]
    (line,) = [line for line in text.splitlines() if W in line]
    assert line.split()[2:4] == ["1.75", "0.625"]
    page = watch_page(run, tmp_path / "run.html").read_text()
    hover = json.loads(page.partition('id="hover">')[2].partition("</script>")[0])
    assert hover["lag-first-0"] == [f"rnn.l0: {value} at lag {k} (step 0)" for k, value in enumerate(("0", "-1", "-2"))]
    assert hover["lag-latest-0"][2] == "rnn.l0: -6 at lag 2 (step 10)"
    assert hover["curve-exponent-0"] == ["rnn.l0: -0.05 (step 0)", "rnn.l0: -0.05 (step 10)"]
    for gid in hover:
        assert f'id="{gid}"' in page
    assert "<td>0.375</td>" in page


def test_one_measurement_stands_between_whole_steps(tmp_path):
    run = read_run(_write(tmp_path / "run.jsonl", [_record(0)]))
    labels = re.findall(r"<!-- (\S+) -->|<text[^>]*>(\S+)</text>", watch_page(run, tmp_path / "run.html").read_text())
    texts = {text for pair in labels for text in pair}
    assert {"−1", "0", "1"} <= texts
    assert "−0.04" not in texts
