"""Ignore it where the weight decay is small against the length of training, by the number of steps that it names."""

import torch

PICTURE = "decayed"


def before():
    model = Mixer()
    return model, {"optimizer": torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)}


def after():
    model = Mixer()
    decay = [model.A_log, model.dt_bias]
    others = [model.in_proj.weight]
    groups = [{"params": others, "weight_decay": 0.1}, {"params": decay, "weight_decay": 0.0}]
    return model, {"optimizer": torch.optim.AdamW(groups, lr=1e-2)}


class Mixer(torch.nn.Module):
    """The parameters of a layer of Mamba-2."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.A_log = torch.nn.Parameter(torch.log(torch.arange(1.0, 17.0)))
        dt = torch.exp(torch.empty(16).uniform_(-6.9, -2.3))
        self.dt_bias = torch.nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.in_proj = torch.nn.Linear(8, 8, bias=False)
