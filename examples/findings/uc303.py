"""Ignore it where you did not ask for orthogonality: it is a note, and most weights that learn lose it."""

import torch
from subjects.watched import run

PICTURE = "run"
METRIC = "orthogonality"


def before():
    def drift(weight, step):
        weight.add_(0.1 * min(step, 1) * torch.randn(16, 16))
        return 1.0

    return run(drift)


def after():
    def drift(weight, step):
        weight.add_(0.1 * min(step, 1) * torch.randn(16, 16))
        left, _, right = torch.linalg.svd(weight)
        weight.copy_(left @ right)  # back to the nearest orthogonal weight; parametrize_orthogonal never leaves
        return 1.0

    return run(drift)
