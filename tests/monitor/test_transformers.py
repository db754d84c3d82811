"""The callback of the Hugging Face Trainer under a real Trainer."""

import json
import warnings

import pytest
import torch
from torch import nn

with warnings.catch_warnings():
    # What the library's own imports warn of is not ours.
    warnings.simplefilter("ignore")
    from transformers import Trainer, TrainingArguments

from unitcircle.errors import ArgumentError
from unitcircle.monitor import TransformersCallback, UnitcircleWarning, attach

EPS32 = torch.finfo(torch.float32).eps
"""TensorBoard keeps single precision."""
SEVEN_DIGITS = 5e-7
"""Half a unit of the seventh digit of a number, the last that a line of JSON keeps."""

pytestmark = pytest.mark.filterwarnings("ignore")


class Task(nn.Module):
    def __init__(self, poison_at=None):
        super().__init__()
        self.rnn, self.out = nn.GRU(1, 8, batch_first=True), nn.Linear(8, 1)
        self.poison_at, self.calls = poison_at, 0

    def forward(self, x, labels):
        loss = (self.out(self.rnn(x)[0][:, -1]) - labels).square().mean()
        self.calls += 1
        if self.poison_at is not None and self.calls > self.poison_at:
            loss = loss * float("nan")
        return {"loss": loss}


def _trainer(tmp_path, model=None, **options):
    generator = torch.Generator().manual_seed(0)
    data = [{"x": x, "labels": x.sum(0)} for x in torch.rand(32, 5, 1, generator=generator)]
    options = {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "logging_steps": 4,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
    } | options
    torch.manual_seed(0)
    return Trainer(
        model=model or Task(), args=TrainingArguments(output_dir=str(tmp_path), **options), train_dataset=data
    )


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


def test_numbers_reach_the_trainers_own_reports(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tb"))
    trainer = _trainer(tmp_path, report_to=["tensorboard"])
    callback = attach(trainer, every=2, overhead=1.0, sinks=[tmp_path / "run.jsonl"])
    trainer.train()
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(0, 16, 2))
    assert {"rnn.weight_hh_l0.r/gradient", "rnn.weight_hh_l0.z/radius"} <= set(lines[0])
    assert callback.monitor.cost.measurements == 8
    (folder,) = {path.parent for path in (tmp_path / "tb").rglob("events*")}
    events = EventAccumulator(str(folder))
    events.Reload()
    by_step = {line["step"]: line["rnn.weight_hh_l0.n/radius"] for line in lines}
    found = events.Scalars("train/rnn.weight_hh_l0.n/radius")
    # Logged every 4 steps: the numbers are those of the measurement before.
    assert [event.step for event in found] == [4, 8, 12, 16]
    for event in found:
        assert event.value == pytest.approx(by_step[event.step - 2], rel=SEVEN_DIGITS + EPS32)
    logged = {entry["step"]: entry["loss"] for entry in trainer.state.log_history if "loss" in entry}
    assert lines[-2]["loss"] == pytest.approx(logged[12])


def test_the_state_is_beside_the_checkpoint_and_the_run_goes_on(tmp_path):
    path = tmp_path / "run.jsonl"
    options = {"save_strategy": "steps", "save_steps": 8}
    first = _trainer(tmp_path, num_train_epochs=1, **options)
    attach(first, every=3, overhead=1.0, sinks=[path])
    first.train()
    assert (tmp_path / "checkpoint-8" / "unitcircle_monitor.pt").is_file()
    second = _trainer(tmp_path, **options)
    attach(second, every=3, overhead=1.0, sinks=[path])
    second.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 3, 6, 9, 12, 15]
    assert len({line["run"] for line in lines}) == 1


def test_gradient_accumulation_counts_optimizer_steps(tmp_path):
    records = []
    trainer = _trainer(tmp_path, gradient_accumulation_steps=4)
    attach(trainer, every=1, overhead=1.0, sinks=[lambda record, step: records.append(step)])
    trainer.train()
    assert records == [0, 1, 2, 3]


def test_a_finding_stops_the_trainer(tmp_path, capsys):
    trainer = _trainer(tmp_path, Task(poison_at=3), num_train_epochs=5, max_grad_norm=0.0)
    attach(trainer, every=1, overhead=1.0, on_finding="stop")
    trainer.train()
    assert trainer.state.global_step < 8
    assert "UC305" in capsys.readouterr().err


def test_a_stop_reaches_the_other_processes(tmp_path, monkeypatch):
    # Process 0, whose word is sent, has found something; this one, without a monitor, has not.
    monkeypatch.setattr("accelerate.utils.broadcast", lambda tensor: tensor + 1)
    trainer = _trainer(tmp_path)
    TransformersCallback(on_finding="stop").on_step_end(trainer.args, trainer.state, trainer.control)
    assert trainer.control.should_training_stop


def test_a_checkpoint_without_the_state_is_told(tmp_path):
    trainer = _trainer(tmp_path)
    trainer.state.global_step = 8
    with pytest.warns(UnitcircleWarning, match="without a saved state at step 8"):
        TransformersCallback().on_train_begin(trainer.args, trainer.state, trainer.control, trainer.model)


def test_a_callback_that_was_never_begun_does_nothing(tmp_path):
    callback, state = TransformersCallback(), _trainer(tmp_path).state
    for event in ("on_pre_optimizer_step", "on_step_end", "on_save", "on_train_end", "on_log"):
        getattr(callback, event)(_trainer(tmp_path).args, state, None)
    assert callback.monitor is None


@pytest.mark.parametrize(
    ("options", "rule"),
    [({"evry": 5}, "Did you mean 'every'"), ({"every": 0}, "every must"), ({"sinks": 5}, "sinks must")],
)
def test_options_are_checked_when_they_are_given(options, rule):
    with pytest.raises(ArgumentError, match=rule):
        TransformersCallback(**options)
