"""One specification, one law: NumPy, torch, JAX and Keras, for every initializer, element type and layout.

``docs/same-law.md`` is the table of what is found here, seeds being fixed; ``python -m tests.test_same_law`` writes it.
"""

import contextlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.laws import COMPLEX, EPS, LEVEL, SPECS, N, agreement

from unitcircle import initializers as uci

os.environ.setdefault("KERAS_BACKEND", "torch")
# As tests/conftest.py has it, for `python -m tests.test_same_law`.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

PAGE = Path(__file__).parents[1] / "docs" / "same-law.md"
DRAWS = 192
GATES = 4
LAYOUTS = {"weight": (N, N), "gates": (N, N), "input": (N, 5), "bias": (N,)}
SHORT = {"float": "f", "bfloat": "bf", "complex": "c"}


def short(dtype):
    return next(f"{letter}{dtype.removeprefix(kind)}" for kind, letter in SHORT.items() if dtype.startswith(kind))


def layouts(init):
    """Return the layouts that an initializer has."""
    if init.axes == 1:
        return ["bias", "gates"]
    return [
        "weight",
        "gates",
        *([] if init.square else ["input"]),
        *(["bias"] if isinstance(init, uci.Constant | uci.Zeros) else []),
    ]


def dtypes(init):
    """Return the element types in which the law is defined."""
    real = [] if init.name in COMPLEX else ["float64", "float32", "bfloat16", "float16"]
    return real + (["complex128", "complex64"] if init.name in COMPLEX or init.field == "complex" else [])


def shape_of(init, layout):
    return (N,) if init.axes == 1 else LAYOUTS[layout]


def gaussian(init, shape, dtype, seed):
    """Return Gaussian numbers in double precision, complex where a complex type and the law ask for them."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(shape)
    return (z + 1j * rng.standard_normal(shape)) / np.sqrt(2) if dtype[0] == "c" and init.field == "complex" else z


def per_gate(init, z):
    """Return what NumPy makes of Gaussian numbers; of a gate bias, the gates i f g o of an LSTM."""
    if not isinstance(init, uci.GateBias):
        return init(z)
    decided = init.gates(z, cell="lstm")
    return np.stack([decided.get(gate, np.zeros_like(z)) for gate in "ifgo"], axis=1)


def single(init, layout):
    return layout != "gates" or not isinstance(init, uci.GateBias)


@cache
def reference(init, layout, dtype):
    """Return weights of NumPy in double precision, rounded to an element type: ``(DRAWS, ...)``."""
    z = gaussian(init, (DRAWS, *shape_of(init, layout)), dtype, 5)
    return rounded(init(z) if single(init, layout) else per_gate(init, z), dtype)


def rounded(weights, dtype):
    import ml_dtypes

    return weights.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype).astype(complex)


def numpy_draws(init, layout, dtype):
    """NumPy's own element types: ``init(z)`` of z in that type."""
    if dtype == "bfloat16":
        return None
    kind = {"complex128": "float64", "complex64": "float32"}.get(dtype, dtype) if init.field == "real" else dtype
    z = gaussian(init, (DRAWS, *shape_of(init, layout)), dtype, 6).astype(kind)
    made = init(z) if single(init, layout) else per_gate(init, z)
    assert made.dtype == dtype
    return made


