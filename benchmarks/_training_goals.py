"""Goals of the performance table that train: studies, the live diagnosis, the monitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from benchmarks._goal import Goal
from benchmarks.live import live_row
from benchmarks.monitor import Reader, training
from benchmarks.study import plain_training
from unitcircle.experiments.training import Run, train
from unitcircle.monitor import Monitor

RUNS, STEPS = 16, 100
PLAIN = "two diagnostics a run of 100 steps"
GATED = "two diagnostics a run of 100 steps; training alone is some 1.9 times as fast as the loop"
FUSED = (
    "at most 1.2 x without diagnostics: a run trains by the loop's own kernel, one after another; two diagnostics a run"
    " take half as long as its 100 steps: 46 % in the singular values of the Jacobian (128 units of state, after"
    " training a QR at every step), 37 % in 384 sequences in double precision"
)
WIDE = (
    "training alone is some 1.7 times as fast as the loop: products of 128 units; two diagnostics a run are a quarter"
)
STACKED = (
    ("tanh(size=64)", 100, PLAIN),
    ("gru(size=64)", 100, GATED),
    ("lstm(size=64)", 100, FUSED),
    ("tanh(size=128)", 100, WIDE),
    ("tanh(size=64)", 720, "two diagnostics a run are a quarter, two thirds of that 384 sequences in double precision"),
)
"""Cells, blank steps after the 64 of a digit (T = 164 or 784), and why a goal is missed."""


def throughput() -> Iterator[Goal]:
    """Runs trained together, with their diagnostics, against the loop that trains one after the other.

    In processor time a loop over processes, such as joblib's, is the loop itself: it spreads the work, and makes none
    less.
    """
    for cell, blank, reason in STACKED:
        runs = [
            Run(f"delayed_digits(blank={blank})", cell, "orthogonal", steps=STEPS, seed=seed) for seed in range(RUNS)
        ]
        plain_training(_shorter(runs[0]))  # warms
        train([_shorter(run) for run in runs])
        before = _seconds(plain_training, runs[0])
        ours = _seconds(train, runs)
        after = _seconds(plain_training, runs[0])
        theirs = RUNS * (before + after) / 2
        yield Goal(
            f"study, {RUNS} runs of {STEPS} steps, {cell}, T = {blank + 64}, with diagnostics, against a plain loop",
            theirs / ours,
            2.5,
            "x",
            f"the loop {theirs:.3g} s, of which one run is timed, before and after",
            reason,
        )


def _seconds(work: Callable[[Any], object], of: object) -> float:
    start = process_time()
    work(of)
    return process_time() - start


def _shorter(run: Run) -> Run:
    return replace(run, steps=2, evaluate_every=2, measure_at=())


def live_diagnosis() -> Iterator[Goal]:
    """A live LSTM, in training steps of its own."""
    for tried, goal in (((), 15.0), (("remedies",), 150.0)):
        row = live_row(nn.LSTM, 64, 100, 16, tried=tried)
        step = row.baseline_s / goal
        yield Goal(
            f"live diagnosis, LSTM(64), T = 100, batch 16{', remedies tried' if tried else ''}",
            row.ours_s / step,
            goal,
            "steps",
            f"a training step of the fused layer {1e3 * step:.3g} ms",
            "five draws of each remedy are measured in double precision" if tried else "the passes are in float64",
        )


def monitoring() -> Iterator[Goal]:
    """The monitor at four sizes; the widest network reads short sequences, so that the table ends."""
    for n, length, batch in ((16, 50, 16), (64, 50, 16), (256, 50, 16), (1024, 10, 8)):
        yield overhead(n, length, batch)


def overhead(n: int, length: int, batch: int, *, blocks: int = 200, every: int = 20) -> Goal:
    """Blocks of training steps with a monitor and without, in turns; the monitor's clock stands in those without."""
    torch.manual_seed(0)
    model, skipped = Reader(nn.RNN, n), 0.0
    seconds = np.empty((blocks // 2, 2))

    def clock() -> float:
        return perf_counter() - skipped

    def call(_: int, loss: torch.Tensor) -> None:
        monitor.step(loss=loss)

    def nothing(_: int, loss: torch.Tensor) -> None:
        del loss

    with (
        patch("unitcircle.monitor._pace.perf_counter", clock),
        patch("unitcircle.monitor._monitor.perf_counter", clock),
        Monitor(model, every=every, sinks=[], on_finding="ignore") as monitor,
    ):
        for k in range(-2, blocks):  # a pair of blocks warms
            plain = k % 2
            begun, start = perf_counter(), process_time()
            training(model, every, length, batch, nothing if plain else call)
            if k >= 0:
                seconds[k // 2, plain] = process_time() - start
            skipped += (perf_counter() - begun) * plain
    share = 100 * (seconds[:, 0] - seconds[:, 1]) / seconds[:, 1].mean()
    error = share.std(ddof=1) / len(share) ** 0.5
    return Goal(
        f"monitor, RNN({n}), T = {length}, batch {batch}, {blocks} blocks of {every} steps in turns",
        share.mean() + 2 * error,
        1.0,
        "%",
        f"mean {share.mean():.2g} %, standard error {error:.2g} %, of which the bound is the mean and two; "
        f"{monitor.cost.measurements} measurements, by its own clock {100 * monitor.cost.share:.2g} %",
        "not proved: blocks scatter by more than the goal",
    )
