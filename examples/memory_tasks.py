"""Copying and adding: solved by an initializer or bias that ought to solve them, and not by one that ought not.

pip install 'unitcircle[experiments]'; about six minutes on one core.
"""

import torch

from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Run, train

BLOCKS, WIDER, IDENTITY, DEFAULT = "block_rotation", "block_rotation(modulus=1.1)", "identity", "torch_default"
CASES = [
    ("copying(delay=20)", "tanh(size=64)", 3e-3, 4000, [(WIDER, "zeros"), (DEFAULT, "zeros")]),
    ("adding(length=50)", "relu(size=64)", 1e-3, 4000, [(IDENTITY, "zeros")]),
    ("adding(length=50)", "tanh(size=64)", 1e-3, 10000, [(BLOCKS, "zeros"), (IDENTITY, "zeros")]),
    ("adding(length=200)", "lstm(size=64)", 1e-2, 1500, [(DEFAULT, "chrono(max_steps=200)"), (DEFAULT, "zeros")]),
]

torch.set_num_threads(1)
for task, cell, rate, steps, rows in CASES:
    options = {"learning_rate": rate, "steps": steps, "evaluate_every": 100, "measure_at": ()}
    runs = [Run(task, cell, init, bias=bias, seed=seed, **options) for init, bias in rows for seed in range(3)]
    print(f"{task}, {cell}: baseline {Task.parse(task).baseline:.4f}, solved at {Task.parse(task).threshold:.4f}")
    for record in train(runs):
        label = f"{record.run.recurrent}, bias {record.run.bias}, seed {record.run.seed}"
        print(f"  {record.summary['test_score']:.4f} {'solved' if record.summary['solved'] else '      '} {label}")
