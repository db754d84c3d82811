"""A flax nnx GRU as it comes, diagnosed, initialized gate by gate, and measured: how far does its gradient reach?

pip install 'unitcircle[jax]' flax
python examples/jax_flax_rnn.py                   # a few seconds
"""

import jax
import jax.numpy as jnp
from flax import nnx

import unitcircle as uc
import unitcircle.jax as ujax

STEPS = 200
cell = nnx.GRUCell(8, 64, rngs=nnx.Rngs(0))
inputs = jax.random.normal(jax.random.key(1), (STEPS, 8))


def report(title: str) -> None:
    findings = uc.diagnose(ujax.to_layers(cell), steps=STEPS).findings
    flow = ujax.gradient_flow(lambda x, carry: cell(carry, x)[0], inputs, jnp.zeros(64))
    print(f"{title}: {', '.join(finding.code for finding in findings) or 'no findings'}; gradient {flow}")


report("as nnx makes it")
done = ujax.initialize_(cell, recurrent="orthogonal", bias=f"chrono(max_steps={STEPS})", key=2)
print(done)
report("orthogonal gates, chrono biases")
