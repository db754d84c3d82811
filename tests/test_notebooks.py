"""What a notebook shows of a result: one piece of HTML without scripts, every text of a file escaped."""

from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from tests.study_records import finder, record, study

import unitcircle as uc
from unitcircle._card import MOST_ROWS, card
from unitcircle.experiments.comparison import compare
from unitcircle.recurrence import from_torch

VOID = {"br", "img", "input", "hr", "meta", "link"}


class Balanced(HTMLParser):
    """Counts the elements, and fails where one is closed that is not open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.count = [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def layer(name="lstm", n=8):
    rng = np.random.default_rng(0)
    stack = np.linalg.qr(rng.standard_normal((4 * n, n)))[0]
    return from_torch(stack, cell="lstm", bias_ih=np.zeros(4 * n), name=name)


def shown():
    init = uc.initializers.parse("orthogonal")
    weight = init.sample(16, rng=0)
    yield "diagnosis", uc.diagnose([layer()]), "UC101"
    yield "spectrum", uc.spectrum(weight), "spectral norm"
    yield "batch", uc.spectrum(np.stack([weight, weight])), "batch"
    yield "law", uc.ensembles.SpectralRadius(10), "99% quantile"
    planned = study()
    records = finder(planned, lambda label, run: record(run, 0.5))
    yield "comparison", compare(planned, lambda run: records.get(run.key)), "p (Holm)"
    start = torch.zeros(1, dtype=torch.float64)
    yield "fixed points", uc.dynamics.fixed_points(lambda x, h: torch.tanh(2 * h), state=start), "unstable dimension"
    exponents = uc.dynamics.lyapunov_exponents(lambda x, h: torch.tanh(2 * h), 50, initial=start)
    yield "exponents", exponents, "Kaplan-Yorke dimension"
    yield "certificate", init.certificate(weight), "holds"


@pytest.mark.parametrize(("value", "words"), [pytest.param(*rest, id=name) for name, *rest in shown()])
def test_results_show_themselves(value, words):
    html = value._repr_html_()
    parsed = Balanced(html)
    assert words in html
    assert "script" not in parsed.count
    assert "http" not in html
    assert len(html) < 20_000
    assert "#" not in html.partition("</style>")[0]  # no colour of its own: it is that of the notebook, light or dark


def test_names_of_a_file_are_escaped():
    html = uc.diagnose([layer("<img src=x onerror=alert(1)>\u202e")])._repr_html_()
    assert "<img" not in html
    assert "\u202e" not in html
    Balanced(html)


def test_many_rows_are_folded():
    html = card("t", columns=["a"], rows=[(place,) for place in range(MOST_ROWS + 5)], lines=["end"])
    assert Balanced(html).count["tr"] == MOST_ROWS + 1
    assert "5 more rows" in html


def test_many_lines_and_long_names_are_folded():
    html = card("t", rows=[("x" * 1_000_000, 1.0)], lines=["y" * 1_000_000] * 5_000)
    assert len(html) < 100_000
    assert f"{5_000 - MOST_ROWS} more lines" in html


def test_a_diagnosis_as_a_table():
    frame = uc.diagnose([layer()]).to_frame()
    assert list(frame["gate"]) == ["i", "f", "g", "o"]
    assert frame["radius"].between(0, 1).all()
    assert {"norm", "departure_from_normality", "log_norm"} <= set(frame.columns)


def test_a_comparison_as_a_table():
    planned = study()
    records = finder(planned, lambda label, run: record(run, 0.5))
    frame = compare(planned, lambda run: records.get(run.key)).to_frame()
    assert set(frame["label"]) >= {"A", "B", "C"}
    assert (frame["mean"] == 0.5).all()
    assert {"group", "p_holm", "difference", "verdict"} <= set(frame.columns)


@pytest.mark.parametrize(
    ("points", "text"), [(1, "1 fixed point, 1 stable (3 of 3 starts"), (2, "2 fixed points, 2 stable (3 of 3 starts")]
)
def test_one_is_not_said_in_the_plural(points, text):
    values = np.zeros((points, 1, 2)), np.zeros(points), np.full((points, 2), 0.5 + 0j)
    assert str(uc.dynamics.FixedPoints(*values, starts=3, converged=3, tolerance=1e-9)).startswith(text)


def test_exponents_of_several_sequences_are_means():
    values = np.array([[0.5, -1.0], [0.1, -2.0]])
    found = uc.dynamics.LyapunovExponents(
        values, np.full((2, 2), 0.25), np.array([[True, True], [False, True]]), np.zeros(2), 3, 10, 10
    )
    html = found._repr_html_()
    assert "<td>1</td><td>0.3</td><td>0.25</td><td>1 of 2</td>" in html
    assert "means over 2 sequences" in html
    assert "entropy rate: 0.3" in html
