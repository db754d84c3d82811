"""Initialization of a built model, gate block by gate block."""

from __future__ import annotations

__all__ = ["Filled", "Initialization", "initialize_"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError, CertificateError, UnknownNameError
from unitcircle.initializers import Certificate, Chrono, Constant, ForgetBias, Initializer, Zeros, parse
from unitcircle.keras._blocks import bias_blocks, draw
from unitcircle.keras._cells import RecurrentCell, recurrent_cells
from unitcircle.recurrence import GATES

Spec = Initializer | str
PerGate = Spec | Mapping[str, Spec] | None
_GATE_BIAS = (Chrono, ForgetBias)


@dataclass(frozen=True)
class Filled:
    """One block that was filled.

    Attributes
    ----------
    tensor
        Name of the layer and of the variable: ``"lstm/recurrent_kernel"``.
    gate
        The gate.
    init
        What was asked.
    certificate
        What was measured on the stored numbers.
    """

    tensor: str
    gate: str
    init: Initializer
    certificate: Certificate

    def __str__(self) -> str:
        return f"{self.tensor}[{self.gate}] = {self.init}: {self.certificate}"


@dataclass(frozen=True)
class Initialization:
    """What :func:`initialize_` did.

    Attributes
    ----------
    filled
        Every block that was filled, with its certificate.
    """

    filled: tuple[Filled, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.filled))


def initialize_(
    model: keras.Layer,
    /,
    *,
    recurrent: PerGate = None,
    input: PerGate = None,  # noqa: A002  (the name of the thing)
    bias: Spec | None = None,
    seed: np.random.Generator | int | None = None,
) -> Initialization:
    """Initialize every recurrent layer of a built model, gate block by gate block, in place.

    SimpleRNN, GRU, LSTM and their cells, inside RNN, StackedRNNCells, Bidirectional and whatever else holds layers,
    shared ones once. Keras stores a kernel ``(in, k·out)``; each of its k blocks gets a draw of its own, in float64,
    cast last.

    Parameters
    ----------
    model
        A built model, layer or cell.
    recurrent, input
        Specification of the recurrent and the input weights: one for all gates, or a mapping from gates (``"*"`` for
        the others); None and gates not named are left as they are. Gates go by our names: i f g o (Keras: i f c o),
        z r n (Keras: z r h), and h for a SimpleRNN.
    bias
        ``chrono``, ``forget_bias``, ``zeros`` or ``constant``. Every gate is overwritten, with zeros where the
        initializer decides nothing; of the two bias vectors of a GRU with ``reset_after`` the recurrent one gets zeros.
    seed
        A generator or a seed, which gives the same weights on every backend; fresh ones by default. No global random
        state is touched.

    Returns
    -------
    Initialization
        For each block what was asked and how far it is from it.

    Raises
    ------
    CertificateError
        A block does not have the property its initializer promises.
    ArgumentError
        Nothing to do, or nothing to do it to; a model that is not built; a complex initializer.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((None, 8)), keras.layers.LSTM(16, name="lstm")])
    >>> done = initialize_(model, recurrent="orthogonal", bias="forget_bias", seed=0)
    >>> print(done.filled[1])
    lstm/recurrent_kernel[f] = orthogonal(gain=1.0): every singular value is 1: holds (residual ..., tolerance ...)
    """
    if recurrent is None and input is None and bias is None:
        raise ArgumentError("initialize_", "must be told what to fill", "neither recurrent, input nor bias")
    cells = recurrent_cells(model)
    for spec in (recurrent, input):
        _check_gates(spec, {gate for cell in cells for gate in cell.gates})
    vector = None if bias is None else parse(bias)
    if vector is not None:
        _check_bias(vector, cells)
    rng = np.random.default_rng(seed)
    filled: list[Filled] = []
    for cell in cells:
        filled += _fill_kernel(cell, "recurrent_kernel", recurrent, rng)
        filled += _fill_kernel(cell, "kernel", input, rng)
        if vector is not None and _takes_bias(cell, vector):
            filled += _fill_bias(cell, vector, rng)
    broken = [block for block in filled if not block.certificate.holds]
    if broken:
        raise CertificateError("\n".join(map(str, broken)))
    return Initialization(tuple(filled))


def _check_gates(spec: PerGate, known: set[str]) -> None:
    if isinstance(spec, Mapping):
        # A gate of another kind of cell than this model's is a mistake as well.
        for gate in spec:
            if gate not in known | {"*"}:
                every = {gate for gates in GATES.values() for gate in gates}
                raise UnknownNameError("gate", gate, known if gate in every else known | {"*"})


def _check_bias(init: Initializer, cells: Sequence[RecurrentCell]) -> None:
    if not isinstance(init, (*_GATE_BIAS, Zeros, Constant)):
        raise ArgumentError("bias", "must be forget_bias, chrono, zeros or constant", str(init))
    if not any(_takes_bias(cell, init) for cell in cells):
        arrived = "layers without biases" if any(c.kind != "rnn" for c in cells) else "plain layers without gates"
        raise ArgumentError("bias", f"must be one that the layers have: {init.name}", arrived)


def _takes_bias(cell: RecurrentCell, init: Initializer) -> bool:
    return cell.cell.bias is not None and not (isinstance(init, _GATE_BIAS) and cell.kind == "rnn")


def _fill_kernel(cell: RecurrentCell, leaf: str, spec: PerGate, rng: np.random.Generator) -> Iterator[Filled]:
    asked = spec if isinstance(spec, Mapping) else {"*": spec}
    inits = {gate: asked.get(gate, asked.get("*")) for gate in cell.gates}
    inits = {gate: parse(init) for gate, init in inits.items() if init is not None}
    variable = getattr(cell.cell, leaf)
    n = cell.units
    columns = {gate: slice(place * n, (place + 1) * n) for place, gate in enumerate(cell.gates)}
    kernel = to_numpy(variable.value).copy()
    for gate, init in inits.items():
        kernel[:, columns[gate]] = draw(init, (len(kernel), n), rng)
    stored = _assign(variable, kernel)
    for gate, init in inits.items():
        yield Filled(f"{cell.name}/{leaf}", gate, init, _certificate(init, stored[:, columns[gate]].T, variable))


def _fill_bias(cell: RecurrentCell, init: Initializer, rng: np.random.Generator) -> Iterator[Filled]:
    variable = cell.cell.bias
    n = cell.units
    bias = np.zeros(tuple(variable.shape))
    bias[(0, ...) if bias.ndim == 2 else ...] = np.concatenate(list(bias_blocks(init, cell.kind, n, rng).values()))
    stored = _assign(variable, bias)
    keeping = {"lstm": "f", "gru": "z", "rnn": "h"}[cell.kind]
    place = cell.gates.index(keeping)
    block = (stored[0] if stored.ndim == 2 else stored)[place * n : (place + 1) * n]
    yield Filled(f"{cell.name}/bias", keeping, init, _certificate(init, block, variable))


def _assign(variable: Any, array: np.ndarray) -> np.ndarray:
    variable.assign(array)
    return to_numpy(variable.value)


def _certificate(init: Initializer, block: np.ndarray, variable: Any) -> Certificate:
    # As a tensor, for NumPy has no bfloat16 and would not know how coarsely the numbers are stored.
    return init.certificate(keras.ops.convert_to_tensor(block, dtype=variable.dtype))
