"""Values of an ONNX graph as affine functions of others: ``x W + h U + b`` with the constants W, U and b."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from unitcircle.checkpoints._onnx_activations import named
from unitcircle.checkpoints._onnx_folding import DEFAULT_DOMAINS, WHAT, Constant, Folding, Scope
from unitcircle.checkpoints._onnx_graph import Node
from unitcircle.checkpoints._onnx_wire import WireError
from unitcircle.checkpoints._room import ask, take

Value = tuple[Scope, str]
"""The graph where a value is made, and its name there."""
MAX_DEPTH = 24
"""Operations between the products of a cell; each takes four frames of Python's stack."""
MAX_TERMS = 8
TOLERANCE = 1e-6
"""Of a constant that was rounded to single precision: 6 * (1 / 6)."""
FAR = 1 << 30
"""Slices that go "to the end" end here or later."""
_SAME = frozenset({"Identity", "Cast", "Dropout", "Reshape", "Squeeze", "Unsqueeze"})
_TIMES = frozenset({"Gather", "SequenceAt", "SplitToSequence", "Transpose", "Expand", "ReverseSequence"})
_CUTS = frozenset({"Clip", "Min", "Max"})
_ACTIVATIONS = frozenset(
    {"Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Relu", "Selu", "Sigmoid", "Sin", "Softplus"}
    | {"Softsign", "Tanh", "ThresholdedRelu"}
)


@dataclass(frozen=True)
class Affine:
    """A sum of products and a bias; the weights act on rows."""

    # Variable -> its weight (rows, columns), or None where the variable itself, or columns of it, is the summand.
    terms: Mapping[Value, Constant | None] = field(default_factory=dict["Value", "Constant | None"])
    # Biases (columns,), or of one entry, by the one variable with whose product they came; None: with a sum.
    biases: Mapping[Value | None, Constant] = field(default_factory=dict["Value | None", Constant])

    @property
    def weights(self) -> dict[Value, Constant]:
        """The variables that have a weight."""
        return {value: weight for value, weight in self.terms.items() if weight is not None}

    @property
    def columns(self) -> int:
        """Number of columns of the weights, 0 where there is none."""
        return next((weight.value.shape[1] for weight in self.terms.values() if weight is not None), 0)


