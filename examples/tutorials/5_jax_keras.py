"""
The same verdict in JAX and in Keras
====================================

Nothing here depends on PyTorch's names. This tutorial judges a flax cell, initializes it gate by gate, and
measures how far its gradient reaches before and after; then it does the same to a Keras model.

You need the extras ``jax`` and ``keras``, and flax: ``pip install ".[jax,keras]" flax`` in a checkout. The
script takes half a minute on one core, most of it to compile.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported

import jax
import jax.numpy as jnp
import keras
import numpy as np
from flax import nnx
from matplotlib import pyplot as plt

import unitcircle as uc

STEPS = 100

# %%
# A flax cell
# -----------
# The weights of an ``nnx`` module are judged as they are.

cell = nnx.GRUCell(4, 32, rngs=nnx.Rngs(0))
print(uc.diagnose(cell, steps=STEPS))

# %%
# ``gradient_flow`` measures any ``step(x, state) -> state``: here the norm of the gradient of the last state at
# each step before.

inputs = jax.random.normal(jax.random.key(1), (STEPS, 4))


def flow():
    """Return the gradient of the cell as it is now."""
    return uc.jax.gradient_flow(lambda x, carry: cell(carry, x)[0], inputs, jnp.zeros(32))


before = flow()
print(before)

# %%
# ``initialize_`` fills every gate of every cell on its own, and certifies what is stored. What draws random
# numbers takes a key, as everything in JAX.

print(uc.jax.initialize_(cell, recurrent="orthogonal", bias=f"chrono(max_steps={STEPS})", key=2))
after = flow()
print(after)

fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, measured in {"as flax makes it": before, "orthogonal gates, Chrono biases": after}.items():
    norms = np.asarray(measured.norms)
    ax.semilogy(norms / norms[0], label=name)
ax.set(xlabel="steps back from the end", ylabel="gradient relative to its end", title="A GRU in JAX")
ax.legend()

# %%
# With parameters in a tree, as in linen, ``uc.jax.initialize(params, ..., key=0)`` returns a new tree.
#
# A Keras model
# -------------
# Keras makes recurrent weights orthogonal by default, but as a stack: :doc:`/findings/UC101`.

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((None, 4)), keras.layers.LSTM(32), keras.layers.Dense(1)])
print(uc.diagnose(model, steps=STEPS))

# %%
# The same call repairs it; the gates go by the same names whatever the order in which Keras stacks them.

done = uc.keras.initialize_(model, recurrent="orthogonal", bias=f"chrono(max_steps={STEPS})", rng=0)
print(done)
print(uc.diagnose(model, steps=STEPS))

# %%
# New layers can be made right from the start, and are saved with the model:

lstm = keras.layers.LSTM(32, recurrent_initializer=uc.keras.Initializer("orthogonal", seed=0))
print(lstm.recurrent_initializer)

# %%
# Where to go
# -----------
# :doc:`/jax` and :doc:`/keras` list what is there, such as Lyapunov exponents by scan and a callback that watches
# training; :doc:`/same-law` shows that a specification is the same law in every framework.
