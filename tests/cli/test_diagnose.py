"""``unitcircle diagnose`` and ``explain``, run as a user runs them."""

import json
from pathlib import Path

import numpy as np
import pytest

from unitcircle.cli import main
from unitcircle.diagnosis import RULES

ROOT = Path(__file__).parents[2]
POPULAR = str(ROOT / "examples" / "popular-lstm.safetensors")
DIGITS = str(ROOT / "examples" / "digits-gru.safetensors")
SHARED = ROOT.parent / "shared" / "checkpoints"


def run(*arguments):
    return main(["diagnose", *arguments])


def test_the_popular_initialization_is_named_in_every_layer(capsys):
    assert run(POPULAR) == 1
    out = capsys.readouterr().out
    assert "UC101 warning  stacked-orthogonal" in out
    for place in ("lstm: the 4 gates are orthogonal only as a stack", "lstm l1: the 4 gates"):
        assert place in out
    assert max(map(len, out.splitlines())) <= 80
    assert "coverage: analysed 8 tensors" in out


def test_a_trained_gru_is_clean_although_its_gates_have_a_large_spectral_radius(capsys):
    assert run(DIGITS, "--steps", "8") == 0
    out = capsys.readouterr().out
    assert "gru: carries a signal over 8 steps? yes: ×0.37 is left" in out.splitlines()[0]
    assert "no findings; trained: the biases of gate r" in out
    assert "2.509" in out


def test_json(capsys):
    run(POPULAR, "--json")
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert report["format"] == "safetensors"
    assert [layer["layer"] for layer in report["layers"]] == [0, 1]
    assert len(report["coverage"]["analysed"]) == 8


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--fail-on", "error"], 0),
        (["--fail-on", "never"], 0),
        (["--select", "UC101"], 1),
        (["--ignore", "UC101", "UC110"], 0),
        (["--select", "UC102"], 0),
        (["--select", "UC1", "--ignore", "UC101", "UC110"], 0),
        (["--select", "UC1", "--ignore", "UC110"], 1),
    ],
)
def test_exit_status(options, status, capsys):
    assert run(POPULAR, *options) == status


def test_html(tmp_path, capsys):
    run(DIGITS, "--html", str(tmp_path / "report.html"))
    assert "report.html" in capsys.readouterr().out.replace("\n", "")
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_data_drives_the_layers(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((20, 3, 8)))
    run(DIGITS, "--data", str(tmp_path / "x.npy"))
    assert "the data given (3" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.pt"], "missing.pt"),
        (["--steps", "0", DIGITS], "steps"),
        (["--select", "UC9", DIGITS], "UC101"),
        (["--data", "missing.npy", DIGITS], "--data"),
    ],
)
def test_bad_input_exits_with_2_and_a_sentence(arguments, words, capsys):
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_a_file_that_is_no_model_is_refused(tmp_path, capsys):
    (tmp_path / "notes.pt").write_text("not a model")
    assert run(str(tmp_path / "notes.pt")) == 2
    assert "notes.pt" in capsys.readouterr().err


def test_a_person_decides_where_the_file_cannot_tell(tmp_path, capsys):
    np.savez(tmp_path / "m.npz", mystery=np.random.default_rng(0).standard_normal((8, 8)) / 3)
    run(str(tmp_path / "m.npz"), "--fail-on", "never")
    out = capsys.readouterr().out
    assert out.startswith("nothing was analysed: none of 1 tensors was recognised as a recurrent weight")
    assert "--tensor recurrent=mystery" in " ".join(out.split())
    run(str(tmp_path / "m.npz"), "--tensor", "mystery", "--layout", "torch", "--fail-on", "never")
    assert "cannot tell: mystery: its leak" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real checkpoints of ../shared are not here")
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted(path.name for path in SHARED.glob("*") if path.suffix != ".md") if SHARED.is_dir() else []
)
def test_no_shipped_model_gets_an_error_merely_for_a_large_spectral_radius(name, capsys):
    status = run(str(SHARED / name), "--json", "--fail-on", "error", "--steps", "64")
    report = json.loads(capsys.readouterr().out)
    assert status == 0, [f["message"] for f in report["findings"] if f["severity"] == "error"]
    assert report["layers"] or report["coverage"]["notes"]