class Affines:
    """Finds affine functions in a graph, each once; what is none, is a variable."""

    def __init__(self, folding: Folding) -> None:
        self.folding = folding
        self._memo: dict[Value, Affine] = {}
        self._weights: dict[tuple[object, ...], Constant] = {}
        self._handlers: dict[str, Callable[[Value, Node, int], Affine | None]] = {
            **dict.fromkeys(_SAME | _TIMES, self._same),
            **dict.fromkeys(("Add", "Sum"), self._add),
            **dict.fromkeys(("MatMul", "Gemm", "FusedMatMul"), self._product),
            **dict.fromkeys(("Mul", "Div"), self._multiple),
            "Sub": self._subtract,
            "Slice": self._slice,
            "Split": self._split,
        }

    def of(self, scope: Scope, name: str, depth: int = 0, /) -> Affine:
        """Return a value as an affine function of others."""
        value = scope.home(name)
        if value not in self._memo:
            self._memo[value] = Affine({value: None})  # a cycle ends here
            if depth < MAX_DEPTH:
                try:
                    with np.errstate(all="ignore"):
                        self._memo[value] = self._of(value, depth)
                except WireError:
                    raise
                except (ValueError, TypeError, IndexError, OverflowError):
                    pass  # the operation is malformed
        return self._memo[value]

    def variable(self, scope: Scope, name: str, /) -> Value:
        """Return the value that a name is another shape or copy of."""
        return self._back(scope.home(name), lambda node: node.op in _SAME)

    def root(self, scope: Scope, name: str, /) -> Value:
        """Return the value that a name is a part of."""
        return self._back(scope.home(name), lambda node: node.op in _SAME | _TIMES | {"Slice", "Split"})

    def _back(self, value: Value, passes: Callable[[Node], bool]) -> Value:
        for _ in range(MAX_DEPTH):
            node = producer(value)
            if node is None or not passes(node):
                return value
            value = value[0].home(node.input(0))
        return value

    def activation(self, scope: Scope, name: str, /) -> tuple[str, Value] | None:
        """Return the name of the activation that makes a value, and what it is applied to."""
        value = self.variable(scope, name)
        node = producer(value)
        if node is None or node.domain not in DEFAULT_DOMAINS:
            return None
        if node.op in _CUTS or node.op in {"Mul", "Div"}:
            return self._hard_sigmoid(value)
        if node.op not in _ACTIVATIONS:
            return None
        approximate = value[0].attribute(node, "approximate")
        if node.op == "Gelu" and approximate is not None and approximate.text == "tanh":
            return "gelu_tanh", value[0].home(node.input(0))
        constants = (value[0].attribute(node, key) for key in ("alpha", "beta"))
        alpha, beta = (None if one is None else one.number for one in constants)
        return named(node.op, alpha, beta), value[0].home(node.input(0))

    def _hard_sigmoid(self, value: Value) -> tuple[str, Value] | None:
        """Return a hard sigmoid in pieces: 1 * clip(x / 5 + 0.5, 0, 1) of Keras 2, clip(x + 3, 0, 6) / 6 of Keras 3."""
        scale, value = self._with_scalar(value, "Mul")
        bounds: set[float | None] = set()
        for _ in range(2):
            scope, node = value[0], producer(value)
            if node is None or node.op not in _CUTS:
                break
            bounds |= {self.scalar(scope, name) for name in node.inputs[1:]}
            attributes = (scope.attribute(node, key) for key in ("min", "max"))
            bounds |= {attribute.number for attribute in attributes if attribute is not None}
            value = self.variable(scope, node.input(0))
        low, high = sorted(bound for bound in bounds if bound is not None) if len(bounds - {None}) == 2 else (1.0, 0.0)
        offset, value = self._with_scalar(value, "Add")
        slope, value = self._with_scalar(value, "Mul")
        if low != 0 or abs(high * scale - 1) > TOLERANCE or None in bounds or not offset:
            return None
        return named("HardSigmoid", scale * slope, scale * offset), value

    def _with_scalar(self, value: Value, op: str) -> tuple[float, Value]:
        """Return the number that a value is multiplied by, or the sum of it with, and the value before."""
        node = producer(value)
        numbers = [] if node is None else [self.scalar(value[0], name) for name in node.inputs]
        if node is not None and len(numbers) == 2 and numbers.count(None) == 1:
            place = numbers.index(None)
            number, before = numbers[1 - place] or 0.0, self.variable(value[0], node.inputs[place])
            if node.op == op:
                return number, before
            if (op, node.op, place) == ("Mul", "Div", 0) and number:
                return 1 / number, before
        return (1.0 if op == "Mul" else 0.0), value

    def scalar(self, scope: Scope, name: str, /) -> float | None:
        """Return a constant of one entry."""
        constant = self.folding.constant(scope, name)
        return float(constant.value.ravel()[0]) if constant is not None and constant.value.size == 1 else None

    def _of(self, value: Value, depth: int) -> Affine:
        scope, name = value
        if name in scope.slices:
            return self.of(*scope.slices[name], depth + 1)
        node = producer(value)
        found = None
        if node is not None:
            constant = self.folding.constant(scope, name)
            handler = self._handlers.get(node.op)
            if constant is not None:
                found = _bias(constant)
            elif handler is not None and (node.domain in DEFAULT_DOMAINS or node.op == "FusedMatMul"):
                found = handler(value, node, depth)
        return found or Affine({value: None})

    def _term(self, scope: Scope, name: str, depth: int) -> Affine:
        constant = self.folding.constant(scope, name)
        if constant is None:
            return self.of(scope, name, depth + 1)
        return _bias(constant) or Affine({scope.home(name): None})

    def _same(self, value: Value, node: Node, depth: int) -> Affine | None:
        scope = value[0]
        axis = scope.attribute(node, "axis")
        columns = node.op == "Gather" and axis is not None and axis.number == -1
        return None if columns else self.of(scope, node.input(0), depth + 1)

    def _add(self, value: Value, node: Node, depth: int) -> Affine | None:
        scope = value[0]
        return self._sum([self._term(scope, one, depth) for one in node.inputs])

    def _subtract(self, value: Value, node: Node, depth: int) -> Affine | None:
        scope = value[0]
        if self.folding.constant(scope, node.input(1)) is None:
            return None
        taken = self._scaled(self._term(scope, node.input(1), depth), -1.0)
        return self._sum([self._term(scope, node.input(0), depth), taken])

    def _slice(self, value: Value, node: Node, depth: int) -> Affine | None:
        scope = value[0]
        before = self.of(scope, node.input(0), depth + 1)
        columns = self._columns_of_slice(scope, node, before)
        return None if columns is None else _columns(before, *columns)

    def _split(self, value: Value, node: Node, depth: int) -> Affine | None:
        scope, name = value
        before = self.of(scope, node.input(0), depth + 1)
        columns = self._columns_of_split(scope, node, before, name)
        return None if columns is None else _columns(before, *columns)

    def _sum(self, parts: list[Affine]) -> Affine | None:
        terms: dict[Value, Constant | None] = {}
        biases: dict[Value | None, Constant] = {}
        variables = {value for part in parts for value in part.terms}
        alone = next(iter(variables)) if len(variables) == 1 else None
        if len(variables) > MAX_TERMS:
            return None
        for part in parts:
            for value, weight in part.terms.items():
                before = terms.get(value)
                if value in terms and (before is None or weight is None):
                    return None  # a variable and a product of it
                terms[value] = weight if before is None or weight is None else self._added(before, weight)
            for value, bias in part.biases.items():
                key = alone if value is None else value
                biases[key] = self._added(biases[key], bias) if key in biases else bias
        weights = [weight for weight in terms.values() if weight is not None]
        if any(one.value.shape[1] != other.value.shape[1] for one, other in pairwise(weights)):
            return None
        return Affine(terms, biases)

    def _added(self, one: Constant, other: Constant) -> Constant:
        shape = np.broadcast_shapes(one.value.shape, other.value.shape)
        take(math.prod(shape) * np.result_type(one.value, other.value).itemsize, WHAT)
        return Constant(one.value + other.value, parts=(one, other))

    def _scaled(self, affine: Affine, scale: float) -> Affine:
        def scaled(constant: Constant) -> Constant:
            take(constant.value.nbytes, WHAT)
            return Constant(constant.value * constant.value.dtype.type(scale), parts=(constant,))

        terms = {value: None if weight is None else scaled(weight) for value, weight in affine.terms.items()}
        return Affine(terms, {value: scaled(bias) for value, bias in affine.biases.items()})

    def _multiple(self, value: Value, node: Node, depth: int) -> Affine | None:
        scope = value[0]
        if node.op == "Mul" and (quantized := self._integer_product(scope, node)) is not None:
            return quantized
        pairs = [node.inputs[:2]] if node.op == "Div" else [node.inputs[:2], node.inputs[1::-1]]
        for one, other in (pair for pair in pairs if len(pair) == 2):
            scale = self.scalar(scope, other)
            if scale is not None and scale != 0:
                affine = self.of(scope, one, depth + 1)
                # A scaled variable is another variable.
                if None not in affine.terms.values():
                    return self._scaled(affine, scale if node.op == "Mul" else 1 / scale)
        return None

    def _product(self, value: Value, node: Node, depth: int) -> Affine | None:
        scope = value[0]
        numbers = {key: scope.attribute(node, key) for key in ("transA", "transB", "alpha", "beta")}
        transposed, alpha = numbers["transB"], numbers["alpha"]
        constant = self.folding.constant(scope, node.input(1))
        if (
            constant is None
            or constant.value.ndim != 2
            or constant.value.dtype.kind != "f"
            or (numbers["transA"] and numbers["transA"].number)
        ):
            return None
        weight = constant.value.T if transposed is not None and transposed.number else constant.value
        product = Affine({self.variable(scope, node.input(0)): Constant(weight, parts=(constant,))})
        if alpha is not None and alpha.number != 1:
            product = self._scaled(product, alpha.number)
        if node.op == "Gemm" and node.input(2):
            bias, beta = self._term(scope, node.input(2), depth), numbers["beta"]
            if beta is not None and beta.number != 1:
                bias = self._scaled(bias, beta.number)
            return self._sum([product, bias])
        return product

    def _integer_product(self, scope: Scope, node: Node) -> Affine | None:
        """Return a product in integers that is scaled back: ``(x_q (W_q - zero)) * (x_scale * W_scale)``."""
        for one, other in (node.inputs[:2], node.inputs[1::-1]):
            product, scales = producer(self.variable(scope, one)), producer(self.variable(scope, other))
            if product is None or product.op != "MatMulInteger" or scales is None or scales.op != "Mul":
                continue
            found = (self.folding.constant(scope, name) for name in scales.inputs)
            scale = next((constant for constant in found if constant is not None), None)
            stored, zero = (self.folding.constant(scope, product.input(place)) for place in (1, 3))
            if scale is None or stored is None or stored.value.ndim != 2:
                return None
            value = self.variable(scope, product.input(0))
            rounded = producer(value)
            if rounded is not None and rounded.op == "DynamicQuantizeLinear":
                value = self.variable(value[0], rounded.input(0))
            return Affine({value: self._dequantized(stored, zero, scale)})
        return None

    def _dequantized(self, stored: Constant, zero: Constant | None, scale: Constant) -> Constant:
        """Return the weight that 8-bit numbers stand for, the same one at every step that uses them."""
        arrays = [stored.value, scale.value, *([] if zero is None else [zero.value])]
        key = tuple((array.__array_interface__["data"][0], array.shape) for array in arrays)
        if key not in self._weights:
            take(4 * stored.value.size, WHAT)
            ask(8 * stored.value.size, WHAT)
            offset = 0 if zero is None else zero.value.astype(np.float32)
            weight = (stored.value.astype(np.float32) - offset) * np.broadcast_to(scale.value, stored.value.shape)
            self._weights[key] = Constant(weight, parts=(stored, scale))
        return self._weights[key]

    def _columns_of_slice(self, scope: Scope, node: Node, before: Affine) -> tuple[int, int] | None:
        """Return the columns that a Slice takes, all of them where it cuts another axis; None where it is not clear."""
        lists = [self._integers(scope, node, key, place) for key, place in (("starts", 1), ("ends", 2), ("axes", 3))]
        starts, ends, axes = lists
        steps = self._integers(scope, node, "steps", 4)
        if starts is None or ends is None:
            return None
        cuts = list(zip(axes or range(len(starts)), starts, ends, steps or [1] * len(starts), strict=False))
        width = before.columns
        cuts = [(axis, start, end, step) for axis, start, end, step in cuts if axis != 0 and (start, step) != (-1, -1)]
        cuts = [cut for cut in cuts if (cut[1], cut[3]) != (0, 1) or cut[2] < min(width or FAR, FAR)]
        if not cuts:
            return 0, width
        if len(cuts) > 1 or cuts[0][3] != 1 or not width:
            return None
        start, stop, _ = slice(cuts[0][1], cuts[0][2]).indices(width)
        # One entry is one step in time, unless the layer has one unit.
        return (0, width) if cuts[0][2] - cuts[0][1] == 1 else (start, stop) if stop > start else None

    def _columns_of_split(self, scope: Scope, node: Node, before: Affine, name: str) -> tuple[int, int] | None:
        axis, width, count = scope.attribute(node, "axis"), before.columns, len(node.outputs)
        sizes = self._integers(scope, node, "split", 1) or [width // count] * count
        if axis is None or axis.number == 0 or set(sizes) == {1}:
            return 0, width
        if not width or len(sizes) != count or sum(sizes) != width:
            return None
        start = sum(sizes[: node.outputs.index(name)])
        return start, start + sizes[node.outputs.index(name)]

    def _integers(self, scope: Scope, node: Node, key: str, place: int) -> list[int] | None:
        if node.input(place):
            constant = self.folding.constant(scope, node.input(place))
            return None if constant is None else [int(number) for number in constant.value.ravel()[:MAX_TERMS]]
        attribute = scope.attribute(node, key)
        return None if attribute is None else list(attribute.numbers)


def producer(value: Value, /) -> Node | None:
    """Return the node that makes a value."""
    found = value[0].graph.producers.get(value[1])
    return None if found is None else found[0]


def _bias(constant: Constant) -> Affine | None:
    """Return a constant vector, or number, as an affine function; None for any other array."""
    if constant.value.size != max(constant.value.shape[-1:], default=1):
        return None
    return Affine({}, {None: Constant(constant.value.reshape(-1), parts=(constant,))})


def _columns(affine: Affine, start: int, stop: int) -> Affine:
    """Return some columns of an affine function."""
    if (start, stop) == (0, affine.columns):
        return affine

    def cut(constant: Constant) -> Constant:
        whole = constant.value.shape[-1] == 1
        return constant if whole else Constant(constant.value[..., start:stop], parts=(constant,))

    terms = {value: None if weight is None else cut(weight) for value, weight in affine.terms.items()}
    return Affine(terms, {value: cut(bias) for value, bias in affine.biases.items()})
