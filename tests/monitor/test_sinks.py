"""Where records go: each sink against the real library, offline."""

import json
from dataclasses import replace
from functools import partial
from time import sleep, time

import numpy as np
import pytest

from unitcircle.diagnosis import Finding, Place, Severity
from unitcircle.errors import MissingExtraError
from unitcircle.monitor import JsonLines, MLflow, Monitor, TensorBoard, UnitcircleWarning, WandB, scalars
from unitcircle.monitor._eigenvalue_image import SIZE, eigenvalue_image

FINDING = Finding(
    Severity.WARNING, Place("W", "f"), "message", "why", "remedy", {"x": float("inf")}, "UC302", "radius-grows"
)
NOTE = replace(FINDING, severity=Severity.NOTE, place=Place("V"), message="remark")
RECORD = {
    "run": "a",
    "loss": 0.5,
    "W/radius": 1.25,
    "W/norm": float("nan"),
    "eigenvalues": {"W": np.array([0.5 + 0.25j, 0.5 - 0.25j])},
    "gradient_by_lag": {"l0": np.array([0.0, -1.0, -np.inf])},
    "findings": [FINDING, NOTE],
}


def test_scalars_are_the_finite_numbers():
    at_lags = {"l0/gradient_by_lag/0": 0.0, "l0/gradient_by_lag/1": -1.0}
    assert scalars(RECORD) == {"loss": 0.5, "W/radius": 1.25} | at_lags


@pytest.mark.parametrize(("steps", "lags"), [(0, [0]), (1, [0, 1]), (5, [0, 1, 2, 4, 5]), (8, [0, 1, 2, 4, 8])])
def test_of_a_curve_by_lag_loggers_get_the_powers_of_two_and_the_end(steps, lags):
    curve = -0.5 * np.arange(steps + 1)
    expected = {f"l0/gradient_by_lag/{lag}": -0.5 * lag for lag in lags}
    assert scalars({"gradient_by_lag": {"l0": curve}}) == expected


class _Broken:
    def __call__(self, record, step):
        raise OSError(28, "No space left on device")

    def close(self):
        raise RuntimeError


