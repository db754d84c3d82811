"""``unitcircle radius``, run as a user runs it."""

import json
import sys

import pytest

from unitcircle.cli import main


def test_exact_beside_sampled(capsys):
    assert main(["radius", "--n", "10", "--std", "2", "--draws", "2000"]) == 0
    out = capsys.readouterr().out
    assert "mean, exact" in out
    assert "6.726444" in out  # 2 × 3.3632219052 (shared/oracles/ginibre.json)
    assert "99 %: 9.6440" in " ".join(out.split())  # 2 × 4.822011791900804
    assert "█" in out
    assert max(map(len, out.splitlines())) <= 80


def test_json(capsys):
    main(["radius", "--n", "10", "--std", "2", "--draws", "4000", "--json"])
    law = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert law["schema"] == 1
    assert abs(law["sampled_mean"] - law["mean"]) < 5 * law["sampled_error"]  # fixed seed; five standard errors
    assert law["ks_p_value"] > 1e-3  # fixed seed; significance 0.1 %
    # The exact mean is a quadrature over products of n = 10 functions: 13 eps were measured.
    assert law["std_for_mean"] * 3.3632219052023684 == pytest.approx(1, rel=10 * 10 * sys.float_info.epsilon)
    assert law["naive_mean"] == pytest.approx(1.0635441497010383, rel=10 * 10 * sys.float_info.epsilon)


def test_the_seed_is_that_of_the_draws(capsys):
    def mean(*seed):
        assert main(["radius", "--n", "3", "--draws", "10", *seed, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["sampled_mean"]

    assert mean("--seed", "0") == mean() != mean("--seed", "1")


def test_without_draws_there_is_no_histogram(capsys):
    assert main(["radius", "--n", "3"]) == 0
    assert "█" not in capsys.readouterr().out


def test_figure(tmp_path, capsys):
    assert main(["radius", "--draws", "500", "--figure", str(tmp_path / "law.svg")]) == 0
    svg = (tmp_path / "law.svg").read_text(encoding="utf-8")
    for label in ("500 draws", "exact law", "spectral radius ρ"):
        assert label in svg


@pytest.mark.parametrize("arguments", [["--n", "0"], ["--std", "-1"], ["--draws", "-5"]])
def test_bad_input(arguments, capsys):
    assert main(["radius", *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err