def test_explain_prints_the_page(capsys):
    assert main(["explain", "UC101"]) == 0
    assert capsys.readouterr().out.startswith("# UC101 stacked-orthogonal\n\nGates are orthogonal only as a stack")


def test_explain_lists_the_codes(capsys):
    assert main(["explain"]) == 0
    out = capsys.readouterr().out
    assert all(code in out for code in RULES)


def test_explain_refuses_unknown_codes(capsys):
    assert main(["explain", "UC000"]) == 2
    assert "UC101" in capsys.readouterr().err


def test_data_may_be_an_npz_with_inputs(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", inputs=np.zeros((20, 2, 8)))
    run(DIGITS, "--data", str(tmp_path / "x.npz"))
    assert "the data given (2 trajectories)" in " ".join(capsys.readouterr().out.split())
    np.savez(tmp_path / "y.npz", other=np.zeros((20, 2, 8)))
    assert run(DIGITS, "--data", str(tmp_path / "y.npz")) == 2


def test_codes_may_have_commas_between(capsys):
    assert run(POPULAR, "--select", "UC101,UC110") == 1


def test_a_report_that_cannot_be_written_is_refused_in_words(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(DIGITS, "--html", str(tmp_path / "file" / "report.html")) == 2
    assert "folder that can be written to" in capsys.readouterr().err


def plain_and_other(folder):
    np.savez(folder / "rnn.npz", **{"core.U": np.eye(4), "core.W": np.ones((4, 2)), "core.b": np.ones(4), "leak": 0.3})
    np.savez(folder / "other.npz", table=np.ones((3, 7)))
    return str(folder / "rnn.npz"), str(folder / "other.npz")


@pytest.mark.parametrize(("options", "status"), [([], 3), (["--fail-on", "never"], 3), (["--allow-unread"], 0)])
def test_a_file_in_which_nothing_was_analysed_is_not_clean(tmp_path, capsys, options, status):
    _, other = plain_and_other(tmp_path)
    assert run(other, *options) == status
    assert "nothing was analysed" in capsys.readouterr().out


@pytest.mark.parametrize("steps", ["0", "100000000000"])
def test_a_length_that_cannot_be_judged(steps, capsys):
    assert run(DIGITS, "--steps", steps) == 2
    assert "steps must be a positive number of steps, at most 1,000,000" in capsys.readouterr().err


def test_the_parts_of_a_layer_by_their_names(tmp_path, capsys):
    path, _ = plain_and_other(tmp_path)
    names = "recurrent=core.U,input=core.W,bias=core.b"
    status = run(
        path, "--tensor", names, "--layout", "torch:rnn_tanh", "--leak", "leak", "--fail-on", "never", "--json"
    )
    assert status == 0
    (layer,) = json.loads(capsys.readouterr().out)["layers"]
    assert layer["cell"] == "leaky_rnn"
    assert layer["tensors"] == ["core.U", "core.W", "core.b", "leak"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tensor", "recurrent=core.U,weights=core.W"], "role must be one of bias, input, projection, recurrent"),
        (["--tensor", "core.X"], "tensor must be one of core.U"),
        (["--tensor", "core.U", "--layout", "theano"], "layout must be torch, keras, onnx, flax"),
        (["--tensor", "core.U", "--leak", "2"], "leak must be above 0 and at most 1"),
        (["--layout", "torch"], "layout must come with the tensors"),
    ],
)
def test_a_choice_that_does_not_fit(tmp_path, capsys, options, message):
    path, _ = plain_and_other(tmp_path)
    assert run(path, *options) == 2
    assert message in capsys.readouterr().err


def test_an_address_keeps_its_slashes(capsys):
    assert run("https://127.0.0.1:9/model.pt") == 2
    assert "https://127.0.0.1:9/model.pt" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nothing"])
def test_data_that_are_no_arrays(tmp_path, capsys, content):
    (tmp_path / "data.npz").write_bytes(content)
    assert run(DIGITS, "--data", str(tmp_path / "data.npz")) == 2
    assert "--data must be a readable .npy file" in capsys.readouterr().err


def test_a_command_without_its_argument(capsys):
    assert run() == 2
    assert "path must name at least one file" in capsys.readouterr().err
