"""Ignore it where the loss is low: the gradient of a network that has learned is small."""

import torch

import unitcircle as uc

PICTURE = "run"
METRIC = "gradient"


def before():
    return train(too_long=True)


def after():
    return train(too_long=False)


def train(too_long):
    """Train a ReLU network; one step that is too long switches every unit off."""
    torch.manual_seed(0)
    model, records, found = torch.nn.RNN(1, 8, nonlinearity="relu"), [], []
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    sinks = [lambda record, _step: records.append(uc.monitor.scalars(record))]
    monitor = uc.monitor.Monitor(model, every=1, overhead=1.0, sinks=sinks, on_finding=found.append)
    for step in range(14):
        loss = (model(torch.ones(5, 4, 1))[0] - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        monitor.step(loss=loss)
        optimizer.step()
        if too_long and step == 6:
            torch.nn.init.constant_(model.bias_hh_l0, -100.0)
    return records, found
