"""Ignore it where you did not ask for orthogonality: it is a note, and most weights that learn lose it."""

import torch

import unitcircle as uc

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


def run(change):
    """Watch a network of which a step changes the weight; a training loop would call ``monitor.step`` as well."""
    torch.manual_seed(0)
    model, records, found = torch.nn.RNN(2, 16), [], []
    torch.nn.init.orthogonal_(model.weight_hh_l0)
    sinks = [lambda record, _step: records.append(uc.monitor.scalars(record))]
    monitor = uc.monitor.Monitor(model, every=1, overhead=1.0, sinks=sinks, on_finding=found.append)
    for step in range(12):
        with torch.no_grad():
            loss = change(model.weight_hh_l0, step)
        monitor.step(loss=loss)
    return records, found
