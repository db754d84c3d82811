"""``unitcircle spectrum``, run as a user runs it."""

import json
import re

import numpy as np
import pytest

from unitcircle.cli import main


def test_one_specification_in_detail(capsys):
    assert main(["spectrum", "eigen(modulus=0.9)", "--n", "16"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"spectral radius ρ +0\.9 *$", out, re.MULTILINE)
    assert "vanishes" in out
    assert max(map(len, out.splitlines())) <= 80


def test_specifications_side_by_side(capsys):
    assert main(["spectrum", "orthogonal", "identity", "chain", "--n", "16", "--steps", "20"]) == 0
    out = capsys.readouterr().out
    assert "‖W^20‖" in out
    # Nothing is cut off: every word of the sentence is there.
    sentence = "Vanishes: after 20 steps the largest amplification is ×0; below 1/1000 from step 16 on."
    assert [word for word in sentence.split(" ") if word not in out] == []
    assert max(map(len, out.splitlines())) <= 80


def test_json_is_strict_and_complete(capsys):
    assert main(["spectrum", "chain(gain=1.02)", "--n", "8", "--json"]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert report["schema"] == 1
    (row,) = report["weights"]
    assert row["radius"] == 0.0
    assert row["log_norm"] == "-inf"
    assert row["asymptotics"] == "vanishes"


def test_array_file(tmp_path, capsys):
    np.save(tmp_path / "W.npy", [[0.0, 1.0], [-1.0, 0.0]])
    assert main(["spectrum", str(tmp_path / "W.npy")]) == 0
    assert "bounded" in capsys.readouterr().out


def test_the_seed_is_that_of_the_draw(capsys):
    def radius(*seed):
        assert main(["spectrum", "gaussian", "--n", "8", *seed, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["weights"][0]["radius"]

    assert radius("--seed", "0") == radius() != radius("--seed", "1")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figure_is_written_whole(tmp_path, capsys, suffix):
    target = tmp_path / "new" / f"figure.{suffix}"
    assert main(["spectrum", "orthogonal", "gaussian(radius=1)", "--n", "12", "--figure", str(target)]) == 0
    assert target.stat().st_size > 5_000
    assert [p.name for p in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ortogonal"], "Did you mean 'orthogonal'?"),
        (["missing.npy"], "a file that exists"),
        (["rect.npy"], "(rect of shape (4, 5))"),
        (["five.npz"], "(a0 of shape (2, 3), a1 of shape (2, 3), a2 of shape (2, 3) and 2 more)"),
        (["eigen(angle=haar)"], "angles"),
        (["forget_bias"], "a bias"),
        (["orthogonal", "--n", "0"], "must be a whole number, at least 1"),
        (["orthogonal", "--n", "4", "--figure", "x.docx"], "must end in one of"),
    ],
)
def test_bad_input_is_refused_in_words(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("rect.npy", np.ones((4, 5)))
    np.savez("five.npz", **{f"a{k}": np.ones((2, 3)) for k in range(5)})
    assert main(["spectrum", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in " ".join(captured.err.split())
    assert captured.out == ""


def test_pickled_array_file_is_refused(tmp_path, capsys):
    np.save(tmp_path / "W.npy", np.array([object()]), allow_pickle=True)
    assert main(["spectrum", str(tmp_path / "W.npy")]) == 2
    assert "never" in capsys.readouterr().err
