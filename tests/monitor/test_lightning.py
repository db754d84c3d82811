"""The Lightning callback under a real Trainer."""

import json
import logging
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

with warnings.catch_warnings():
    # What Lightning's own imports warn of is not ours.
    warnings.simplefilter("ignore")
    import lightning.pytorch as pl
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from unitcircle.errors import ArgumentError
from unitcircle.monitor import LightningCallback, UnitcircleWarning

EPS32 = torch.finfo(torch.float32).eps
"""TensorBoard keeps single precision, in which losses and norms are computed."""
SEVEN_DIGITS = 5e-7
"""Half a unit of the seventh digit of a number, the last that a line of JSON keeps."""

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error::unitcircle.monitor.UnitcircleWarning"),
]
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Task(pl.LightningModule):
    def __init__(self, poison_at=None):
        super().__init__()
        self.rnn, self.out = nn.RNN(1, 8, batch_first=True), nn.Linear(8, 1)
        self.poison_at, self.losses, self.norms = poison_at, [], []

    def training_step(self, batch, _index):
        x, y = batch
        loss = (self.out(self.rnn(x)[0][:, -1]) - y).square().mean()
        self.losses.append(float(loss.detach()))
        if self.poison_at is not None and self.global_step >= self.poison_at:
            loss = loss * float("nan")
        return loss

    def on_before_optimizer_step(self, _optimizer):
        self.norms.append(float(self.rnn.weight_hh_l0.grad.norm()))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def _data():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(32, 5, 1, generator=generator)
    return DataLoader(TensorDataset(x, x.sum(1)), batch_size=4)


def _trainer(tmp_path, *callbacks, **options):
    options = {"max_epochs": 2, "logger": False, "enable_checkpointing": False} | options
    return pl.Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def test_numbers_reach_every_logger_over_the_global_step(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    torch.manual_seed(0)
    loggers = [TensorBoardLogger(tmp_path, name="tb"), CSVLogger(tmp_path, name="csv", flush_logs_every_n_steps=1)]
    callback = LightningCallback(every=4, overhead=1.0, sinks=[tmp_path / "run.jsonl"])
    task = Task()
    _trainer(tmp_path, callback, logger=loggers).fit(task, _data())
    events = EventAccumulator(loggers[0].log_dir)
    events.Reload()
    found = events.Scalars("rnn.weight_hh_l0/radius")
    assert [event.step for event in found] == [0, 4, 8, 12]
    assert "rnn.weight_hh_l0/radius" in (tmp_path / "csv/version_0/metrics.csv").read_text().splitlines()[0]
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    for line, event in zip(lines, found, strict=True):
        assert line["rnn.weight_hh_l0/radius"] == pytest.approx(event.value, rel=SEVEN_DIGITS + EPS32)
        assert line["loss"] == pytest.approx(task.losses[line["step"]], rel=SEVEN_DIGITS)
        norm = task.norms[line["step"]]
        assert line["rnn.weight_hh_l0/gradient"] == pytest.approx(norm, rel=SEVEN_DIGITS + 4 * EPS32)


def test_accumulated_batches_count_once_and_the_loss_is_whole(tmp_path):
    torch.manual_seed(0)
    records, task = [], Task()
    callback = LightningCallback(every=1, overhead=1.0, sinks=[lambda record, step: records.append((step, record))])
    _trainer(tmp_path, callback, max_epochs=1, accumulate_grad_batches=4).fit(task, _data())
    assert [step for step, _ in records] == [0, 1]
    assert [record["loss"] for _, record in records] == pytest.approx([task.losses[3], task.losses[7]], rel=EPS32)


def test_the_state_is_in_the_checkpoint_and_the_run_goes_on(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "run.jsonl"
    trainer = _trainer(tmp_path, LightningCallback(every=3, overhead=1.0, sinks=[path]), max_epochs=1)
    trainer.fit(Task(), _data())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = LightningCallback(every=3, overhead=1.0, sinks=[path])
    _trainer(tmp_path, again, max_epochs=2).fit(Task(), _data(), ckpt_path=tmp_path / "last.ckpt", weights_only=False)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 3, 6, 9, 12, 15]
    assert len({line["run"] for line in lines}) == 1
    assert lines[-1]["rnn.weight_hh_l0/drift"] > lines[2]["rnn.weight_hh_l0/drift"]
    # Another fit begins anew, not once more from that checkpoint.
    _trainer(tmp_path, again, max_epochs=1).fit(Task(), _data())
    assert again.monitor.cost.calls == 8


def test_a_finding_stops_the_trainer(tmp_path, capsys):
    torch.manual_seed(0)
    callback = LightningCallback(every=1, overhead=1.0, on_finding="stop")
    trainer = _trainer(tmp_path, callback, max_epochs=5)
    trainer.fit(Task(poison_at=3), _data())
    assert trainer.global_step < 8
    assert callback.monitor.should_stop
    assert "UC305" in capsys.readouterr().err


def test_a_finding_warns(tmp_path):
    torch.manual_seed(0)
    trainer = _trainer(tmp_path, LightningCallback(every=1, overhead=1.0), max_epochs=1)
    with pytest.raises(UnitcircleWarning, match="UC305"):  # warnings are errors here
        trainer.fit(Task(poison_at=3), _data())


def test_an_empty_state_is_nothing_to_load():
    callback = LightningCallback()
    assert callback.state_dict() == {}
    callback.load_state_dict({})
    assert callback.monitor is None


@pytest.mark.parametrize(
    ("options", "rule"),
    [({"evry": 5}, "Did you mean 'every'"), ({"every": 0}, "every must"), ({"sinks": 5}, "sinks must")],
)
def test_options_are_checked_when_they_are_given(options, rule):
    with pytest.raises(ArgumentError, match=rule):
        LightningCallback(**options)
