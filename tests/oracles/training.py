"""Training as anyone would write it: one torch layer, one linear readout, one loop."""

import numpy as np
import torch
from torch import nn

from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.tasks import Task


def plain_losses(run, start):
    """The loss at every step of a loop over nn.RNN, from the parameters of one run."""
    task, cell = Task.parse(run.task), TrainableCell.parse(run.cell)
    dtype = start["readout.weight"].dtype
    rnn = nn.RNN(task.inputs, cell.size, nonlinearity=cell.name, dtype=dtype)
    readout = nn.Linear(cell.size, task.outputs, dtype=dtype)
    rnn.load_state_dict(
        {
            "weight_hh_l0": start["cell.recurrent"],
            "weight_ih_l0": start["cell.input"],
            "bias_ih_l0": start["cell.bias"],
            "bias_hh_l0": torch.zeros_like(start["cell.bias"]),
        }
    )
    rnn.bias_hh_l0.requires_grad_(False)  # ours has one bias
    readout.load_state_dict({"weight": start["readout.weight"], "bias": start["readout.bias"]})
    parameters = [p for p in [*rnn.parameters(), *readout.parameters()] if p.requires_grad]
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    if run.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            parameters, lr=run.learning_rate, momentum=run.momentum, weight_decay=run.weight_decay
        )
    else:
        optimizer = kinds[run.optimizer](parameters, lr=run.learning_rate, weight_decay=run.weight_decay)
    rng = np.random.default_rng([0x64617461, run.seed])
    losses = []
    for _ in range(run.steps):
        batch = task.sample(rng, run.batch_size)
        optimizer.zero_grad()
        states, _ = rnn(torch.from_numpy(batch.inputs).to(dtype))
        loss = nn.functional.cross_entropy(readout(states[-1]), torch.from_numpy(batch.targets))
        loss.backward()
        if run.clip is not None:
            nn.utils.clip_grad_norm_(parameters, run.clip)
        optimizer.step()
        losses.append(loss.item())
    return losses
