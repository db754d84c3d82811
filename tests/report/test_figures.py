"""Figures show the numbers they claim to show."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from unitcircle import report
from unitcircle.errors import ArgumentError
from unitcircle.spectra import spectrum

EPS = np.finfo(float).eps
ROTATION = np.array([[0.0, -0.5], [0.5, 0.0]])
JORDAN = np.array([[0.9, 1.0], [0.0, 0.9]])


@pytest.fixture
def ax():
    return Figure().subplots()


def test_eigenvalues_are_the_points_drawn(ax):
    report.plot_eigenvalues(ROTATION, ax=ax)
    (points,) = ax.collections
    np.testing.assert_allclose(sorted(points.get_offsets()[:, 1]), [-0.5, 0.5], rtol=2 * EPS)
    assert ax.get_title() == "spectral radius ρ = 0.5"


def test_power_norms_are_the_curves_drawn(ax):
    report.plot_power_norms({"r": ROTATION, "j": JORDAN, "0": np.zeros((2, 2))}, steps=3, ax=ax)
    curves = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(curves["r"], np.log10(0.5) * np.arange(4), atol=4 * 3 * EPS)  # 3 steps
    expected = [np.log10(np.linalg.norm(np.linalg.matrix_power(JORDAN, t), 2)) for t in range(4)]
    np.testing.assert_allclose(curves["j"], expected, atol=4 * 3 * EPS)
    assert curves["0"][0] == 0
    assert np.isnan(curves["0"][1:]).all()


def test_singular_values_fall(ax):
    report.plot_singular_values(JORDAN, ax=ax)
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), np.linalg.svd(JORDAN, compute_uv=False), rtol=4 * EPS)


def test_pseudospectrum_contours_surround_the_eigenvalues(ax):
    report.plot_pseudospectrum(JORDAN, points=21, ax=ax)
    assert ax.get_title().startswith("log₁₀ ε")
    assert any(len(path.vertices) for c in ax.collections for path in c.get_paths())


def test_new_axes_by_default():
    before = dict(plt.rcParams)
    ax = report.plot_eigenvalues(ROTATION)
    plt.close(ax.figure)
    assert dict(plt.rcParams) == before


def test_overview_has_a_panel_a_weight():
    figure = report.weight_overview({"a": ROTATION, "b": JORDAN, "c": JORDAN, "d": JORDAN, "e": ROTATION})
    titles = [ax.get_title() for ax in figure.get_axes()]
    assert [t for t in titles if t in set("abcde")] == list("abcde")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_no_text_of_an_overview_lies_on_another(count):
    names = [f"eigen(modulus=0.{k}, angles=uniform)" for k in range(count)]
    figure = report.weight_overview(dict.fromkeys(names, ROTATION))
    figure.draw_without_rendering()
    legends = [legend for part in (figure, *figure.subfigs) for legend in part.legends]
    boxes = [
        text.get_window_extent() for ax in figure.get_axes() for text in (ax.title, ax.xaxis.label, ax.yaxis.label)
    ]
    boxes = [box for box in boxes + [legend.get_window_extent() for legend in legends] if box.width > 0]
    assert len(legends) == (count > 1)
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_singular_value_of_one_is_not_on_the_edge(ax):
    report.plot_singular_values(np.eye(2), ax=ax)
    assert ax.get_ylim() == (0, 1.05)


def test_save_leaves_nothing_behind_when_it_fails(tmp_path, monkeypatch):
    figure = Figure()
    monkeypatch.setattr(figure, "savefig", lambda *_args, **_kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.save_figure(figure, tmp_path / "f.png")
    assert list(tmp_path.iterdir()) == []


def test_save_refuses_unknown_formats(tmp_path):
    with pytest.raises(ArgumentError, match="must end in one of"):
        report.save_figure(Figure(), tmp_path / "f.bmpx")


def test_a_diagonal_weight_is_drawn_from_its_diagonal(ax):
    diagonal = np.array([0.5, -0.8j])
    report.plot_eigenvalues(diagonal, ax=ax)
    np.testing.assert_allclose(sorted(ax.collections[0].get_offsets()[:, 1]), [-0.8, 0.0], atol=EPS)
    for plot, expected in ((report.plot_singular_values, [0.8, 0.5]), (report.plot_power_norms, None)):
        axes = Figure().subplots()
        plot(diagonal, ax=axes)
        dense = Figure().subplots()
        plot(np.diag(diagonal), ax=dense)
        np.testing.assert_allclose(axes.lines[-1].get_ydata(), dense.lines[-1].get_ydata(), atol=64 * EPS)  # 64 steps
        assert expected is None or axes.lines[-1].get_ydata().tolist() == expected


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_the_same_figure_is_the_same_file(suffix, tmp_path, monkeypatch):
    written = []
    for year in (2001, 2002):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(31_557_600 * (year - 1970)))
        path = report.save_figure(report.weight_overview({"a": ROTATION}), tmp_path / f"{year}.{suffix}")
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_no_contour_of_a_pseudospectrum_is_cut_by_the_edge_of_the_picture(ax):
    report.plot_pseudospectrum(JORDAN, points=21, ax=ax)
    (contours,) = [c for c in ax.collections if isinstance(c, ContourSet)]
    drawn = np.abs(np.concatenate([path.vertices for path in contours.get_paths()]))
    assert drawn.max() < 1.15 * np.linalg.norm(JORDAN, 2) * (1 - EPS)  # the grid ends there


PLOTS = [report.plot_eigenvalues, report.plot_singular_values, report.plot_power_norms, report.plot_pseudospectrum]


@pytest.mark.parametrize("plot", PLOTS)
def test_a_spectrum_is_drawn_as_its_weight(plot, ax):
    W = np.random.default_rng(0).standard_normal((5, 5)) / 5**0.5
    drawn, expected = plot(spectrum(W), ax=Figure().subplots()), plot(W, ax=ax)
    for ours, theirs in zip(drawn.get_lines(), expected.get_lines(), strict=True):
        np.testing.assert_array_equal(ours.get_xydata(), theirs.get_xydata())
    for ours, theirs in zip(drawn.collections, expected.collections, strict=True):
        np.testing.assert_array_equal(ours.get_offsets(), theirs.get_offsets())


@pytest.mark.parametrize("plot", [report.plot_eigenvalues, report.plot_power_norms, report.plot_singular_values])
def test_names_of_any_letters_stand_in_the_legend(plot):
    names = ["_private", "$\\frac{x B_1^$"]
    ax = plot({name: np.eye(2) for name in names})
    ax.figure.canvas.draw()
    shown = [text.get_text().strip().replace("\\$", "$") for text in ax.get_legend().get_texts()]
    assert shown == names
