"""
Inside a trained rate network
=============================

A network of rate units with a leak learns to hold one bit: its output is the sign of the last input pulse.
Which dynamics has it learned? This tutorial finds its fixed points, their stability, and its Lyapunov
exponents, and draws its states around them.

You need the extra ``torch``, ``pip install ".[torch]"`` in a checkout. The script takes half a minute on one core.
"""

import torch
from matplotlib import pyplot as plt

import unitcircle as uc

UNITS, STEPS, LEAK = 24, 30, 0.5
torch.manual_seed(0)
torch.set_num_threads(1)


class RateNetwork(torch.nn.Module):
    """h' = (1 - a) h + a tanh(W h + U x + b): Euler steps of τ dh/dt = -h + tanh(W h + U x + b), with a = dt/τ."""

    def __init__(self):
        super().__init__()
        self.W = torch.nn.Parameter(torch.randn(UNITS, UNITS) / UNITS**0.5)
        self.U = torch.nn.Parameter(torch.randn(UNITS, 1))
        self.b = torch.nn.Parameter(torch.zeros(UNITS))
        self.readout = torch.nn.Linear(UNITS, 1)

    def step(self, x, h):
        return (1 - LEAK) * h + LEAK * torch.tanh(h @ self.W.T + x @ self.U.T + self.b)

    def forward(self, inputs):
        h = inputs.new_zeros(inputs.shape[1], UNITS)
        states = []
        for x in inputs:
            h = self.step(x, h)
            states.append(h)
        states = torch.stack(states)
        return self.readout(states)[..., 0], states


def pulses(count):
    """Return pulses of ±1 at random times, ``(time, batch, 1)``, and the sign of the last one."""
    x = (torch.rand(STEPS, count) < 0.1) * torch.randint(0, 2, (STEPS, count)).mul(2).sub(1).float()
    x[0] = torch.randint(0, 2, (count,)).mul(2).sub(1).float()
    target = x.clone()
    for t in range(1, STEPS):
        target[t] = torch.where(x[t] == 0, target[t - 1], x[t])
    return x[..., None], target


# %%
# Train
# -----

net = RateNetwork()
optimizer = torch.optim.Adam(net.parameters(), 0.01)
for _ in range(120):
    inputs, target = pulses(32)
    output, _ = net(inputs)
    error = (output[2:] - target[2:]).square().mean()  # two steps to react
    optimizer.zero_grad()
    error.backward()
    optimizer.step()
print(f"mean squared error {error.item():.3f}; 1 is that of a silent network")

# %%
# Fixed points
# ------------
# Without input, where does the state stay? :func:`unitcircle.dynamics.fixed_points` takes any function ``step(x,
# state)``, and finds unstable points as well as stable ones, because it solves equations and does not wait for
# the state to settle.

net.double()  # measured in double precision
origin, silence = torch.zeros(UNITS).double(), torch.zeros(1).double()
points = uc.dynamics.fixed_points(lambda _x, h: net.step(silence, h), state=origin, starts=32)
print(points)
found = torch.as_tensor(points.states).reshape(-1, UNITS)  # (points, steps of a cycle, units): one step here
for point, dimension in zip(found, points.unstable_dimension, strict=True):
    read = net.readout(point).item()
    print(f"output {read:+.2f}, {dimension} unstable direction(s)")

# %%
# One bit is two stable points, at outputs of about -1 and +1, and between them a saddle with one unstable
# direction: the threshold that a pulse has to push the state across. What is drawn is the plane in which the
# states vary most.

with torch.no_grad():
    states = net(pulses(16)[0].double())[1].reshape(-1, UNITS)
mean = states.mean(0)
plane = torch.linalg.svd(states - mean, full_matrices=False)[2][:2].T
around = (states - mean) @ plane
placed = (found - mean) @ plane
stable = torch.as_tensor(points.stable)

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(*around.T, ".", ms=2, color="0.7", label="states, driven by pulses")
ax.plot(*placed[stable].T, "o", color="#0072B2", label="stable fixed points")
ax.plot(*placed[~stable].T, "X", color="#D55E00", label="saddles")
ax.set(xlabel="first principal component", ylabel="second principal component", title="Two memories and a threshold")
ax.legend()

# %%
# Stability
# ---------
# The eigenvalues of the Jacobian at each point: inside the unit circle a direction is forgotten, outside it
# grows.

fig, ax = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
angle = torch.linspace(0, 2 * torch.pi, 200)
ax.set(aspect="equal", xlabel="real part", ylabel="imaginary part", title="Eigenvalues of the Jacobian at each point")
ax.plot(angle.cos(), angle.sin(), color="grey", lw=0.8)
for values, is_stable in zip(points.eigenvalues, points.stable, strict=True):
    kind = {"marker": "o", "color": "#0072B2"} if is_stable else {"marker": "X", "color": "#D55E00"}
    ax.scatter(values.real, values.imag, s=18, **kind)

# %%
# Lyapunov exponents
# ------------------
# Driven by pulses, do two nearby states come together? The leading exponent, in nats a step and with its standard
# error, says at what rate. Below 0 the network forgets where it began and follows its input, which a reservoir is
# asked to do as well.

driven = torch.cat([pulses(2)[0] for _ in range(60)]).double()  # (time, batch, 1)
exponents = uc.dynamics.lyapunov_exponents(net.step, driven, initial=origin.repeat(2, 1), k=2, burn_in=100)
print(exponents)

# %%
# And the weight by itself: how far it is from normal decides how long a pulse may grow before it decays.

print(uc.spectrum(net.W.detach().numpy()))

# %%
# Where to go
# -----------
# :doc:`/reference/dynamics` has the gradient flow, the spectrum of the Jacobian over many steps, and cycles
# (``fixed_points(..., period=2)``); :doc:`/theory/criticality` says where chaos begins for a network with inputs.
