"""Layers of one kind and size, stepped together with perturbations of their states."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import DTypeLike

from unitcircle.errors import ArgumentError
from unitcircle.recurrence._activations import activation
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._layer import RecurrentLayer

PLAIN = {Cell.RNN, Cell.RNN_TANH, Cell.RNN_RELU, Cell.LINEAR, Cell.LEAKY_RNN}


class EqualLayers:
    """Layers of equal :func:`kind_of`, with their gates one below the other: a step is one product for all gates.

    States are columns, ``(layers, s, batch)``, perturbations ``(layers, s, batch, p)``, drives ``U x + b``
    ``(layers, k·n, batch)``. The equations are those of :func:`step` and :func:`jvp`.

    Parameters
    ----------
    layers
        Layers of one kind.
    dtype
        Precision of the steps.

    Raises
    ------
    ArgumentError
        The layers are not of one kind, or this kind is stepped by :func:`step` only.

    Examples
    --------
    Two layers of one kind are stepped as one, 1 + 0.5 x and 1 + 0.25 x of states x = 2:

    >>> import numpy as np
    >>> from unitcircle.recurrence import from_torch
    >>> weights = [np.array([[value]]) for value in (0.5, 0.25)]
    >>> layers = [from_torch(W, cell="rnn_relu", bias_ih=np.ones(1), name=f"{W[0, 0]}") for W in weights]
    >>> both = EqualLayers(layers)
    >>> both.step(both.drives(None), np.full((2, 1, 1), 2.0)).ravel().tolist()
    [2.0, 1.5]
    """

    def __init__(self, layers: Sequence[RecurrentLayer], /, *, dtype: DTypeLike = np.float64) -> None:
        kinds = {kind_of(layer) for layer in layers}
        if len(kinds) != 1 or None in kinds:
            rule = "must be of one kind, without projection, with full real weights"
            raise ArgumentError("layers", rule, ", ".join(sorted({str(layer.cell) for layer in layers})) or "none")
        first = layers[0]
        self.cell, self.n, self.reset_after = first.cell, first.hidden_size, first.reset_after
        self.state_size = first.state_size
        self.phi = {gate: activation(name) for gate, name in first.activations.items()}
        zero, self.dtype = np.zeros(self.n), np.dtype(dtype)

        def stacked(name: str, gates: Sequence[str] = first.cell.gates) -> np.ndarray:
            blocks = [[getattr(layer, name).get(gate, zero) for gate in gates] for layer in layers]
            return np.asarray(blocks, dtype=self.dtype).reshape(len(layers), -1, *np.shape(blocks[0][0])[1:])

        self.recurrent = stacked("gates")
        self.input = stacked("inputs") if first.inputs else None
        self.bias = stacked("biases")[..., None]
        self.peepholes = stacked("peepholes")[..., None] if first.peepholes else None
        self.inner_bias = stacked("recurrent_biases", "n")[..., None] if first.cell is Cell.GRU else None
        leak = [np.broadcast_to(np.asarray(layer.leak, dtype=self.dtype), (self.n,)) for layer in layers]
        self.leak: np.ndarray | None = np.asarray(leak)[..., None] if first.cell is Cell.LEAKY_RNN else None

    def drives(self, x: np.ndarray | None, /) -> np.ndarray:
        """Return ``U x + b`` ``(layers, k·n, columns)`` of inputs ``(m, columns)``, or of none: one column."""
        return self.bias if x is None or self.input is None else self.input @ x + self.bias

    def step(self, drive: np.ndarray, state: np.ndarray, /) -> np.ndarray:
        """Return the states after one step."""
        return self.advance(drive, state, None)[0]

    def advance(
        self, drive: np.ndarray, state: np.ndarray, tangents: np.ndarray | None, /
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the states after one step, and the perturbations of them if those before it are given."""
        layers, _, batch = state.shape
        h = state[:, : self.n]
        if tangents is None:
            columns = h
        else:
            columns = np.concatenate([h, tangents[:, : self.n].reshape(layers, self.n, -1)], axis=-1)
        if self.cell is Cell.GRU and not self.reset_after:
            return self._early_reset(drive, h, tangents)
        product = self.recurrent @ columns
        a = product[..., :batch]
        da = None if tangents is None else product[..., batch:].reshape(layers, -1, batch, tangents.shape[-1])
        if self.cell is Cell.LSTM:
            return self._lstm(a + drive, state, tangents, da)
        if self.cell is Cell.GRU:
            return self._gru(a, drive, h, tangents, da)
        a = a + drive
        after = self.phi["h"].value(a)
        pushed = None if da is None else self.phi["h"].slope(a)[..., None] * da
        if self.leak is None:
            return after, pushed
        after = (1 - self.leak) * h + self.leak * after
        if pushed is not None and tangents is not None:
            pushed = (1 - self.leak[..., None]) * tangents + self.leak[..., None] * pushed
        return after, pushed

    def _by_gate(self, stack: np.ndarray) -> dict[str, np.ndarray]:
        """Return gate → its rows of a stack."""
        return {gate: stack[:, k * self.n : (k + 1) * self.n] for k, gate in enumerate(self.cell.gates)}

    def _lstm(
        self, a: np.ndarray, state: np.ndarray, tangents: np.ndarray | None, da: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        phi, c = self.phi, state[:, self.n :]
        at = self._by_gate(a)
        ai, af, ag, ao = (at[gate] for gate in "ifgo")
        peephole = {} if self.peepholes is None else self._by_gate(self.peepholes)
        if peephole:
            ai, af = ai + peephole["i"] * c, af + peephole["f"] * c
        i, f, g = phi["i"].value(ai), phi["f"].value(af), phi["g"].value(ag)
        new = f * c + i * g
        if peephole:
            ao = ao + peephole["o"] * new
        o, squashed = phi["o"].value(ao), phi["c"].value(new)
        after = np.concatenate([o * squashed, new], axis=1)
        if tangents is None or da is None:
            return after, None
        dc = tangents[:, self.n :]
        of = self._by_gate(da)
        si, sf, sg = g * phi["i"].slope(ai), c * phi["f"].slope(af), i * phi["g"].slope(ag)
        keep = f + si * peephole["i"] + sf * peephole["f"] if peephole else f
        pushed = np.empty_like(tangents)
        dnew = pushed[:, self.n :]
        np.multiply(keep[..., None], dc, out=dnew)
        for slope, gate in ((si, "i"), (sf, "f"), (sg, "g")):
            dnew += slope[..., None] * of[gate]
        so, through = squashed * phi["o"].slope(ao), o * phi["c"].slope(new)
        if peephole:
            through = through + so * peephole["o"]
        np.multiply(so[..., None], of["o"], out=pushed[:, : self.n])
        pushed[:, : self.n] += through[..., None] * dnew
        return after, pushed

    def _gru(
        self,
        a: np.ndarray,
        drive: np.ndarray,
        h: np.ndarray,
        tangents: np.ndarray | None,
        da: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        phi, at, into = self.phi, self._by_gate(a), self._by_gate(drive)
        ar, az = at["r"] + into["r"], at["z"] + into["z"]
        r, z = phi["r"].value(ar), phi["z"].value(az)
        inner = at["n"] + self.inner_bias
        an = r * inner + into["n"]
        n = phi["n"].value(an)
        after = (1 - z) * n + z * h
        if tangents is None or da is None:
            return after, None
        of = self._by_gate(da)
        new = (1 - z) * phi["n"].slope(an)
        pushed = z[..., None] * tangents
        pushed += ((h - n) * phi["z"].slope(az))[..., None] * of["z"]
        pushed += (new * r)[..., None] * of["n"]
        pushed += (new * inner * phi["r"].slope(ar))[..., None] * of["r"]
        return after, pushed

    def _early_reset(
        self, drive: np.ndarray, h: np.ndarray, tangents: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Step a GRU whose reset multiplies the state before the product."""
        phi, R, into = self.phi, self._by_gate(self.recurrent), self._by_gate(drive)
        ar, az = (R[gate] @ h + into[gate] for gate in "rz")
        r, z = phi["r"].value(ar), phi["z"].value(az)
        an = R["n"] @ (r * h) + into["n"]
        n = phi["n"].value(an)
        after = (1 - z) * n + z * h
        if tangents is None:
            return after, None
        shape = tangents.shape

        def product(gate: str, columns: np.ndarray) -> np.ndarray:
            return (R[gate] @ columns.reshape(*shape[:2], -1)).reshape(shape)

        dr = phi["r"].slope(ar)[..., None] * product("r", tangents)
        dz = phi["z"].slope(az)[..., None] * product("z", tangents)
        dn = phi["n"].slope(an)[..., None] * product("n", r[..., None] * tangents + h[..., None] * dr)
        return after, z[..., None] * tangents + (h - n)[..., None] * dz + (1 - z)[..., None] * dn


def kind_of(layer: RecurrentLayer, /) -> Hashable | None:
    """Return what layers that are stepped together have in common; None for a layer stepped by :func:`step` only.

    Parameters
    ----------
    layer
        The layer.

    Returns
    -------
    hashable or None
        Its cell, sizes, activations and parts.

    Examples
    --------
    >>> from unitcircle.recurrence import from_torch
    >>> one, two = (from_torch(scale * np.eye(3), cell="rnn_tanh") for scale in (0.5, 0.9))
    >>> kind_of(one) == kind_of(two)
    True
    """
    if layer.cell not in PLAIN | {Cell.LSTM, Cell.GRU} or layer.projection is not None:
        return None
    blocks = [*layer.gates.values(), *layer.inputs.values()]
    if any(block.dtype.kind == "c" for block in blocks):
        return None
    activations = tuple(sorted(layer.activations.items()))
    parts = (bool(layer.inputs), bool(layer.peepholes), layer.reset_after)
    return layer.cell, layer.hidden_size, layer.input_size, activations, parts
