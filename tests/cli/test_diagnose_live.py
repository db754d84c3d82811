"""``unitcircle diagnose module:factory``: the popular LSTM, read pixel by pixel, from the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from unitcircle.cli import main

MODULE = '''
import torch
from torch import nn

class PixelByPixel(nn.Module):
    """The popular way: orthogonal_ on the stack of four gates, zero biases."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(1, 12, batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        self.readout = nn.Linear(12, 10)

    def forward(self, inputs):
        return self.readout(self.rnn(inputs)[0][:, -1])

class Scaled(PixelByPixel):
    def forward(self, inputs, scale):
        return super().forward(inputs) * scale[:, None]

class Leaving(PixelByPixel):
    def forward(self, inputs):
        raise SystemExit(0)

class Failing(PixelByPixel):
    def forward(self, inputs):
        raise BaseException("of no kind")

READY = PixelByPixel()
THREE = 3

def failing():
    raise ValueError("my own error")

def wanting(hidden):
    return PixelByPixel()

def number():
    return 3

def leaving():
    raise SystemExit(0)

def shouting():
    raise RuntimeError("a \\x1b[2J forged line")
'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory with a module and images of 8 × 8 pixels, a blob in one of ten places, and their labels."""
    (tmp_path / "pixelwise_lstm.py").write_text(MODULE)
    rng = np.random.default_rng(0)
    labels = np.arange(16) % 10
    pixels = np.arange(64)
    images = np.exp(-((pixels[None] - 6 * labels[:, None] - 3) ** 2) / 40.0) + 0.05 * rng.random((16, 64))
    np.savez(tmp_path / "digits.npz", inputs=images[..., None].astype(np.float32), target=labels)
    np.save(tmp_path / "inputs.npy", images[..., None].astype(np.float32))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("pixelwise_lstm", None)


def run(*arguments):
    return main(["diagnose", *arguments])


def test_the_popular_lstm_on_pixels_gets_defect_step_and_measured_remedy(project, capsys):
    tries = ["--try", "orthogonal + chrono(max_steps=64)", "--try", "orthogonal"]
    options = ["--data", "digits.npz", *tries, "--html", "report.html"]
    assert run("pixelwise_lstm:PixelByPixel", *options) == 1
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    assert "UC101 warning stacked-orthogonal" in text
    assert "UC201 note gradient-vanishes rnn[f]: the gradient of the loss falls below 1/1000" in text
    assert "of 64, " in text
    assert "gate f closes: it keeps 0.5" in text
    assert "recurrent='orthogonal', bias='chrono(max_steps=64)') it remedies UC101, UC110, UC201" in text
    table = text[text.index("initialized with") :]
    assert table.index("chrono(max_steps=64)") < table.index("as it is")
    assert "Initializers tried" in (project / "report.html").read_text(encoding="utf-8")


def test_json_ranks_what_was_tried(project, capsys):
    run("pixelwise_lstm:READY", "--data", "digits.npz", "--try", "remedies", "--json", "--fail-on", "never")
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    (finding,) = [finding for finding in report["findings"] if finding["code"] == "UC201"]
    assert 0 < finding["evidence"]["step"] == 64 - finding["evidence"]["lag"]
    flows = {trial["name"]: trial["flow"]["mean"] for trial in report["trials"]["ranking"]}
    assert flows["as it is"] < -6 < -3 < flows["orthogonal + chrono(max_steps=64)"]


def test_inputs_alone_and_arguments_by_name(project, capsys):
    assert run("pixelwise_lstm:PixelByPixel", "--data", "inputs.npy", "--select", "UC201,UC110") == 1
    np.savez("named.npz", x=np.load("inputs.npy"))
    assert run("pixelwise_lstm:PixelByPixel", "--data", "named.npz", "--select", "UC201", "--steps", "5") == 0
    assert "no findings" in capsys.readouterr().out
    arrays = np.load("digits.npz")
    np.savez("more.npz", inputs=arrays["inputs"], target=arrays["target"], mask=arrays["target"])
    assert run("pixelwise_lstm:PixelByPixel", "--data", "more.npz") == 2
    assert "target" in capsys.readouterr().err
    np.savez("two.npz", inputs=arrays["inputs"], scale=arrays["target"])
    assert run("pixelwise_lstm:Scaled", "--data", "two.npz", "--select", "UC201,UC110") == 1


def test_without_data_the_weights_of_the_model_are_examined(project, capsys):
    assert run("pixelwise_lstm:PixelByPixel") == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "UC101 warning stacked-orthogonal" in text
    assert "UC2" not in text
    assert "the model was not run" in text
    assert run("pixelwise_lstm:PixelByPixel", "--json", "--select", "UC101", "--fail-on", "never") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["format"] == "weights"
    assert [finding["layer"] for finding in report["findings"]] == ["rnn"]


