"""Stacked training on a GPU against the same training one run at a time on it; a reason where there is none."""

import time
from dataclasses import replace

import torch

from benchmarks._row import Row
from unitcircle.experiments.training import Run
from unitcircle.experiments.training._train import _Stack

STEPS = 10


def _seconds(runs):
    stack = _Stack(runs)
    for _ in range(3):
        stack._step()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(STEPS):
        stack._step()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / STEPS / len(runs)


def rows():
    """Runs that share a GPU in one program: at least five times as many steps an hour."""
    if not torch.cuda.is_available():
        print("  skipped: no CUDA device here")
        return
    print(f"  {torch.cuda.get_device_name()}")
    for cell in ("tanh(size=64)", "lstm(size=64)", "tanh(size=256)"):
        run = Run("delayed_digits", cell, "orthogonal", device="cuda", measure_at=())
        alone = _seconds([run])
        for count in (8, 64, 256):
            together = _seconds([replace(run, seed=seed) for seed in range(count)])
            yield Row(
                f"{cell}, delayed digits (164 steps, batch 32): {3600 / together:,.0f} run-steps an hour",
                "one run at a time",
                f"{count} runs stacked",
                alone,
                together,
                5 if count >= 64 else 1,
            )
