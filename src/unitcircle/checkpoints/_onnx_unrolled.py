"""Recurrent cells that an exporter took apart: their gates by what multiplies what, in a graph or a loop's body."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from unitcircle.checkpoints._onnx_affine import Affine, Affines, Value, producer
from unitcircle.checkpoints._onnx_folding import DEFAULT_DOMAINS, Constant, Scope
from unitcircle.checkpoints._onnx_graph import Node
from unitcircle.recurrence import Cell

# The order of the gates is not a convention here: it is in the graph. In c' = f * c + i * g and h' = o * tanh(c') every
# gate is what it does, and in h' = (1 - z) * n + z * h with n = tanh(x W + r * (h U)) or tanh(x W + (r * h) U) too.


@dataclass(frozen=True)
class UnrolledCell:
    """One step of a cell.

    Attributes
    ----------
    cell
        Its kind.
    scope
        The graph that it is in.
    place
        Name of the operation that makes its next state.
    gates
        Gate -> its pre-activation. Of a GRU whose reset gate acts after the product, that of n holds no state.
    activations
        Gate -> name of its activation; of an LSTM also that of the cell state, "c".
    before
        Values that its state before the step is, or is a part of.
    after
        The state h after the step.
    inner
        GRU: what the reset gate multiplies, or what is multiplied by the reset state.
    reset_after
        GRU: whether the reset gate acts after the product.
    """

    cell: Cell
    scope: Scope
    place: str
    gates: Mapping[str, Affine]
    activations: Mapping[str, str]
    before: tuple[Value, ...]
    after: Value
    inner: Affine = field(default_factory=Affine)
    reset_after: bool = False

    @property
    def weights(self) -> Iterator[Constant]:
        """All its weights."""
        for affine in (*self.gates.values(), self.inner):
            yield from affine.weights.values()


class Finder:
    """Finds the cells of one graph."""

    def __init__(self, scope: Scope, affines: Affines) -> None:
        self.scope, self.affines = scope, affines
        self.consumers: dict[str, list[Node]] = defaultdict(list)
        for node in scope.graph.nodes:
            for name in dict.fromkeys(node.inputs):
                self.consumers[name].append(node)

    def cells(self) -> Iterator[UnrolledCell]:
        """Iterate over what has the form of a cell, whether or not its weights can be told."""
        for node in self.scope.graph.nodes:
            if node.op in {"Add", "Sum"} and len(node.inputs) == 2 and node.domain in DEFAULT_DOMAINS and node.outputs:
                cell = self._lstm(node) or self._gru(node)
                if cell is not None:
                    yield cell
        yield from self._plain_of_loop()
        yield from self._plain_of_steps()

    def _activation(self, name: str) -> tuple[str, Value] | None:
        return self.affines.activation(self.scope, name)

    def _gate(self, activation: tuple[str, Value]) -> Affine:
        return self.affines.of(*activation[1])

    def _factors(self, name: str) -> tuple[str, str] | None:
        scope, name = self.affines.variable(self.scope, name)
        node = producer((scope, name))
        if node is None or scope is not self.scope or node.op != "Mul" or len(node.inputs) != 2:
            return None
        return node.inputs[0], node.inputs[1]

    def _lstm(self, node: Node) -> UnrolledCell | None:
        """Return the cell whose state c is this sum: c' = f * c + i * g, h' = o * phi(c')."""
        pairs = [self._factors(name) for name in node.inputs]
        if pairs[0] is None or pairs[1] is None:
            return None
        for kept, written in (pairs, pairs[::-1]):
            assert kept is not None
            assert written is not None
            f, c = self._one_activation(kept)
            i, g = self._activation(written[0]), self._activation(written[1])
            if f is None or c is None:
                continue
            if i is None and g is not None:  # a candidate without an activation
                i, g = g, self._linear(written[0])
            elif g is None and i is not None:
                g = self._linear(written[1])
            if i is None or g is None:
                continue
            if i[0] != f[0] and g[0] == f[0]:
                i, g = g, i
            output = self._output(node.outputs[0])
            if i[0] != f[0] or output is None:
                continue
            o, phi, h = output
            chosen = {"i": i, "f": f, "g": g, "o": o}
            return UnrolledCell(
                Cell.LSTM,
                self.scope,
                node.name or node.outputs[0],
                {gate: self._gate(one) for gate, one in chosen.items()},
                {gate: name for gate, (name, _) in chosen.items()} | {"c": phi},
                (self.affines.root(self.scope, c),),
                (self.scope, h),
            )
        return None

    def _one_activation(self, pair: tuple[str, str]) -> tuple[tuple[str, Value] | None, str | None]:
        one, other = (self._activation(name) for name in pair)
        if (one is None) == (other is None):
            return None, None
        return (one, pair[1]) if one is not None else (other, pair[0])

    def _linear(self, name: str) -> tuple[str, Value] | None:
        has_weights = bool(self.affines.of(self.scope, name).weights)
        return ("linear", self.scope.home(name)) if has_weights else None

    def _output(self, c: str) -> tuple[tuple[str, Value], str, str] | None:
        """Return the output gate, the activation of c and the state h that they make."""
        for node in self._after(c):
            made = node.outputs[0] if node.outputs else ""
            phi = self._activation(made)
            for product in self._after(made) if phi is not None else ():
                if product.op != "Mul" or len(product.inputs) != 2 or not product.outputs:
                    continue
                others = [name for name in product.inputs if self.affines.variable(self.scope, name)[1] != made]
                o = self._activation(others[0]) if len(others) == 1 else None
                if o is not None and phi is not None:
                    return o, phi[0], product.outputs[0]
        return None

    def _after(self, name: str) -> Iterator[Node]:
        """Iterate over the operations on a value, or on a copy of it."""
        pending = [name]
        for _ in range(64):
            if not pending:
                return
            for node in self.consumers.get(pending.pop(), [])[:64]:
                if node.op in {"Identity", "Cast", "Clip", "Squeeze", "Unsqueeze", "Reshape"}:
                    pending += node.outputs[:1]
                yield node

    def _gru(self, node: Node) -> UnrolledCell | None:
        """Return the cell whose state is this sum: h' = (1 - z) * n + z * h, or n + z * (h - n)."""
        found = self._mixture(node)
        if found is None:
            return None
        z, n, h = found
        candidate = self._activation(n)
        if candidate is None:
            return None
        affine = self._gate(candidate)
        for value, weight in affine.terms.items():
            r, other, joined = self._reset(value)
            if r is None or other is None:
                continue
            rest = {one: term for one, term in affine.terms.items() if one != value or joined}
            reset_after = weight is None
            inner = Affine() if joined else Affine({self.affines.variable(self.scope, h): weight})
            if reset_after:
                inner = self.affines.of(self.scope, other)
            chosen = {"r": r, "z": z}
            return UnrolledCell(
                Cell.GRU,
                self.scope,
                node.name or node.outputs[0],
                {gate: self._gate(one) for gate, one in chosen.items()} | {"n": Affine(rest, affine.biases)},
                {gate: name for gate, (name, _) in chosen.items()} | {"n": candidate[0]},
                (self.affines.variable(self.scope, h),),
                (self.scope, node.outputs[0]),
                inner,
                reset_after,
            )
        return None

    def _reset(self, value: Value) -> tuple[tuple[str, Value] | None, str | None, bool]:
        """Return the reset gate, what it multiplies, and whether the product is a part of [x, r * h]."""
        if value[0] is not self.scope:
            return None, None, False
        node = producer(value)
        joined = node is not None and node.op == "Concat"
        for name in (*node.inputs[:1], *node.inputs[-1:]) if node is not None and joined else (value[1],):
            factors = self._factors(name)
            r, other = (None, None) if factors is None else self._one_activation(factors)
            if r is not None:
                return r, other, joined
        return None, None, False

    def _mixture(self, node: Node) -> tuple[tuple[str, Value], str, str] | None:
        """Return the gate z, the candidate n and the state h before, where a sum mixes two states."""
        for one, other in (node.inputs, node.inputs[::-1]):
            factors = self._factors(one)
            for gate, rest in (factors, factors[::-1]) if factors is not None else ():
                taken = producer(self.affines.variable(self.scope, rest))
                z = self._activation(gate)
                if z is not None and taken is not None and taken.op == "Sub" and self._same(taken.input(1), other):
                    return z, other, taken.input(0)  # n + z * (h - n)
                less = producer(self.affines.variable(self.scope, gate))
                kept = self._factors(other)
                if (
                    less is None
                    or less.op != "Sub"
                    or kept is None
                    or self.affines.scalar(self.scope, less.input(0)) != 1
                ):
                    continue
                for again, h in (kept, kept[::-1]):
                    z = self._activation(again)
                    if z is not None and self._same(less.input(1), again):
                        return z, rest, h
        return None

    def _same(self, one: str, other: str) -> bool:
        return self.affines.variable(self.scope, one) == self.affines.variable(self.scope, other)

    def _plain_of_loop(self) -> Iterator[UnrolledCell]:
        for name, output in self.scope.states.items():
            yield from self._plain(output, self.affines.variable(self.scope, name))

    def _plain_of_steps(self) -> Iterator[UnrolledCell]:
        """Iterate over plain cells: an activation of a product of another activation of a product with one weight."""
        used: dict[Value, list[Node]] = defaultdict(list)
        for node in self.scope.graph.nodes:
            if node.op in {"MatMul", "Gemm"} and node.outputs:
                used[self.scope.home(node.input(1))].append(node)
        for products in used.values():
            for node in products if len(products) > 1 else ():
                value = self.affines.variable(self.scope, node.input(0))
                before = self._activation(value[1]) if value[0] is self.scope else None
                # Evaluated only where one weight is used twice: most are used once, and may be large.
                if before is None or self.scope.home(node.input(1)) not in self._weights_of(before[1]):
                    continue
                for sum_ in self._sums(node.outputs[0]):
                    for after in self.consumers.get(sum_, []):
                        if after.outputs and self._activation(after.outputs[0]) is not None:
                            yield from self._plain(after.outputs[0], value)

    def _weights_of(self, value: Value) -> set[Value]:
        """Return the second factors of the products that a value is a sum of."""
        found: set[Value] = set()
        pending = [value]
        for _ in range(16):
            if not pending:
                break
            scope, name = pending.pop()
            node = producer((scope, name))
            if node is not None and node.op in {"MatMul", "Gemm"}:
                found.add(scope.home(node.input(1)))
            elif node is not None and node.op in {"Add", "Identity", "Sum"}:
                pending += [scope.home(one) for one in node.inputs]
        return found

    def _sums(self, name: str) -> Iterator[str]:
        pending = [name]
        for _ in range(16):
            if not pending:
                return
            yield (here := pending.pop())
            sums = (node for node in self.consumers.get(here, []) if node.op in {"Add", "Identity", "Sum"})
            pending += [node.outputs[0] for node in sums if node.outputs]

    def _plain(self, name: str, state: Value) -> Iterator[UnrolledCell]:
        value = self.affines.variable(self.scope, name)
        activation = self._activation(name)
        if activation is None or value[0] is not self.scope:
            return
        affine = self._gate(activation)
        weight = affine.terms.get(state)
        if weight is not None and weight.value.shape[0] == weight.value.shape[1]:
            cell = Cell.plain(activation[0])
            yield UnrolledCell(
                cell, self.scope, name, {"h": affine}, {"h": activation[0]}, (state,), value, reset_after=False
            )
