"""Diagnose a flax nnx model on a batch: the scan that it runs is found, measured and remedied on copies."""

import jax
import jax.numpy as jnp
from flax import nnx

import unitcircle as uc


class Classifier(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.rnn = nnx.RNN(nnx.GRUCell(4, 32, rngs=rngs))
        self.readout = nnx.Linear(32, 3, rngs=rngs)

    def __call__(self, xs: jax.Array) -> jax.Array:
        return self.readout(self.rnn(xs)[:, -1])


xs, labels = jax.random.normal(jax.random.key(0), (16, 200, 4)), jnp.arange(16) % 3
diagnosis = uc.diagnose(Classifier(nnx.Rngs(0)), (xs, labels), try_initializers=["remedies"])
print(diagnosis.answer.sentence)
print(", ".join(finding.code for finding in diagnosis.findings))
print(diagnosis.remedy.text)
print(diagnosis.remedy.effect)
