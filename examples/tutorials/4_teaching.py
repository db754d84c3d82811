"""
From a number to a rotation
===========================

For teachers: why a recurrent network forgets or explodes, in five pictures, from a number that is multiplied by
itself to the spectrum of a random matrix.

Nothing but the core is needed. The script takes a few seconds.
"""

import numpy as np
from matplotlib import pyplot as plt

import unitcircle as uc

# %%
# Multiply a number
# -----------------
# Multiply by 0.9 again and again, and little is left; by 1.1, and it grows without end. Only 1 stays.

steps = np.arange(51)
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for factor in (0.9, 1.0, 1.1):
    ax.semilogy(steps, factor**steps, label=f"{factor}ᵗ")
ax.set(xlabel="t", ylabel="what 1 becomes", title="Powers of a number")
ax.legend()

# %%
# Fibonacci: multiply by a matrix
# -------------------------------
# Each number is the sum of the two before it. As a matrix: (F(t+1), F(t)) = A (F(t), F(t-1)) with A = [[1, 1],
# [1, 0]].

A = np.array([[1.0, 1.0], [1.0, 0.0]])
state = np.array([1.0, 0.0])
numbers = []
for _ in range(12):
    numbers.append(int(state[1]))
    state = A @ state
print(numbers)

# %%
# The eigenvalues of A are the golden ratio 1.618 and -0.618. In the direction of an eigenvector the matrix is a
# number, so the growth is that of the larger one: F(t) is 1.618ᵗ/√5, rounded.

golden = uc.eigenvalues(A)
print("eigenvalues", np.round(np.sort(np.asarray(golden).real), 4))
print("F(40) =", round(((1 + 5**0.5) / 2) ** 40 / 5**0.5))
print("the same by A⁴⁰:", int(uc.matrix_power(A, 40)[0, 1]))

# %%
# Rotate
# ------
# A rotation has complex eigenvalues, cos θ ± i sin θ, of modulus 1. It changes every vector and the length of
# none. Times 0.97 it becomes a spiral inwards, times 1.03 outwards.

theta = 2 * np.pi / 15
rotation = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.8), layout="constrained", sharex=True, sharey=True)
for ax, modulus in zip(axes, (0.97, 1.0, 1.03), strict=True):
    orbit = [np.array([1.0, 0.0])]
    for _ in range(30):
        orbit.append(modulus * rotation @ orbit[-1])
    ax.plot(*np.array(orbit).T, "o-", ms=3, lw=0.7)
    ax.set(aspect="equal", title=f"|λ| = {modulus}", xlabel="x")
axes[0].set_ylabel("y")

# %%
# Eigenvalues do not say everything
# ---------------------------------
# Both matrices below have the eigenvalue 0.9 twice. The powers of the second grow for a while: its eigenvectors
# have fallen together (a Jordan block), and t 0.9ᵗ⁻¹ rises before it falls.

pair = {"diagonal": np.diag([0.9, 0.9]), "Jordan block": np.array([[0.9, 2.0], [0.0, 0.9]])}
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, W in pair.items():
    ax.plot(np.exp(uc.power_norms(W, steps=80)), label=name)
    print(
        f"{name}: ρ = {uc.spectral_radius(W).value:.2f}, departure from normality {uc.departure_from_normality(W):.2f}"
    )
ax.set(xlabel="t", ylabel="‖Wᵗ‖", title="The same eigenvalues, other powers")
ax.legend()

# %%
# A random matrix
# ---------------
# Fill a matrix with random numbers of standard deviation 1/√n. Its eigenvalues fill the unit disc: some
# directions are forgotten at once, a few are kept. The eigenvalues of an orthogonal matrix all lie on the circle:
# nothing is forgotten.

fig, ax = plt.subplots(figsize=(4.8, 4.6), layout="constrained")
weights = {
    "random": np.random.default_rng(0).standard_normal((200, 200)) / 200**0.5,
    "orthogonal": uc.initializers.parse("orthogonal").sample(200, rng=0),
}
uc.report.plot_eigenvalues(weights, ax=ax)

# %%
# How large is the largest one? Not exactly 1: it is itself random, and its law is known exactly. At n = 10 it
# lies far from the limit for large n.

law = uc.ensembles.SpectralRadius(10, std=10**-0.5)
drawn = uc.ensembles.sample_radii(uc.initializers.parse("gaussian(std=0.31623)"), 10, 4000, rng=0, workers=1)
x = np.linspace(0.4, 1.8, 100)
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.hist(drawn, bins=50, density=True, color="0.8", label="4,000 matrices")
ax.plot(x, law.pdf(x), label="exact law")
ax.axvline(1, color="grey", ls=":", lw=0.8)
ax.set(xlabel="spectral radius", ylabel="density", title="The spectral radius of a 10 × 10 Gaussian matrix")
ax.legend()

# %%
# Where to go
# -----------
# The same pictures without Python: ``unitcircle spectrum orthogonal "gaussian(radius=1)" chain --n 256 --figure
# out/spectra.png`` and ``unitcircle radius --n 10 --std 2 --draws 10000 --figure out/radius.png``.
# :doc:`/glossary` has the words, and :doc:`/theory/spectral-radius-law` the law.
