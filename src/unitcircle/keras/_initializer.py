"""A Keras initializer that draws from one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from unitcircle import initializers
from unitcircle._filling import gated_cell
from unitcircle.errors import ArgumentError, DtypeError, ShapeError
from unitcircle.initializers import GateBias, parse
from unitcircle.keras._blocks import bias_of, draw
from unitcircle.recurrence import Cell


@keras.saving.register_keras_serializable("unitcircle")
class Initializer(keras.initializers.Initializer):
    """A Keras initializer that draws from one of ours: ``recurrent_initializer=Initializer("orthogonal")``.

    Keras stores a kernel ``(in, k·out)``, the transpose of ours, with k gate blocks side by side; each block gets its
    own draw. A second call gives another draw, whereas Keras's own initializers with a seed repeat the same values. It
    is saved with the model, and loaded with it once ``unitcircle.keras`` is imported.

    Parameters
    ----------
    spec
        Specification, or its text.
    seed
        An integer fixes the whole sequence of draws, the same on every backend; with None each initializer is
        different. Keras's global seed is neither read nor changed. A layer that copies its configuration also copies
        the seed: pass None inside ``Bidirectional``, whose two directions would otherwise start with equal weights
        (finding UC103), or use :func:`initialize_` on the model.
    gates
        Number k of gate blocks: 4 for an LSTM, 3 for a GRU, 1 for one weight. By default a kernel ``(n, 3n)`` or ``(n,
        4n)`` has 3 or 4 gates, any other kernel 1. Pass it for input kernels, which may have these shapes by chance,
        for biases, and as 1 for other kernels of these shapes.

    Raises
    ------
    ArgumentError
        ``gates`` is not positive, or ``seed`` is negative or not an integer.

    Notes
    -----
    Weights are computed in float64 and cast last to the requested type.

    The bias ``(4n,)`` of an LSTM or ``(3n,)``, ``(2, 3n)`` of a GRU takes ``chrono``, ``uniform_gate`` and
    ``forget_bias`` with ``gates`` given (for the shape ``(2, 3n)`` it is known). Pass ``unit_forget_bias=False`` to the
    LSTM: otherwise it draws its bias in pieces, and sets the forget gate to 1. The update gate z of Keras's GRU keeps
    the state, ``h' = z h + (1 − z) hh``, as ours does. Of the two bias vectors of ``reset_after`` only the input's is
    filled.

    Examples
    --------
    >>> kernel = Initializer("orthogonal", seed=0)((2, 8))
    >>> [parse("orthogonal").certificate(block).holds for block in keras.ops.split(kernel, 4, axis=1)]
    [True, True, True, True]
    >>> Initializer("orthogonal", seed=0)
    Initializer('orthogonal(gain=1.0)', seed=0, gates=None)
    >>> Initializer("eigen(modulus=0.9)", seed=0).get_config()
    {'spec': 'eigen(modulus=0.9, angles=haar)', 'seed': 0, 'gates': None}
    """

    def __init__(self, spec: initializers.Initializer | str, seed: int | None = None, gates: int | None = None) -> None:
        if gates is not None and gates < 1:
            raise ArgumentError("gates", "must be a positive number of blocks", repr(gates))
        if seed is not None and (not isinstance(seed, int) or seed < 0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError("seed", "must be a number that is not negative, or None", repr(seed))
        self.spec = parse(spec)
        self.seed = seed
        self.gates = gates
        self._rng = np.random.default_rng(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return the next draw.

        Parameters
        ----------
        shape
            ``(in, k·out)``, or that of a bias.
        dtype
            A real floating type; Keras's ``floatx`` by default.

        Returns
        -------
        tensor
            A tensor of Keras's backend.

        Raises
        ------
        ShapeError
            The shape does not fit the initializer or the gates.
        DtypeError
            Not a real floating type.
        """
        dtype = keras.backend.standardize_dtype(dtype)
        if "float" not in dtype:
            raise DtypeError("dtype", "must be a real floating type", dtype)
        shape = tuple(shape)
        if isinstance(self.spec, GateBias):
            array = self._bias(shape)
        elif self.spec.elementwise and len(shape) == 1:
            array = self.spec(self._rng.standard_normal(shape))
        elif len(shape) == self.spec.axes:
            array = self._kernel(shape[0], shape[1])
        else:
            raise ShapeError("shape", f"must have {self.spec.axes} axes for {self.spec}", str(shape))
        return keras.ops.convert_to_tensor(array, dtype=dtype)

    def __repr__(self) -> str:
        return f"Initializer({str(self.spec)!r}, seed={self.seed}, gates={self.gates})"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain values: specification as text, seed, gates."""
        return {"spec": str(self.spec), "seed": self.seed, "gates": self.gates}

    def _kernel(self, rows: int, columns: int) -> np.ndarray:
        gates = self.gates
        if gates is None:
            gates = next((k for k in (3, 4) if columns == k * rows), 1)
        if columns % gates:
            raise ShapeError("shape", f"must stack {gates} gates side by side", str((rows, columns)))
        return np.hstack([draw(self.spec, (rows, columns // gates), self._rng) for _ in range(gates)])

    def _bias(self, shape: tuple[int, ...]) -> np.ndarray:
        gates = 3 if self.gates is None and len(shape) == 2 else self.gates
        cell = gated_cell(self.spec, gates)
        pair = len(shape) == 2 and shape[0] == 2 and cell is Cell.GRU
        if not (pair or len(shape) == 1) or shape[-1] % len(cell.gates):
            rule = f"must be that of the bias of a cell with {gates} gates"
            raise ShapeError("shape", rule, str(shape), "Pass unit_forget_bias=False to the LSTM.")
        return bias_of(self.spec, cell, shape, self._rng)
