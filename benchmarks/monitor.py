"""A monitor costs at most 1 % of training; its memory is flat; warm ρ is right to 1 % at a twentieth of the cost."""

import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import nn

from benchmarks._row import Row
from unitcircle.monitor import Monitor
from unitcircle.monitor._leading_values import LeadingValues


class Reader(nn.Module):
    """Reads a sequence, answers with a number."""

    def __init__(self, layer, n):
        super().__init__()
        self.rnn, self.readout = layer(2, n), nn.Linear(n, 1)

    def forward(self, x):
        return self.readout(self.rnn(x)[0][-1])[:, 0]


def training(model, steps, length, batch, before, lr=1e-3):
    """The adding problem; ``before`` is called where a monitor is."""
    optimizer = torch.optim.Adam(model.parameters(), lr)
    index = torch.arange(batch)
    for step in range(steps):
        x = torch.rand(length, batch, 2)
        x[..., 1] = 0
        first, second = torch.randint(length // 2, (batch,)), torch.randint(length // 2, length, (batch,))
        x[first, index, 1] = x[second, index, 1] = 1
        loss = (model(x) - x[first, index, 0] - x[second, index, 0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        before(step, loss)
        optimizer.step()


def _overhead_row(layer, n, length, batch, steps, every=100):
    """All that ``step`` takes, waiting and counting included, against the rest of the time."""
    torch.manual_seed(0)
    model = Reader(layer, n)
    monitor = Monitor(model, every=every, sinks=[], on_finding="ignore")
    spent = 0.0

    def before(step, loss):
        nonlocal spent
        start = perf_counter()
        monitor.step(step, loss)
        spent += perf_counter() - start

    # What the first optimizer step imports is no part of either.
    torch.optim.Adam([nn.Parameter(torch.zeros(1))]).step()
    start = perf_counter()
    training(model, steps, length, batch, before)
    whole = perf_counter() - start
    cost = monitor.cost
    return Row(
        f"overhead, nn.{layer.__name__}, n = {n}, T = {length}, batch {batch}, {steps} steps, "
        f"{cost.measurements} measurements",
        "training, monitored",
        f"the monitor, every={every}: at most a hundredth of the whole",
        whole,
        spent,
        100,
    )


def _radius_rows(n=1024, steps=120, every=10):
    """A tanh network trained by Adam at 1e-3: ρ goes from 1 to several, with outliers that come and go."""
    for name in ("orthogonal", "Gaussian"):
        torch.manual_seed(0)
        model = Reader(nn.RNN, n)
        weight = model.rnn.weight_hh_l0
        nn.init.orthogonal_(weight) if name == "orthogonal" else nn.init.normal_(weight, std=n**-0.5)
        leading, exact_s, warm_s, errors = LeadingValues(np.random.default_rng(0)), [], [], []

        def before(step, _loss, weight=weight, leading=leading, exact_s=exact_s, warm_s=warm_s, errors=errors):
            if step % every:
                return
            W = weight.detach().numpy()
            start = perf_counter()
            warm = leading.radius(W)
            middle = perf_counter()
            exact = float(np.abs(np.linalg.eigvals(W.astype(float))).max())
            if step:  # the first search has no start
                warm_s.append(middle - start)
                exact_s.append(perf_counter() - middle)
            errors.append(abs(warm / exact - 1))

        training(model, steps, 48, 16, before)
        worst = f"worst error {100 * max(errors):.2g} %" + ("" if max(errors) < 0.01 else ": NOT within 1 %")
        yield Row(
            f"warm-started ρ along a training run from {name} weights, n = {n}, every {every} steps ({worst})",
            "np.linalg.eigvals",
            "monitor",
            float(np.median(exact_s)),
            float(np.median(warm_s)) if max(errors) < 0.01 else float("inf"),
            20,
        )


@dataclass(frozen=True)
class MemoryRow:
    """A claim about resident memory (MiB): what a part of a run adds to what it was before."""

    claim: str
    before: float
    after: float
    at_most: float

    @property
    def holds(self) -> bool:
        return self.after - self.before <= self.at_most

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "MISSED"
        return (
            f"  {self.claim}: {self.after - self.before:+.1f} MiB (claimed at most {self.at_most:g} MiB, {verdict})\n"
            f"    {self.before:12.1f} MiB  before\n"
            f"    {self.after:12.1f} MiB  after"
        )


def _resident():
    """Memory held now; where the system does not say, the most that ever was."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _memory_row(steps=10_000, every=5, n=16):
    """The whole of a monitor: numbers, a batch, a file; the first fifth fills histories and pools."""
    torch.manual_seed(0)
    model = Reader(nn.RNN, n)
    at = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl")
        batch = torch.rand(10, 4, 2)
        monitor = Monitor(model, every=every, overhead=1.0, sinks=path, batch=batch, on_finding="ignore")

        def before(step, loss):
            monitor.step(step, loss)
            if step == steps // 5:
                at[step] = _resident()

        training(model, steps + 1, 10, 8, before)
        written = path.stat().st_size / 2**20
    claim = (
        f"memory of training from step {steps // 5:,} to {steps:,}, nn.RNN, n = {n}, "
        f"{monitor.cost.measurements:,} measurements, {written:.1f} MiB of JSON lines"
    )
    return MemoryRow(claim, at[steps // 5], _resident(), 2.0)


def rows():
    """Claims of issue 8."""
    yield _memory_row()
    yield _overhead_row(nn.RNN, 64, 100, 32, 3000)
    yield from _radius_rows()
    yield _overhead_row(nn.LSTM, 1024, 256, 32, 61, every=20)
