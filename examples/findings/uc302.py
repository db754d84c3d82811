"""Ignore it where the loss falls: a plain network that learns to remember raises its radius."""

import torch
from subjects.watched import run

PICTURE = "run"
METRIC = "radius"


def before():
    def grow(weight, _step):
        weight.mul_(1.08)
        return 1.0  # the loss does not fall

    return run(grow)


def after():
    def hold(weight, _step):
        weight.mul_(1.08)
        weight.div_(max(1.0, torch.linalg.eigvals(weight).abs().max()))  # as a penalty or a parametrization would
        return 1.0

    return run(hold)
