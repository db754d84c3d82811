"""
A reservoir with the radius you asked for
=========================================

A reservoir is a fixed sparse recurrent weight; only a linear readout is trained. Its spectral radius sets how
long it remembers. This tutorial draws one with an exact radius, checks that it forgets where it began, and
measures how many past inputs its states still hold.

Nothing but the core is needed. The script takes ten seconds on one core.
"""

import numpy as np
from matplotlib import pyplot as plt
from scipy.sparse.linalg import ArpackNoConvergence, eigs

import unitcircle as uc

rng = np.random.default_rng(0)

# %%
# Draw
# ----
# ``sparse`` rescales independent entries to the radius that it names. The result is a SciPy sparse array, and
# :func:`unitcircle.spectral_radius` says how well the radius is known.

W = uc.initializers.parse("sparse(density=0.02, radius=0.95)").sample(500, rng=0)
print(f"{W.shape[0]} units, {W.nnz} entries")
print(uc.spectral_radius(W))

# %%
# Why not ``scipy.sparse.linalg.eigs(W, k=1)``, as libraries do? The largest eigenvalues of a random weight lie
# close together, and the search may stop at another one without a warning, or give up. In twenty draws:

wrong = gave_up = 0
for seed in range(10, 30):
    drawn = uc.initializers.parse("sparse(density=0.02, radius=0.95)").sample(300, rng=seed)
    start = np.random.default_rng(seed).standard_normal(300)
    try:
        found = abs(eigs(drawn, k=1, v0=start, return_eigenvectors=False)[0])
    except ArpackNoConvergence:
        gave_up += 1
    else:
        wrong += abs(found - 0.95) > 1e-3
print(f"eigs(k=1): {wrong} wrong by more than 0.001, {gave_up} without a result, of 20")

# %%
# Leak
# ----
# A unit that moves only a part a of the way to its new value, h' = (1 - a) h + a tanh(W h + V x), has the
# Jacobian (1 - a) I + a W at rest. That matrix has the radius that matters, and it is not a ρ + 1 - a unless the
# largest eigenvalue is real and positive.

LEAK = 0.3
effective = uc.spectral_radius((1 - LEAK) * np.eye(500) + LEAK * W.toarray())
print(f"ρ(W) = 0.95, effective radius at leak {LEAK}: {effective.value:.3f}, at most {LEAK * 0.95 + 1 - LEAK:.3f}")


# %%
# Does it forget where it began?
# ------------------------------
# The echo state property: two copies that start apart come together under the same input. That ρ < 1 is neither
# enough nor needed; the input counts. So we drive two copies and look.


def run(W, inputs, state, gain=0.5):
    """Return the states of the reservoir, ``(time, units)``."""
    V = gain * np.random.default_rng(1).uniform(-1, 1, W.shape[0])
    states = []
    for x in inputs:
        state = np.tanh(W @ state + V * x)
        states.append(state)
    return np.array(states)


inputs = rng.uniform(-1, 1, 300)
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for radius in (0.5, 0.95, 1.1, 2.0):
    scaled = W * (radius / 0.95)
    apart = run(scaled, inputs, rng.uniform(-1, 1, 500)) - run(scaled, inputs, rng.uniform(-1, 1, 500))
    ax.semilogy(np.linalg.norm(apart, axis=1) + 1e-16, label=f"ρ = {radius}")
ax.set(xlabel="steps", ylabel="distance of two copies", title="Same input, other beginning")
ax.legend()

# %%
# The weight with ρ = 1.1 still forgets, because its input keeps the units away from the origin; at ρ = 2 it does
# not. :func:`unitcircle.ensembles.critical_gain` says where the border lies for a random weight, without running
# one.

std = 0.5 / 3  # gain times the standard deviation of V, times that of x
print(f"critical gain with this input: {uc.ensembles.critical_gain(input_std=std):.2f}")


# %%
# Memory capacity
# ---------------
# How many past inputs can a linear readout recover? For each delay, the squared correlation of the best readout
# with the input of so many steps ago; the sum is Jaeger's memory capacity.


def memory(W, delays=60, ridge=1e-8):
    """Return the squared correlation at each delay, on steps that the readout was not fitted to."""
    x = np.random.default_rng(2).uniform(-1, 1, 1500)
    H = run(W, x, np.zeros(W.shape[0]), gain=0.1)[200:]
    past = np.stack([x[200 - d : 1500 - d] for d in range(1, delays + 1)], axis=1)
    fit, check = slice(0, 900), slice(900, None)
    readout = np.linalg.solve(H[fit].T @ H[fit] + ridge * np.eye(H.shape[1]), H[fit].T @ past[fit])
    answer = H[check] @ readout
    return np.array([np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(answer.T, past[check].T, strict=True)])


fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
sparse = uc.initializers.parse("sparse(density=0.1, radius=1.0)").sample(100, rng=0)
weights = {"sparse, ρ = 0.5": 0.5 * sparse, "sparse, ρ = 0.95": 0.95 * sparse}
weights["orthogonal, times 0.95"] = 0.95 * np.asarray(uc.initializers.parse("orthogonal").sample(100, rng=0))
for name, weight in weights.items():
    recalled = memory(weight)
    ax.plot(range(1, 61), recalled, label=f"{name}: {recalled.sum():.0f}")
ax.set(xlabel="delay (steps)", ylabel="squared correlation", title="Memory capacity of 100 units")
ax.legend()

# %%
# Where to go
# -----------
# :doc:`/theory/spectral-radius-law` has the exact law of the radius of a Gaussian weight;
# :doc:`/theory/criticality` the border of chaos with inputs; ``unitcircle diagnose esn.npz --leak 0.3`` judges a
# reservoir in a file (:doc:`/diagnosing`).