def test_the_same_seed_makes_the_same_model(project, capsys):
    def answer(seed):
        run("pixelwise_lstm:PixelByPixel", "--data", "digits.npz", "--json", "--seed", seed, "--select", "UC201")
        return json.loads(capsys.readouterr().out)["layers"][0]["gates"]["f"]["radius"]

    assert answer("1") == answer("1") != answer("2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.to:be"], "nowhere"),
        (["pixelwise_lstm:Nothing"], "Nothing"),
        (["pixelwise_lstm:number", "--data", "digits.npz"], "int"),
        (["pixelwise_lstm:PixelByPixel", "--try", "orthogonal"], "--data must be given for --try"),
        (["pixelwise_lstm:PixelByPixel", "--data", "missing.npz"], "missing.npz"),
        (["pixelwise_lstm:PixelByPixel", "--data", "pixelwise_lstm.py"], "pixelwise_lstm.py"),
        (["pixelwise_lstm:PixelByPixel", "--data", "digits.npz", "--try", "orthogonol"], "orthogonal"),
    ],
)
def test_bad_input_exits_with_2_and_a_sentence(arguments, words, project, capsys):
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_a_file_is_a_file_whatever_its_name(project, capsys):
    (project / "pixelwise_lstm:READY").write_text("no model")
    assert run("pixelwise_lstm:READY") == 2
    assert "pixelwise_lstm" not in sys.modules


def test_diagnosing_a_file_imports_no_framework(project):
    code = (
        "import sys, numpy as np; from unitcircle.cli import main; import unitcircle.diagnosis;"
        "np.save('W.npy', np.eye(4)); main(['diagnose', 'W.npy', '--fail-on', 'never']);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_error_of_the_users_factory_is_the_users_own_traceback(project, capsys):
    assert run("pixelwise_lstm:failing") == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("  File")] == [
        f'  File "{project / "pixelwise_lstm.py"}", line {line_of("raise ValueError")}, in failing'
    ]
    assert "ValueError: my own error" in lines
    assert lines[-1].startswith("unitcircle: path must name a module:factory that can run; got pixelwise_lstm:failing")


def line_of(text):
    return next(k for k, line in enumerate(MODULE.splitlines(), 1) if text in line)


def test_an_error_while_the_users_module_is_imported(project, capsys):
    (project / "breaking_module.py").write_text("1 / 0\n")
    assert run("breaking_module:model") == 2
    err = capsys.readouterr().err
    assert err.count("  File") == 1
    assert "ZeroDivisionError" in err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wanting", "must name a factory without arguments; got pixelwise_lstm:wanting (missing a required argument"),
        ("THREE", "must name a function, a class or a torch.nn.Module; got int"),
    ],
)
def test_a_factory_that_cannot_be_called(project, capsys, name, message):
    assert run(f"pixelwise_lstm:{name}") == 2
    assert message in capsys.readouterr().err


def test_a_batch_that_the_model_cannot_take(project, capsys):
    np.savez(project / "wide.npz", inputs=np.zeros((4, 9, 3), np.float32), target=np.zeros(4, int))
    assert run("pixelwise_lstm:PixelByPixel", "--data", "wide.npz") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "takes, numbers of shape (B, T, 1); got float32 of shape (4, 9, 3) there" in line
    assert "It is run on the input of shape (4, 9, 3), the target of shape (4,)." in line


@pytest.mark.parametrize("shape", [(0, 64, 1), (4, 0, 1)])
def test_a_batch_of_nothing(project, capsys, shape):
    np.savez(project / "empty.npz", inputs=np.zeros(shape, np.float32), target=np.zeros(shape[0], int))
    assert run("pixelwise_lstm:PixelByPixel", "--data", "empty.npz") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"batch must hold at least one sequence of at least one step; got shape {shape}" in line


def test_a_factory_that_ends_python_is_no_clean_diagnosis(project, capsys):
    assert run("pixelwise_lstm:leaving") == 2
    assert "got pixelwise_lstm:leaving: SystemExit" in capsys.readouterr().err
    (project / "leaving_module.py").write_text("raise SystemExit(0)\n")
    assert run("leaving_module:model") == 2
    assert "must name a module:factory that can import" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "words"), [("Leaving", "ended the process with 0 before"), ("Failing", "BaseException: of no kind")]
)
def test_a_model_that_ends_python_is_no_clean_diagnosis(project, capsys, model, words):
    assert run(f"pixelwise_lstm:{model}", "--data", "inputs.npy") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_the_users_traceback_moves_no_cursor(project, capsys):
    assert run("pixelwise_lstm:shouting") == 2
    err = capsys.readouterr().err
    assert "RuntimeError: a \\x1b[2J forged line" in err
    assert "\x1b" not in err
