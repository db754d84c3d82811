"""What runs on a GPU gives what the processor gives: `make gpu`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle.dynamics import gradient_flow, lyapunov_exponents
from unitcircle.experiments.training import Run, Status, train
from unitcircle.experiments.training._train import _Stack

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
CUDA = torch.device("cuda")
EPS, EPS32 = (torch.finfo(dtype).eps for dtype in (torch.float64, torch.float32))
CELLS = ["tanh", "relu", "leaky", "lstm", "gru", "orthogonal", "unitary_evolution", "strongly_typed"]


def _runs(cell, **options):
    settings = {"steps": 10, "evaluate_every": 10, "measure_at": (), "precision": "float64"} | options
    return [Run("adding(length=20)", f"{cell}(size=16)", "orthogonal", seed=seed, **settings) for seed in range(3)]


@pytest.mark.parametrize("cell", CELLS)
def test_losses_are_those_of_the_processor(cell):
    there = _Stack([replace(run, device="cuda") for run in _runs(cell)])
    here = _Stack(_runs(cell))
    for _ in range(10):
        # Ten updates through 20 steps of 16 units, whose sums a GPU takes in another order.
        torch.testing.assert_close(there._step().cpu(), here._step(), rtol=1e3 * 10 * 20 * 16 * EPS, atol=0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_on_a_gpu_learns_and_is_recorded(precision):
    run = Run("digits", "tanh(size=64)", "orthogonal", device="cuda", precision=precision, steps=300)
    (record,) = train([run])
    assert record.status is Status.FINISHED
    assert record.summary["test_score"] > 0.3
    assert record.memory_mb > 0
    assert record.diagnostics[0]["lyapunov.leading"] < 0


@pytest.mark.parametrize("generator", [0, "cuda", "cpu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_weights_on_a_gpu_keep_the_promise_of_their_initializer(generator, dtype):
    source = generator if generator == 0 else torch.Generator(generator).manual_seed(0)
    lstm = nn.LSTM(8, 64, device=CUDA, dtype=dtype)
    done = uc.torch.initialize_(lstm, recurrent="orthogonal", bias="chrono(max_steps=100)", rng=source)
    assert all(block.certificate.holds for block in done.filled)
    assert lstm.weight_hh_l0.is_cuda


def test_a_seed_gives_the_same_weights_on_both():
    there, here = nn.GRU(3, 32, device=CUDA), nn.GRU(3, 32)
    for module in (there, here):
        uc.torch.initialize_(module, recurrent="eigen(modulus=1.0)", rng=7)
    torch.testing.assert_close(there.weight_hh_l0.cpu(), here.weight_hh_l0, rtol=0, atol=4 * 32 * EPS32)


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_live_model_on_a_gpu_measures_as_on_the_processor(layer):
    torch.manual_seed(0)
    here = layer(3, 16)
    there = layer(3, 16, device=CUDA)
    there.load_state_dict(here.state_dict())
    inputs = torch.randn(30, 2, 3)
    # In double precision, 30 products of 16 × 16 Jacobians.
    rounding = 1e4 * 30 * 16 * EPS
    ours, theirs = gradient_flow(there, inputs.to(CUDA)), gradient_flow(here, inputs)
    np.testing.assert_allclose(ours.log_norms, theirs.log_norms, rtol=0, atol=rounding)
    found = lyapunov_exponents(there, inputs.to(CUDA), k=2).exponents
    np.testing.assert_allclose(found, lyapunov_exponents(here, inputs, k=2).exponents, rtol=0, atol=rounding)


def test_a_model_on_a_gpu_is_diagnosed():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 64, device=CUDA)
    nn.init.orthogonal_(lstm.weight_hh_l0)
    codes = {finding.code for finding in uc.diagnose(lstm, torch.randn(40, 4, 3, device=CUDA)).findings}
    assert "UC101" in codes


def test_a_monitor_measures_a_model_on_a_gpu():
    torch.manual_seed(0)
    rnn, readout = nn.RNN(2, 32, device=CUDA), nn.Linear(32, 1, device=CUDA)
    model = nn.ModuleDict({"rnn": rnn, "readout": readout})
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    first = rnn.weight_hh_l0.detach().cpu().double().numpy()
    records = []
    with uc.monitor.Monitor(model, every=5, overhead=1.0, sinks=[lambda record, step: records.append(record)]) as m:
        for step in range(20):
            loss = readout(rnn(torch.randn(10, 4, 2, device=CUDA))[0][-1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            m.step(step, loss)
            optimizer.step()
    assert len(records) >= 3
    start = np.abs(np.linalg.eigvals(first)).max()
    assert records[0]["rnn.weight_hh_l0/radius"] == pytest.approx(start, rel=2 * 32 * EPS32)
    assert records[-1]["rnn.weight_hh_l0/drift"] > 0