def torch_draws(init, layout, dtype):
    """``fill_`` of one tensor ``(k·out, in)``, four gates or all draws one below the other."""
    import torch

    from unitcircle.torch import fill_

    shape, kind = shape_of(init, layout), getattr(torch, dtype)
    generator = torch.Generator().manual_seed(7)
    if not single(init, layout):
        tensors = [fill_(torch.empty(4 * N, dtype=kind), init, gates=4, rng=generator) for _ in range(DRAWS)]
    elif layout in {"weight", "bias"}:
        tensors = [fill_(torch.empty(shape, dtype=kind), init, rng=generator) for _ in range(DRAWS)]
    else:
        stacks = [torch.empty(GATES * shape[0], *shape[1:], dtype=kind) for _ in range(DRAWS // GATES)]
        tensors = [block for t in stacks for block in fill_(t, init, gates=GATES, rng=generator).chunk(GATES)]
    high = torch.complex128 if kind.is_complex else torch.float64
    return np.stack([tensor.to(high).numpy() for tensor in tensors])


def jax_draws(init, layout, dtype):
    """``(key, shape, dtype)`` of kernels ``(in, k·out)`` with a leading axis of draws."""
    drawn = jax_compiled(init, EPS[dtype] < 2.0**-40)[layout, dtype]
    assert drawn.dtype == dtype
    if not single(init, layout) or drawn.ndim == 1 or init.axes == 1:
        return drawn.reshape(DRAWS, -1)
    rows, columns = LAYOUTS[layout]
    return drawn.reshape(len(drawn), columns, -1, rows).transpose(0, 2, 3, 1).reshape(DRAWS, rows, columns)


@cache
def jax_compiled(init, double):
    """Return draws of every layout and of every element type of a precision, (layout, type) → array, by one program."""
    import jax
    import jax.numpy as jnp

    from unitcircle.jax import initializer

    kinds = [dtype for dtype in dtypes(init) if (EPS[dtype] < 2.0**-40) == double]

    def draw(key):
        made = []
        for layout in layouts(init):
            rows, columns = (*shape_of(init, layout), N)[:2]
            gates = 1 if layout in {"weight", "bias"} else GATES
            if not single(init, layout):
                shape = (DRAWS, 4 * N)
            elif layout == "bias":
                shape = (DRAWS, N) if init.axes == 1 else (DRAWS * N,)
            else:
                shape = (DRAWS // gates, columns, gates * rows)
            made += [initializer(init, gates=gates)(key, shape, jnp.dtype(kind)) for kind in kinds]
        return made

    with jax.enable_x64(True) if double else contextlib.nullcontext():
        places = [(layout, kind) for layout in layouts(init) for kind in kinds]
        drawn = jax.jit(draw)(jax.random.key(8))
        return {place: np.asarray(array) for place, array in zip(places, drawn, strict=True)}


def keras_draws(init, layout, dtype):
    """``Initializer`` of kernels ``(in, k·out)``."""
    import keras

    from unitcircle._array import to_numpy
    from unitcircle.keras import Initializer

    if dtype.startswith("complex") or (layout == "bias" and isinstance(init, uci.GateBias)):
        return None
    shape = shape_of(init, layout)
    if keras.backend.backend() == "jax" and dtype == "float64":
        return None
    if not single(init, layout):
        make, drawn = Initializer(init, seed=9, gates=4), (4 * N,)
    elif layout == "bias":
        make, drawn = Initializer(init, seed=9), (N,)
    else:
        gates = 1 if layout == "weight" else GATES
        make, drawn = Initializer(init, seed=9, gates=gates), (shape[1], gates * shape[0])
    count = DRAWS // GATES if layout in {"gates", "input"} and single(init, layout) else DRAWS
    found = np.stack([to_numpy(make(drawn, dtype)) for _ in range(count)]).astype(float)
    if found.ndim == 2:
        return found
    return found.reshape(count, shape[1], -1, shape[0]).transpose(0, 2, 3, 1).reshape(DRAWS, *shape)


FRAMEWORKS = {"NumPy": numpy_draws, "torch": torch_draws, "JAX": jax_draws, "Keras": keras_draws}


def p_value(init, framework, layout, dtype):
    """Return the p-value of one law; None where the framework does not define it. Gates of a bias: all four at once."""
    drawn = FRAMEWORKS[framework](init, layout, dtype)
    if drawn is None:
        return None
    expected = reference(init, layout, dtype)
    drawn = drawn.astype(complex)
    if single(init, layout):
        return agreement(drawn, expected, EPS[dtype])
    drawn, expected = drawn.reshape(DRAWS, 4, N), expected.reshape(DRAWS, 4, N)
    return min(agreement(drawn[:, gate], expected[:, gate], EPS[dtype]) for gate in range(4))


@cache
def found(init, framework):
    """Return layout → element type → p-value or None."""
    return {
        layout: {dtype: p_value(init, framework, layout, dtype) for dtype in dtypes(init)} for layout in layouts(init)
    }


def cell(p_values):
    """Return the element types that have the law, and by name those that have another."""
    same = [short(dtype) for dtype, p in p_values.items() if p is not None and p > LEVEL]
    other = [f"**{short(dtype)}: another law**" for dtype, p in p_values.items() if p is not None and p <= LEVEL]
    return " ".join(same + other) or "—"


HEAD = f"""# The same law everywhere

A specification means the same distribution of weights in NumPy, torch, JAX and Keras, seed aside. Each cell lists the
element types in which {DRAWS} draws of {N} units agree with NumPy's in double precision: two-sample Kolmogorov-Smirnov
tests of single entries on both sides of the diagonal, of the norm and of the trace of the square, each p > {LEVEL:g}.
`tests/test_same_law.py` computes this table and fails if the page says something else; `python -m tests.test_same_law`
writes it.

Layouts: *weight* is one square weight, *gates* a stack of {GATES} gates, *input* such a stack of 5 inputs, *bias* a
vector. Weights are `init(z)` `(out, in)` in NumPy, `fill_` `(k·out, in)` in torch, `initializer` and
`Initializer` `(in, k·out)` in JAX and Keras.

f64 f32 f16 are float64, float32, float16, bf16 is bfloat16, c128 c64 are complex128, complex64. What is missing is not
defined: a complex law has no half precision, and most real ones have no complex form; NumPy has no bfloat16; Keras's
weights are real, and its gate biases need their gates.

| specification | layout | {" | ".join(FRAMEWORKS)} |
|---|---|{"---|" * len(FRAMEWORKS)}
"""


def table():
    rows = [
        [f"`{init}`", layout, *(cell(found(init, framework)[layout]) for framework in FRAMEWORKS)]
        for init in SPECS
        for layout in layouts(init)
    ]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def printed():
    """Return the page that a process of its own makes: XLA was seen to wait for ever for a result of its threads.

    jax-ml/jax#25861: a computation that is dispatched to a thread. One that has not ended after 400 s is begun again,
    once and then without a limit, so that a slow machine only takes longer.
    """
    command = [sys.executable, "-m", "tests.test_same_law", "--print"]
    env = os.environ | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    for limit in (400, None):
        with contextlib.suppress(subprocess.TimeoutExpired):
            run = subprocess.run(command, cwd=PAGE.parents[1], env=env, capture_output=True, check=False, timeout=limit)
            break
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout.decode()


@pytest.mark.slow
def test_a_specification_has_one_law_in_every_framework_and_the_page_says_so():
    for module in ("torch", "jax", "keras"):
        pytest.importorskip(module)
    page = printed()
    assert "another law" not in page, page
    assert page == PAGE.read_text(encoding="utf-8"), "run: python -m tests.test_same_law"


@pytest.mark.parametrize(
    ("init", "other"),
    [
        (uci.Gaussian(std=1.0), uci.Gaussian(std=1.6)),
        (uci.Orthogonal(), uci.Eigen(modulus=1.0)),
        (uci.Uniform(std=1.0), uci.LowRank(gain=4.0)),
        (uci.Eigen(modulus=0.9), uci.Eigen(modulus=0.91)),
        (uci.Chain(gain=0.9), uci.Chain(gain=0.89)),
    ],
    ids=str,
)
def test_another_law_is_told_apart(init, other):
    assert agreement(init.sample(N, rng=0, size=DRAWS), init.sample(N, rng=1, size=DRAWS), EPS["float32"]) > LEVEL
    assert agreement(init.sample(N, rng=0, size=DRAWS), other.sample(N, rng=1, size=DRAWS), EPS["float32"]) < LEVEL


def test_a_transposed_weight_is_told_apart():
    chain = uci.Chain(gain=0.9).sample(N, rng=0, size=DRAWS)
    assert agreement(chain.swapaxes(-1, -2), chain, EPS["bfloat16"]) < LEVEL


def test_swapped_fans_are_told_apart():
    right, wrong = (uci.parse("lecun_normal").sample(shape, rng=0, size=DRAWS) for shape in ((N, 5), (5, N)))
    assert agreement(wrong.swapaxes(-1, -2), right, EPS["float32"]) < LEVEL


if __name__ == "__main__":
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if "--print" in sys.argv:
        sys.stdout.buffer.write(table().encode())
    else:
        PAGE.write_text(table(), encoding="utf-8")
