"""
An LSTM that does not learn
===========================

A network has to tell, after 100 steps of noise, whether its first input was positive. It does not learn. This
tutorial finds out why before training, repairs it with one line, and trains both.

You need the extra ``torch``, ``pip install ".[torch]"`` in a checkout. The script takes half a minute on one core.
"""

import torch
from matplotlib import pyplot as plt

import unitcircle as uc

STEPS, UNITS = 100, 32
torch.manual_seed(0)
torch.set_num_threads(1)


def batch(count):
    """Return sequences of noise whose first value has to be remembered, and its sign."""
    inputs = 0.1 * torch.randn(count, STEPS, 1)
    inputs[:, 0] *= 10
    return inputs, (inputs[:, 0, 0] > 0).float()


class Reader(torch.nn.Module):
    """An LSTM and a readout of its last state."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(1, UNITS, batch_first=True)
        self.readout = torch.nn.Linear(UNITS, 1)

    def forward(self, inputs):
        return self.readout(self.lstm(inputs)[0][:, -1])[:, 0]


# %%
# Ask first
# ---------
# The weights are made as tutorials on the web advise: orthogonal recurrent weights, the biases at zero.
# :func:`unitcircle.diagnose` runs the model once on a batch, forwards and backwards, and looks at its weights.
# The first line answers the question, and the last lines say what to do.

model = Reader()
torch.nn.init.orthogonal_(model.lstm.weight_hh_l0)
torch.nn.init.zeros_(model.lstm.bias_ih_l0)
torch.nn.init.zeros_(model.lstm.bias_hh_l0)
loss = torch.nn.BCEWithLogitsLoss()
diagnosis = uc.diagnose(model, batch(64), loss=loss)
print(diagnosis)

# %%
# Every finding has a code with a page of its own: :doc:`/findings/UC101` explains why an orthogonal stack is not
# a stack of orthogonal gates, :doc:`/findings/UC201` what a vanishing gradient is.
#
# Repair it
# ---------
# ``apply_`` does what the remedy says, in a copy here, so that both can be compared. It returns what it filled,
# with a certificate for each gate.

repaired = Reader()
repaired.load_state_dict(model.state_dict())
for done in diagnosis.apply_(repaired, rng=0):
    print(done)

# %%
# What has changed is the norm of the gradient at each step, counted back from the end.

fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
sample = batch(64)
for name, net in {"as it was": model, "repaired": repaired}.items():
    norms = uc.dynamics.gradient_flow(net, sample, loss).norms  # (lag, layer, sequence)
    mean = (norms**2).mean(axis=(1, 2)) ** 0.5
    ax.semilogy(mean / mean[0], label=name)
ax.axhline(1e-3, color="grey", ls=":", lw=0.8)
ax.set(xlabel="steps back from the end", ylabel="‖∂L/∂s‖ relative to its end", title="How far the gradient reaches")
ax.legend()

# %%
# Train both
# ----------
# The same data, learning rate and number of steps.


def train(net, updates=150):
    """Train and return the accuracy on fresh sequences after every tenth step."""
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    test, answer = batch(256)
    accuracy = []
    for update in range(updates):
        inputs, target = batch(32)
        optimizer.zero_grad()
        loss(net(inputs), target).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if update % 10 == 9:
            with torch.no_grad():
                accuracy.append(float(((net(test) > 0) == (answer > 0)).float().mean()))
    return accuracy


fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, net in {"as it was": model, "repaired": repaired}.items():
    accuracy = train(net)
    ax.plot(range(10, 10 * len(accuracy) + 1, 10), accuracy, label=name)
    print(f"{name}: accuracy {accuracy[-1]:.2f}")
ax.axhline(0.5, color="grey", ls=":", lw=0.8)
ax.set(xlabel="training steps", ylabel="accuracy on fresh sequences", ylim=(0.4, 1.02), title="0.5 is guessing")
ax.legend(loc="center right")

# %%
# Where to go
# -----------
# :doc:`/live` explains every measurement and can try several remedies on copies of your model; :doc:`/monitor`
# watches the same numbers while a network trains; :doc:`/results/verdicts` says how often such a remedy pays, and
# when it does not.
