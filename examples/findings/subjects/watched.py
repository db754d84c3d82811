"""A network of the examples of UC3xx, whose weight a step changes, under a monitor."""

import torch

import unitcircle as uc


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
