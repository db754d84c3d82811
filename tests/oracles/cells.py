"""Recurrent cells as the papers write them, one number at a time, on complex numbers.

Complex numbers make the derivative exact: ``f(x + i h).imag / h`` has no cancellation, so h may be 1e-200.
"""

import cmath
import math

import numpy as np

TINY = 1e-200


def _sigmoid(x):
    return 1 / (1 + cmath.exp(-x))


def _clip(x):
    return 0j if x.real < 0 else 1 + 0j if x.real > 1 else x


def _normal(x):
    # erf has no complex version in the standard library; its first-order expansion is exact at a step of 1e-200.
    return 0.5 * (1 + math.erf(x.real / math.sqrt(2))) + 1j * x.imag * math.exp(-(x.real**2) / 2) / math.sqrt(
        2 * math.pi
    )


FUNCTIONS = {
    "tanh": cmath.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: x if x.real > 0 else 0j,
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: _clip(0.2 * x + 0.5),
    "hard_sigmoid6": lambda x: _clip(x / 6 + 0.5),
    "elu": lambda x: x if x.real > 0 else cmath.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x.real > 0 else 1.6732632423543772 * (cmath.exp(x) - 1)),
    "leaky_relu": lambda x: x if x.real > 0 else 0.01 * x,
    "softplus": lambda x: cmath.log(1 + cmath.exp(x)),
    "softsign": lambda x: x / (1 + x) if x.real > 0 else x / (1 - x),
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * _normal(x),
    "gelu_tanh": lambda x: x * (1 + cmath.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "sin": cmath.sin,
}


def apply(matrix, vector):
    return [sum(complex(w) * v for w, v in zip(row, vector, strict=True)) for row in matrix]


def step(layer, x, state):
    """One step of one sample, from the blocks of a RecurrentLayer, as a list of complex numbers."""
    n, phi = layer.hidden_size, {gate: FUNCTIONS[name] for gate, name in layer.activations.items()}
    blocks = layer.projected_gates or layer.gates
    zero = [0j] * n
    state = [complex(s) for s in state]

    def drive(gate):
        u = apply(layer.inputs[gate], x) if gate in layer.inputs and x is not None else zero
        return [a + complex(b) for a, b in zip(u, layer.biases.get(gate, zero), strict=True)]

    if layer.cell == "diagonal":
        return [complex(lam) * s + d for lam, s, d in zip(layer.diagonal, state, drive("h"), strict=True)]
    if layer.cell == "lstm":
        p = {gate: [complex(w) for w in layer.peepholes.get(gate, zero)] for gate in "ifo"}
        h, c = state[: layer.output_size], state[layer.output_size :]
        a = {gate: [r + d for r, d in zip(apply(blocks[gate], h), drive(gate), strict=True)] for gate in "ifgo"}
        new = [
            phi["f"](a["f"][k] + p["f"][k] * c[k]) * c[k] + phi["i"](a["i"][k] + p["i"][k] * c[k]) * phi["g"](a["g"][k])
            for k in range(n)
        ]
        out = [phi["o"](a["o"][k] + p["o"][k] * new[k]) * phi["c"](new[k]) for k in range(n)]
        return (out if layer.projection is None else apply(layer.projection, out)) + new
    if layer.cell == "gru":
        r, z = (
            [phi[gate](u + d) for u, d in zip(apply(blocks[gate], state), drive(gate), strict=True)] for gate in "rz"
        )
        if layer.reset_after:
            inside = layer.recurrent_biases.get("n", zero)
            recurrent = [r[k] * (u + complex(inside[k])) for k, u in enumerate(apply(blocks["n"], state))]
        else:
            recurrent = apply(blocks["n"], [r[k] * state[k] for k in range(n)])
        candidate = [phi["n"](u + d) for u, d in zip(recurrent, drive("n"), strict=True)]
        return [(1 - z[k]) * candidate[k] + z[k] * state[k] for k in range(n)]
    leak = np.broadcast_to(layer.leak, (n,))
    if layer.cell == "low_rank_rnn":
        new = [u + d for u, d in zip(apply(blocks["h"], [phi["h"](s) for s in state]), drive("h"), strict=True)]
    else:
        new = [phi["h"](u + d) for u, d in zip(apply(blocks["h"], state), drive("h"), strict=True)]
    return [(1 - leak[k]) * state[k] + leak[k] * new[k] for k in range(n)]


def jacobian(layer, x, state):
    """The Jacobian of :func:`step` by complex step."""
    columns = []
    for k in range(len(state)):
        nudged = [complex(s) + (1j * TINY if j == k else 0) for j, s in enumerate(state)]
        columns.append([value.imag / TINY for value in step(layer, x, nudged)])
    return np.array(columns).T