def test_a_sink_that_fails_is_told_of_once_and_stops_neither_training_nor_the_others(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    kept, heard = [], []
    sinks = [_Broken(), blocked / "run.jsonl", lambda record, step: kept.append(step)]
    monitor = Monitor(lambda: {"W": np.eye(2)}, every=1, overhead=1.0, sinks=sinks, on_finding=heard.append)
    with pytest.warns(UnitcircleWarning, match="failed at step 0") as caught:
        monitor.step(loss=float("nan"))
    assert "the sink _Broken failed at step 0; training continues: OSError: [Errno 28] No space" in str(
        caught[0].message
    )
    assert "the sink JsonLines failed" in str(caught[1].message)
    assert len(caught) == 2
    assert caught[0].filename == __file__
    for _ in range(3):
        monitor.step()
    monitor.close()
    assert kept == [0, 1, 2, 3]
    assert [finding.code for finding in heard] == ["UC305"]


def test_a_sink_that_cannot_be_closed_does_not_hide_what_training_raised():
    class Unclosable:
        def __call__(self, record, step):
            pass

        def close(self):
            raise RuntimeError("gone")

    with (
        pytest.warns(UnitcircleWarning, match="Unclosable failed when it was closed"),
        pytest.raises(KeyError),
        Monitor(lambda: {"W": np.eye(2)}, sinks=[Unclosable()]),
    ):
        raise KeyError


def test_json_lines_are_strict_and_hold_everything(tmp_path):
    sink = JsonLines(tmp_path / "new" / "run.jsonl")
    sink(RECORD, 3)
    sink({"loss": 0.25}, 4)
    first, second = (json.loads(line, parse_constant=pytest.fail) for line in sink.path.read_text().splitlines())
    assert (first["schema"], first["step"], first["loss"], first["W/norm"]) == (1, 3, 0.5, "nan")
    assert first["eigenvalues"] == {"W": [[0.5, 0.25], [0.5, -0.25]]}
    assert first["gradient_by_lag"] == {"l0": [0.0, -1.0, "-inf"]}
    assert first["findings"][0]["code"] == "UC302"
    assert first["findings"][0]["evidence"] == {"x": "inf"}
    assert second["step"] == 4


def test_numbers_have_seven_digits_and_the_time_all_of_them(tmp_path):
    sink, now = JsonLines(tmp_path / "run.jsonl"), time()
    sink({"loss": 1 / 3, "W/radius": 1.23456789e-30}, 1234567890)
    line = json.loads(sink.path.read_text())
    assert (line["loss"], line["W/radius"], line["step"]) == (0.3333333, 1.234568e-30, 1234567890)
    assert -1e-3 <= line["time"] - now < 60


def test_the_time_of_a_line_is_that_of_the_clock_in_milliseconds(tmp_path, monkeypatch):
    monkeypatch.setattr("unitcircle.monitor._json_lines.time", lambda: 1_700_000_000.12345)
    JsonLines(tmp_path / "run.jsonl")({}, 3)
    assert json.loads((tmp_path / "run.jsonl").read_text())["time"] == 1_700_000_000.123


def test_the_file_grows_by_the_numbers_alone(tmp_path):
    rng = np.random.default_rng(0)
    W, path = rng.standard_normal((64, 64)) / 8, tmp_path / "run.jsonl"
    with Monitor(lambda: {"W": W}, every=1, overhead=1.0, sinks=path, on_finding="ignore") as monitor:
        for _ in range(200):
            monitor.step(loss=1.0)
            W += 1e-3 * rng.standard_normal(W.shape)
    lines = path.read_text().splitlines()
    films = ["eigenvalues" in line for line in lines]
    # 16 at first, then 8 for each doubling: 32, 64, 128, and 5 of the next.
    assert sum(films) == 16 + 3 * 8 + 5
    assert films[0]
    assert max(len(line) for line, film in zip(lines, films, strict=True) if not film) < 700


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    JsonLines(path)({"loss": 1.0}, 3)
    lines = path.read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 3
    assert lines[1] == '{"step": 2, "lo'


def test_the_plane_shows_circle_and_eigenvalues_where_they_are():
    image = eigenvalue_image(np.array([1j, -0.5]), reach=1.5)
    assert image.shape == (SIZE, SIZE, 3)
    blue = np.argwhere((image == (0, 114, 178)).all(-1))
    scale = (SIZE - 1) / 3.0
    for row, column in ((0.5 * scale, 1.5 * scale), (1.5 * scale, 1.0 * scale)):
        assert np.abs(blue - (row, column)).max(1).min() <= 1
    assert len(blue) == 18
    grey = np.argwhere((image == (138, 138, 138)).all(-1))
    distance = np.linalg.norm(grey / scale - 1.5, axis=1)
    assert np.abs(distance - 1.0).max() < 2 / scale


def test_tensorboard_reads_back_scalars_images_and_text(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Monitor(lambda: {"W": np.diag([0.5, 2.0])}, sinks=[TensorBoard(tmp_path)]) as monitor:
        monitor.step(7, loss=0.5)
    sink = TensorBoard(str(tmp_path))
    sink(RECORD, 8)
    sink.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("W/radius")] == [(7, 2.0), (8, 1.25)]
    assert [e.step for e in events.Images("W/eigenvalues")] == [7, 8]
    assert (events.Images("W/eigenvalues")[0].width, events.Images("W/eigenvalues")[0].height) == (SIZE, SIZE)
    (event,) = events.Tensors("findings/UC302/text_summary")
    assert event.step == 8
    (text,) = event.tensor_proto.string_val
    # Both places are told, and what to do.
    assert str(FINDING) in text.decode()
    assert f"{NOTE}. {NOTE.remedy}" in text.decode()


def test_tensorboard_leaves_your_writer_open(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        sink = TensorBoard(writer)
        sink(RECORD, 0)
        sink.close()
        writer.add_scalar("mine", 1.0, 0)


def _payload(log):
    """Return what the log of an offline run holds: after 7 bytes a LevelDB log, blocks of 32 KiB of chunks."""
    found, place, block = b"", 7, 1 << 15
    while place + 7 <= len(log):
        length = int.from_bytes(log[place + 4 : place + 6], "little")
        found += log[place + 7 : place + 7 + length]
        place += 7 + length
        if block - place % block < 7:  # no room for the head of a chunk
            place += block - place % block
    return found


def test_wandb_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    run = wandb.init(mode="offline", dir=str(tmp_path), project="test")
    sink = WandB()
    assert sink.run is run
    sink(RECORD, 11)
    assert run.summary["unitcircle/W/radius"] == 1.25
    assert run.summary["unitcircle/step"] == 11
    assert run.summary["unitcircle/findings/UC302/W[f]"] == f"step 11: {FINDING}. remedy"
    assert run.summary["unitcircle/findings/UC302/V"] == f"step 11: {NOTE}. remedy"
    sink.close()
    assert wandb.run is run
    run.finish()
    (written,) = tmp_path.rglob("run-*.wandb")
    # Strings are as they are in its records: an alert has a title, a text and a level.
    for _ in range(300):  # its service may write a little after the run has ended
        data = _payload(written.read_bytes())
        if b"UC302 at step 11" in data:
            break
        sleep(0.1)
    assert b"UC302 at step 11: W[f]" in data
    assert b"WARN" in data
    assert b"UC302 at step 11: V" not in data  # a note rings no bell


def test_a_wandb_run_that_was_closed_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    monkeypatch.setattr(wandb, "init", partial(wandb.init, mode="offline", dir=str(tmp_path), project="test"))
    assert wandb.run is None
    sink = WandB()
    first = sink.run.id
    sink(RECORD, 0)
    sink.close()
    sink.close()
    assert wandb.run is None
    sink({"loss": 0.25}, 1)  # a second fit with the same callback
    assert sink.run.id == first
    assert sink.run.summary["unitcircle/loss"] == 0.25
    sink.close()
    assert wandb.run is None


def test_mlflow_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow

    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())  # the skinny package has no database
    mlflow.create_experiment("test", artifact_location=str(tmp_path / "artifacts"))
    mlflow.set_experiment("test")
    sink = MLflow()
    sink(RECORD, 5)
    sink(RECORD | {"loss": 0.25}, 6)
    run_id = sink.run.info.run_id
    sink.close()
    assert mlflow.active_run() is None
    client = mlflow.MlflowClient()
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "loss")] == [(5, 0.5), (6, 0.25)]
    tags = client.get_run(run_id).data.tags
    assert tags["unitcircle.UC302.W_f_"] == f"step 6: {FINDING}. remedy"
    assert tags["unitcircle.UC302.V"] == f"step 6: {NOTE}. remedy"
    with mlflow.start_run() as run:
        mine = MLflow()
        mine({"layers[0]/radius": 1.0}, 0)
        assert client.get_run(run.info.run_id).data.metrics == {"layers_0_/radius": 1.0}
        mine(RECORD, 1)
        mine.close()
        assert mlflow.active_run().info.run_id == run.info.run_id


@pytest.mark.parametrize(("sink", "module"), [(WandB, "wandb"), (MLflow, "mlflow")])
def test_a_library_that_is_missing_is_named(sink, module, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=module):
        sink()
