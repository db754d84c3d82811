"""The monitor in a training loop."""

import gc
import json
import math
import subprocess
import sys
import warnings
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from unitcircle.errors import ArgumentError
from unitcircle.monitor import JsonLines, Monitor, UnitcircleWarning, scalars
from unitcircle.monitor._loss import WAITING, LossPeak
from unitcircle.monitor._weights import NamedWeights

HIDDEN = 12
EPS, EPS32 = (float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32))


class Net(nn.Module):
    def __init__(self, layer=nn.RNN, hidden=HIDDEN, **options):
        super().__init__()
        self.rnn = layer(2, hidden, **options)
        self.out = nn.Linear(options.get("proj_size") or hidden, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][-1])


class CTRNN(nn.Module):
    """What computational neuroscience writes: the recurrence is an nn.Linear."""

    def __init__(self):
        super().__init__()
        self.h2h = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], HIDDEN)
        for _ in x:
            h = torch.tanh(self.h2h(h))
        return h


def _train(model, monitor, steps, *, seed=0, optimizer=None, after=lambda _k: None):
    generator = torch.Generator().manual_seed(seed)
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.05)
    for k in range(steps):
        x = torch.rand(6, 4, 2, generator=generator)
        loss = (model(x)[:, 0] - x[0, :, 0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        monitor.step(loss=loss)
        optimizer.step()
        after(k)


def _monitor_of(model, **options):
    records = []
    options = {"every": 5, "overhead": 1.0, "sinks": [lambda record, step: records.append((step, record))]} | options
    return Monitor(model, **options), records


def _model(seed=0, **options):
    torch.manual_seed(seed)
    return Net(**options)


def test_it_measures_every_so_many_steps():
    model = _model()
    monitor, records = _monitor_of(model)
    _train(model, monitor, 21)
    assert [step for step, _ in records] == [0, 5, 10, 15, 20]
    for _, record in records:
        W = record["rnn.weight_hh_l0/radius"]
        assert isinstance(W, float)
        assert record["loss"] <= record["loss_peak"]
    assert "update" not in {key.rpartition("/")[2] for key in records[0][1]}
    assert monitor.cost.measurements == 5
    assert monitor.cost.calls == 21
    assert "5 measurements in 21 steps" in monitor.report()


def test_numbers_are_those_of_the_weights_and_gradients_at_the_step():
    model = _model(layer=nn.LSTM)
    records, truth = [], []

    def sink(record, step):
        records.append(record)
        W = model.rnn.weight_hh_l0.detach().double()[HIDDEN : 2 * HIDDEN].numpy()
        g = model.rnn.weight_hh_l0.grad[HIDDEN : 2 * HIDDEN]
        total = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
        truth.append((np.abs(np.linalg.eigvals(W)).max(), float(g.norm()), float(total)))

    monitor = Monitor(model, every=4, overhead=1.0, sinks=[sink])
    _train(model, monitor, 9)
    # Eigenvalues in double precision, from the same entries; norms in single, of one tensor and of sums of squares.
    for record, (radius, gradient, total) in zip(records, truth, strict=True):
        assert record["rnn.weight_hh_l0.f/radius"] == pytest.approx(radius, rel=100 * HIDDEN * EPS, abs=0)
        assert record["rnn.weight_hh_l0.f/gradient"] == pytest.approx(gradient, rel=4 * EPS32)
        assert record["gradient_norm"] == pytest.approx(total, rel=8 * EPS32)
        assert set(record["eigenvalues"]) == {f"rnn.weight_hh_l0.{gate}" for gate in "ifgo"}


@pytest.mark.parametrize("every", [1, 3])
def test_the_update_is_that_of_one_optimizer_step(every):
    model, lr = _model(), 0.05
    monitor, records = _monitor_of(model, every=every)
    sizes = {}

    def after(k):
        # Plain SGD: the update is lr · gradient.
        W, g = model.rnn.weight_hh_l0, model.rnn.weight_hh_l0.grad
        sizes[k + 1] = float(lr * g.norm() / (W.detach() + lr * g).norm())

    _train(model, monitor, 10, optimizer=torch.optim.SGD(model.parameters(), lr), after=after)
    measured = {step: r["rnn.weight_hh_l0/update"] for step, r in records if "rnn.weight_hh_l0/update" in r}
    assert list(measured) == list(range(every, 10, every))
    for step, update in measured.items():
        # Relative to the weight, whose entries are rounded: 0.04 eps measured.
        assert update == pytest.approx(sizes[step], abs=EPS32)


def test_a_projection_is_measured_as_what_acts_on_the_state():
    model = _model(layer=nn.LSTM, proj_size=5)
    monitor, records = _monitor_of(model)
    monitor.step()
    P, W = (getattr(model.rnn, name).detach().double() for name in ("weight_hr_l0", "weight_hh_l0"))
    expected = np.abs(np.linalg.eigvals((P @ W[:HIDDEN]).numpy())).max()
    # The product is taken in single precision: 0.4 eps measured.
    assert records[0][1]["rnn.weight_hh_l0.i/radius"] == pytest.approx(expected, rel=HIDDEN * EPS32)


def test_a_batch_gives_gradient_by_lag_exponent_saturation_and_dead_units():
    model = _model(layer=nn.GRU)
    x, y = torch.rand(20, 3, 2), torch.rand(3, 1)
    monitor, records = _monitor_of(model, batch=lambda: (x, y), every=2)
    before = torch.random.get_rng_state()
    model.train()
    _train(model, monitor, 40)
    assert model.training
    assert torch.equal(before, torch.random.get_rng_state())
    sampled = [record for _, record in records if "gradient_by_lag" in record]
    assert 1 <= len(sampled) < len(records)
    record = sampled[0]
    curve = record["gradient_by_lag"]["rnn.l0"]
    assert curve.shape == (21,)
    assert record["rnn.l0/gradient_reach"] == pytest.approx(curve[-1] - curve[0])
    assert record["rnn.l0/exponent"] < 0
    assert 0 <= record["rnn.l0/saturation"] <= 1
    assert record["rnn.l0/dead"] == 0


@pytest.mark.parametrize(
    ("size", "options", "reserving"),
    [
        (8, {}, False),
        (8, {"batch": torch.rand(6, 3, 2)}, True),
        (8, {"batch": torch.rand(6, 3, 2), "metrics": ["norm"]}, False),
        (150, {}, True),
        (150, {"metrics": ["norm"]}, False),
    ],
)
def test_time_is_kept_for_what_is_seldom_only_if_something_is(size, options, reserving):
    monitor, _ = _monitor_of(_model(hidden=size), **options)
    monitor.step()
    assert monitor._pace.reserving == reserving


def test_what_measuring_imports_is_there_before_the_clock_runs():
    # A process of its own, for here all of it has been imported.
    code = """
import sys
import numpy as np
from unitcircle.monitor import Monitor

monitor = Monitor(lambda: {"W": np.diag([1.0, 0.5])}, sinks=[])
before = set(sys.modules)
monitor.step(loss=1.0)
print(sorted(set(sys.modules) - before))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_batch_is_measured_with_the_first_measurement():
    # A mistake in it shows at once, not when its turn comes; and what training began from is known.
    monitor, records = _monitor_of(_model(), batch=torch.rand(6, 3, 2), overhead=0.01)
    monitor.step()
    assert "gradient_by_lag" in records[0][1]


@pytest.mark.parametrize("batch", [torch.rand(6, 3, 7), lambda: {}["x"], "text"])
def test_a_batch_that_cannot_be_measured_is_told_of_at_once(batch):
    with pytest.raises(ArgumentError, match="batch must be a batch that the model and loss= take"):
        _monitor_of(_model(), batch=batch, overhead=0.01)[0].step()


def test_a_batch_that_fails_later_ends_no_training():
    batches = iter([torch.rand(6, 3, 2)])
    monitor, records = _monitor_of(_model(), batch=lambda: next(batches), every=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(40):
            monitor.step()
    (warning,) = caught
    assert issubclass(warning.category, UnitcircleWarning)
    assert str(warning.message) == "the batch could not be measured; training continues: StopIteration: "
    assert warning.filename == __file__
    assert [step for step, record in records if "rnn.l0/exponent" in record] == [0]
    assert len(records) == 40


def test_dead_units_are_counted():
    model = _model(nonlinearity="relu")
    with torch.no_grad():
        model.rnn.bias_ih_l0[:3] = -100.0
    monitor, records = _monitor_of(model, batch=torch.rand(8, 3, 2), every=1)
    _train(model, monitor, 10)
    sampled = next(record for _, record in records if "rnn.l0/dead" in record)
    assert sampled["rnn.l0/dead"] >= 3 / HIDDEN


def test_groups_can_be_chosen():
    monitor, records = _monitor_of(_model(), metrics=["norm", "loss"])
    monitor.step(loss=1.5)
    names = {key.rpartition("/")[2] for key in scalars(records[0][1]) if not key.startswith("monitor/")}
    assert names == {"norm", "loss", "loss_peak"}


def test_the_peak_of_the_loss_is_not_missed_between_measurements():
    for kind in (float, torch.tensor):
        monitor, records = _monitor_of(_model(), every=5)
        for k in range(11):
            monitor.step(loss=kind(9.0 if k == 3 else 1.0))
        assert [(r["loss"], r["loss_peak"]) for _, r in records] == [(1.0, 1.0), (1.0, 9.0), (1.0, 1.0)]


def test_the_loss_on_a_device_is_not_read_before_it_is_due():
    class OnDevice:
        device = torch.device("cuda")

        def __init__(self, value):
            self.value = value

        def detach(self):
            return self

        def fmax(self, other):
            return OnDevice(max(self.value, other.value))

        def item(self):
            raise AssertionError

        def __float__(self):
            return self.value

    peak = LossPeak()
    for value in (1.0, 3.0, 2.0):
        peak.note(OnDevice(value))
    assert peak.take_peak() == {"loss": 2.0, "loss_peak": 3.0}
    assert peak.take_peak() == {}


def test_the_loss_of_jax_is_not_read_before_it_is_due():
    import jax.numpy as jnp

    peak = LossPeak()
    for value in (1.0, 3.0, 2.0):
        peak.note(jnp.float32(value))
    assert peak._latest is None  # nothing was read, which would have waited for the step
    assert peak.take_peak() == {"loss": 2.0, "loss_peak": 3.0}
    assert peak.take_peak() == {}
    for k in range(5 * WAITING):
        peak.note(jnp.float32(9.0 if k == 3 else 1.0))
        assert len(peak._waiting) < 2 * WAITING
    assert peak.take_peak() == {"loss": 1.0, "loss_peak": 9.0}


def test_weights_of_jax_are_waited_for_before_the_clock_runs(monkeypatch):
    import jax
    import jax.numpy as jnp

    waited = []
    monkeypatch.setattr(jax, "block_until_ready", waited.append)
    for W, times in ((np.eye(2), 0), (jnp.eye(2), 1)):
        weights = NamedWeights(lambda W=W: {"W": W})
        weights.blocks()
        weights.settle()
        assert len(waited) == times


# The compiler of torch 2.15 looks at the gradient of an activation.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")
def test_compiled_wrapped_and_half_precision_modules():
    model = _model()
    compiled = torch.compile(model, backend="eager")
    monitor, records = _monitor_of(compiled)
    _train(compiled, monitor, 6)
    assert "rnn.weight_hh_l0/radius" in records[0][1]
    part = _model()
    part.rnn = torch.compile(part.rnn, backend="eager")
    monitor, records = _monitor_of(nn.DataParallel(part))
    monitor.step()
    assert "rnn.weight_hh_l0/radius" in records[0][1]
    half = _model().bfloat16()
    monitor, records = _monitor_of(half)
    monitor.step()
    W = half.rnn.weight_hh_l0.detach().double().numpy()
    expected = np.abs(np.linalg.eigvals(W)).max()
    assert records[0][1]["rnn.weight_hh_l0/radius"] == pytest.approx(expected, rel=100 * HIDDEN * EPS, abs=0)


def test_other_ranks_do_nothing(monkeypatch):
    monitor, records = _monitor_of(_model())
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monitor.step()
    assert not records
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monitor.step()
    assert records


def test_a_real_process_group_and_ddp():
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(_model())
        monitor, records = _monitor_of(model, every=2)
        _train(model, monitor, 5)
    finally:
        torch.distributed.destroy_process_group()
    assert [step for step, _ in records] == [0, 2, 4]
    assert records[-1][1]["rnn.weight_hh_l0/gradient"] > 0


def test_gradient_accumulation_counts_optimizer_steps():
    model = _model()
    monitor, records = _monitor_of(model, every=2)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for step in range(5):
        for _ in range(3):
            model(torch.rand(6, 4, 2)).square().mean().div(3).backward()
        monitor.step()
        optimizer.step()
        optimizer.zero_grad()
        assert step in {0, 2, 4} or len(records) == step // 2 + 1
    assert [step for step, _ in records] == [0, 2, 4]


def test_mixed_precision_with_a_scaler():
    model = _model()
    monitor, records = _monitor_of(model, every=2)
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.05), torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for _ in range(3):
        x = torch.rand(6, 4, 2)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(x).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        monitor.step(loss=loss)
        scaler.step(optimizer)
        scaler.update()
    assert records[-1][1]["gradient_norm"] < 100


def test_nothing_of_the_graph_is_kept_alive():
    model = _model()
    monitor, _ = _monitor_of(model, every=2, batch=torch.rand(6, 3, 2))

    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor.detach()  # without its own graph, which would be a cycle

    for _ in range(7):
        alive = []

        def pack(tensor, alive=alive):
            saved = Saved(tensor)
            alive.append(weakref.ref(saved))
            return saved

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
            loss = model(torch.rand(6, 4, 2)).square().mean()
        loss.backward(retain_graph=True)
        monitor.step(loss=loss)
        assert alive
        assert all(reference() is not None for reference in alive)
        del loss
        gc.collect()
        assert all(reference() is None for reference in alive)


def test_weights_of_any_framework():
    W = np.diag([0.5, -2.0])
    trained = nn.Parameter(2 * torch.eye(2, dtype=torch.bfloat16))
    monitor, records = _monitor_of(lambda: {"a": W, "b": np.eye(3, dtype=np.float16), "c": trained}, every=1)
    monitor.step(7)
    assert records[0][1]["c/radius"] == 2.0
    assert records[0][0] == 7
    assert records[0][1]["a/radius"] == 2.0
    assert records[0][1]["b/norm"] == 1.0


@pytest.mark.parametrize(
    ("model", "options", "rule"),
    [
        (dict, {}, "mapping of weights"),
        (lambda: {"W": np.ones((2, 3))}, {}, "must be square"),
        (None, {}, "function that returns weights"),
        (lambda: {"W": np.eye(2)}, {"batch": 1}, "torch.nn.Module for names and batch"),
        (lambda: {"W": np.eye(2)}, {"every": 0}, "positive number"),
        (lambda: {"W": np.eye(2)}, {"overhead": 0}, "share of the time"),
        (lambda: {"W": np.eye(2)}, {"metrics": ["rho"]}, "must be one of"),
        (lambda: {"W": np.eye(2)}, {"rules": ["UC9"]}, "must be one of"),
        (lambda: {"W": np.eye(2)}, {"on_finding": "shout"}, "must be 'warn'"),
        (lambda: {"W": np.eye(2)}, {"every": "10"}, "every must be a positive number of steps; got '10'"),
        (lambda: {"W": np.eye(2)}, {"every": 1.5}, "every must be a positive number"),
        (lambda: {"W": np.eye(2)}, {"overhead": "x"}, "share of the time"),
        (lambda: {"W": np.eye(2)}, {"overhead": math.nan}, "share of the time"),
        (lambda: {"W": np.eye(2)}, {"sinks": None}, r"sinks must be functions .* got None.* TensorBoard\(writer"),
        (lambda: {"W": np.eye(2)}, {"sinks": 5}, "sinks must be functions"),
        (lambda: {"W": np.eye(2)}, {"sinks": ["x", 5]}, "sinks must be functions"),
        (lambda: {"W": np.eye(2)}, {"rules": None}, "rules must be a string or several; got None"),
        (lambda: {"W": np.eye(2)}, {"metrics": [1]}, "metrics must be a string or several"),
        (lambda: {"W": np.eye(2)}, {"on_finding": ["x"]}, "must be 'warn'"),
        (lambda: {"W": np.eye(2)}, {"rng": -1}, "rng must be a NumPy Generator or a seed"),
        (lambda: {"W": np.eye(2)}, {"rng": "x"}, "rng must be a NumPy Generator or a seed"),
        (lambda: {"W": np.eye(2)}, {"loss": 0.5}, r"loss must be a function.* monitor\.step\(loss=loss\)"),
        (nn.Linear(2, 3), {}, "a recurrent layer, or a square weight that trains"),
        (nn.Linear(2, 2), {"square_limit": -1}, "number of weights"),
        (nn.Linear(2, 2), {"square_limit": 0}, "a recurrent layer, or a square weight"),
    ],
)
def test_misuse(model, options, rule):
    with pytest.raises(ArgumentError, match=rule):
        Monitor(model, **({"sinks": []} | options)).step()


@pytest.mark.parametrize("step", [10**30, -(2**53) - 1])
def test_a_step_that_no_training_reaches_is_refused(step):
    with pytest.raises(ArgumentError, match=r"step must be at most 2\*\*53; got a number of"):
        _monitor_of(_model())[0].step(step)


@pytest.mark.parametrize("step", [torch.tensor(0.5), 0.5, np.float32(2.0), "3"])
def test_a_loss_in_the_place_of_the_step_is_refused(step):
    with pytest.raises(ArgumentError, match=r"step must be a whole number; got .*monitor\.step\(loss=loss\)"):
        _monitor_of(_model())[0].step(step)


@pytest.mark.parametrize("step", [3, np.int64(3), torch.tensor(3)])
def test_a_step_may_be_of_any_whole_kind(step):
    monitor, records = _monitor_of(_model())
    monitor.step(step)
    assert records[0][0] == 3


@pytest.mark.parametrize("loss", [torch.zeros(3), np.zeros(2), "x", [1.0, 2.0], {}])
def test_a_loss_that_is_not_one_number_is_refused(loss):
    with pytest.raises(ArgumentError, match="loss must be one number"):
        _monitor_of(_model())[0].step(loss=loss)
    _monitor_of(_model())[0].step(loss=torch.ones(1, 1))


def test_state_goes_through_a_checkpoint_and_the_run_goes_on(tmp_path):
    def run(model, monitor, optimizer, generator, steps):
        for _ in range(steps):
            x = torch.rand(6, 4, 2, generator=generator)
            loss = model(x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            monitor.step(loss=loss)
            optimizer.step()

    def made(name, seed=0):
        model = _model(seed, hidden=150)  # large enough for warm starts
        monitor = Monitor(model, every=3, overhead=1.0, sinks=[tmp_path / name])
        return model, monitor, torch.optim.SGD(model.parameters(), 0.05), torch.Generator().manual_seed(seed)

    def lines(name):
        return [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]

    whole = made("whole.jsonl")
    run(*whole, 20)
    model, monitor, optimizer, generator = made("parts.jsonl")
    run(model, monitor, optimizer, generator, 11)
    torch.save({"model": model.state_dict(), "monitor": monitor.state_dict()}, tmp_path / "checkpoint.pt")
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    # As of tensors on a device, where map_location has put them, NumPy makes no arrays of these.
    for arrays in saved["monitor"]["blocks"].values():
        for array in arrays.values():
            array.requires_grad_()
    again, resumed, optimizer, _ = made("parts.jsonl", seed=1)
    again.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["monitor"])
    run(again, resumed, optimizer, generator, 9)
    first, second = lines("whole.jsonl"), lines("parts.jsonl")
    assert [line["step"] for line in second] == [line["step"] for line in first] == list(range(0, 20, 3))
    assert len({line["run"] for line in second}) == 1
    for a, b in zip(first, second, strict=True):
        for name in ("drift", "tangent", "norm", "orthogonality", "gradient"):
            key = f"rnn.weight_hh_l0/{name}"
            assert (key in a) == (key in b)
            if key in a:
                assert a[key] == pytest.approx(b[key], rel=0.01)


def test_memory_is_flat():
    import tracemalloc

    rng = np.random.default_rng(0)
    W = rng.standard_normal((24, 24))
    monitor, _ = _monitor_of(
        lambda: {"W": W}, every=1, sinks=[lambda record, step: None], metrics=["norm", "drift", "loss"]
    )
    for _ in range(100):
        monitor.step(loss=1.0)
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(300):
        monitor.step(loss=1.0)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    # One record of 300 is 2 kB: far less than a kB a step, which a leak would be.
    assert grown < 60_000


def test_one_of_several_needs_no_list(tmp_path):
    model = CTRNN()
    with Monitor(model, names="h2h", metrics="norm", rules="UC305", sinks=tmp_path / "run.jsonl") as monitor:
        monitor.step()
    assert "h2h.weight/norm" in json.loads((tmp_path / "run.jsonl").read_text())
    records = []
    Monitor(model, names="h2h", sinks=lambda record, step: records.append(record)).step()
    assert records


def test_a_state_of_something_else_is_refused():
    with pytest.raises(ArgumentError, match="what state_dict returned"):
        Monitor(_model(), sinks=[]).load_state_dict({"weights": 1})


def test_a_state_of_another_model_is_refused_and_changes_nothing():
    monitor, _ = _monitor_of(_model())
    monitor.step(loss=1.0)
    saved = monitor.state_dict()
    for other in (_model(layer=nn.LSTM), _model(hidden=5)):
        refusing = Monitor(other, sinks=[])
        run = refusing.state_dict()["run"]
        with pytest.raises(ArgumentError, match=r"state must be of .* same model"):
            refusing.load_state_dict(saved)
        assert refusing.state_dict()["run"] == run
        assert refusing.cost.calls == 0
        refusing.load_state_dict(Monitor(other, sinks=[]).state_dict())  # of a run that has measured nothing yet


@pytest.mark.parametrize("broken", [{"pace": 5}, {"history": {}}, {"seldom": {"exact": 1}}, {"blocks": [1]}])
def test_a_broken_state_is_refused_and_changes_nothing(broken):
    monitor, _ = _monitor_of(_model())
    saved = monitor.state_dict()
    run = saved["run"]
    for state in (saved | broken | {"run": "x"}, {"run": "x"}, 5):
        with pytest.raises(ArgumentError, match="what state_dict returned"):
            monitor.load_state_dict(state)
        assert monitor.state_dict()["run"] == run


def test_the_first_records_are_json_lines_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Monitor(lambda: {"W": np.eye(2)}) as monitor:
        monitor.step()
    assert json.loads((tmp_path / "unitcircle.jsonl").read_text())["W/radius"] == 1.0
    assert JsonLines("x").path.name == "x"
