"""Ignore it where the spike has another cause that you know, such as a damaged batch."""

import torch

import unitcircle as uc

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
