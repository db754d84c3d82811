"""Ignore it where the spike has another cause that you know, such as a damaged batch."""

import torch
from subjects.watched import run

PICTURE = "run"
METRIC = "transient"


def before():
    def shear(weight, step):
        weight.copy_(0.8 * torch.eye(16))
        weight[0, 1:] = 0.4 * step  # the eigenvalues stay, the powers grow
        return 9.0 if step == 10 else 1.0 + 0.1 * (step % 2)

    return run(shear)


def after():
    def hold(weight, step):
        weight.copy_(0.8 * torch.eye(16))
        return 1.0 + 0.1 * (step % 2)

    return run(hold)
