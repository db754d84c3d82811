"""ONNX models as far as constants and recurrent nodes need them, out of the bytes of a file."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np

from unitcircle.checkpoints._onnx_wire import WireError, fields, integers
from unitcircle.checkpoints._room import take
from unitcircle.checkpoints._tensor import of_bfloat16

# Field numbers below are those of onnx.proto, which never change. Unknown fields are skipped, as protobuf does, so that
# files of newer versions can be read. A value of an unexpected wire type is skipped too, as an unknown field would be.

MAX_DEPTH = 32
"""Graphs within graphs; parsing recurses, and Python's stack is limited."""
MAX_AXES = 16
COST_OF_FLOAT = 48
"""Bytes that Python keeps for a number in a list."""
MAX_ENTRIES = 1 << 40
BFLOAT16 = 16
DTYPES = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype("?"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
    BFLOAT16: np.dtype("<u2"),
}
"""TensorProto.DataType -> element type; bfloat16 as its bits."""
EXTERNAL = 1


class ExternalDataError(WireError):
    """The tensors are in other files."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A constant as it is stored; ``array`` decodes it."""

    name: str
    dims: tuple[int, ...]
    kind: int
    raw: memoryview | None
    packed: tuple[memoryview, ...]
    numbers: tuple[int | memoryview, ...]

    @classmethod
    def parse(cls, message: memoryview, /) -> Self:
        """Return the tensor a TensorProto describes."""
        name, kind, raw = "", 0, None
        dims: list[int] = []
        packed: list[memoryview] = []
        numbers: list[int | memoryview] = []
        for number, value in fields(message):
            if number == 1:
                # Repeated numbers may be packed into one field or come one a field: a reader must take both.
                dims += integers(value)
            elif number == 2 and isinstance(value, int):
                kind = value
            elif number == 8:
                name = _text(value)
            elif number == 9 and isinstance(value, memoryview):
                raw = value
            # float_data, double_data: packed floats, which a weight needs no copy of until it is used.
            elif number in {4, 10} and isinstance(value, memoryview):
                packed.append(value)
            # int32_data, int64_data, uint64_data.
            elif number in {5, 7, 11}:
                numbers.append(value)
            elif number == 13 or (number == 14 and value == EXTERNAL):
                message_ = "its tensors are in other files"
                raise ExternalDataError(message_)
        # NumPy cannot hold a shape whose sides have a product beyond 64 bits, even where one of them is zero.
        if len(dims) > MAX_AXES or min(dims, default=0) < 0 or math.prod(max(side, 1) for side in dims) > MAX_ENTRIES:
            message_ = f"the tensor {name!r} has shape {tuple(dims[:MAX_AXES])}"
            raise WireError(message_)
        return cls(name, tuple(dims), kind, raw, tuple(packed), tuple(numbers))

    @property
    def floating(self) -> bool:
        """Whether its entries are floating-point numbers."""
        return self.kind in {1, 10, 11, BFLOAT16}

    @property
    def dtype(self) -> str:
        """Element type it is stored in, ``"bfloat16"`` included."""
        return "bfloat16" if self.kind == BFLOAT16 else DTYPES[self.kind].name

    @cached_property
    def array(self) -> np.ndarray | None:
        """The entries, bfloat16 as float32; None where the element type is no number we know."""
        dtype = DTYPES.get(self.kind)
        if dtype is None:
            return None
        if self.raw is not None:
            data: bytes | memoryview = self.raw
        elif self.numbers:
            # Types narrower than 32 bits, float16 and bfloat16 as bits, are widened to integers here.
            joined = np.concatenate([np.asarray(integers(value), np.int64) for value in self.numbers])
            bits = np.dtype("<u2") if dtype.kind == "f" else dtype
            data = joined.astype(bits).tobytes()
        else:
            data = b"".join(self.packed)
        # Python's product cannot overflow, as one of a hostile shape in 64 bits could.
        if len(data) != math.prod(self.dims) * dtype.itemsize:
            message = f"the tensor {self.name!r} of shape {self.dims} and type {dtype} has {len(data)} bytes"
            raise WireError(message)
        array = np.frombuffer(data, dtype).reshape(self.dims)
        if self.kind != BFLOAT16:
            return array
        take(4 * array.size, "what its constants unfold to")
        return of_bfloat16(array)


@dataclass(frozen=True, eq=False)
class Attribute:
    """An attribute of a node: whichever of its values is set."""

    name: str
    number: float = 0
    text: str = ""
    tensor: Tensor | None = None
    numbers: tuple[int, ...] = ()
    floats: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()
    graphs: tuple[Graph, ...] = ()
    reference: str = ""

    @classmethod
    def parse(cls, message: memoryview, depth: int, /) -> Self:
        """Return the attribute an AttributeProto describes."""
        name = text = reference = ""
        number: float = 0
        tensor: Tensor | None = None
        numbers: list[int] = []
        floats: list[float] = []
        texts: list[str] = []
        graphs: list[Graph] = []
        for key, value in fields(message):
            if key == 8:
                numbers += integers(value)
            elif key == 3:
                number = integers(value)[0] if isinstance(value, int) else 0
            elif isinstance(value, int):
                continue
            elif key == 1:
                name = _text(value)
            elif key == 2 and len(value) == 4:
                number = struct.unpack("<f", value)[0]
            elif key == 4:
                text = _text(value)
            elif key == 5:
                tensor = Tensor.parse(value)
            elif key in {6, 11}:
                graphs.append(Graph.parse(value, depth + 1))
            elif key == 7 and len(value) % 4 == 0:
                take(COST_OF_FLOAT * (len(value) // 4), "its lists of numbers")
                floats += struct.unpack(f"<{len(value) // 4}f", value)
            elif key == 9:
                texts.append(_text(value))
            elif key == 21:
                reference = _text(value)
        return cls(name, number, text, tensor, tuple(numbers), tuple(floats), tuple(texts), tuple(graphs), reference)


@dataclass(frozen=True, eq=False)
class Node:
    """One operation."""

    op: str
    name: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    @classmethod
    def parse(cls, message: memoryview, depth: int, /) -> Self:
        """Return the node a NodeProto describes."""
        op = name = domain = ""
        inputs: list[str] = []
        outputs: list[str] = []
        attributes: dict[str, Attribute] = {}
        for number, value in fields(message):
            if isinstance(value, int):
                continue
            if number == 1:
                inputs.append(_text(value))
            elif number == 2:
                outputs.append(_text(value))
            elif number == 3:
                name = _text(value)
            elif number == 4:
                op = _text(value)
            elif number == 5:
                attribute = Attribute.parse(value, depth)
                attributes[attribute.name] = attribute
            elif number == 7:
                domain = _text(value)
        return cls(op, name, domain, tuple(inputs), tuple(outputs), attributes)

    def input(self, place: int) -> str:
        """Return the name of an input, empty where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""

    @property
    def subgraphs(self) -> Iterator[tuple[str, Graph]]:
        """Bodies and branches, with the names of their attributes."""
        for name, attribute in self.attributes.items():
            for graph in attribute.graphs:
                yield name, graph


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes and constants of one scope of names."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    inputs: Mapping[str, int] = field(default_factory=dict[str, int])  # Name -> place
    outputs: tuple[str, ...] = ()

    @classmethod
    def parse(cls, message: memoryview, depth: int = 0, /) -> Self:
        """Return the graph a GraphProto describes."""
        if depth > MAX_DEPTH:
            message_ = f"graphs are nested deeper than {MAX_DEPTH}"
            raise WireError(message_)
        nodes: list[Node] = []
        tensors: dict[str, Tensor] = {}
        inputs: list[str] = []
        outputs: list[str] = []
        for number, value in fields(message):
            if isinstance(value, int):
                continue
            if number == 1:
                nodes.append(Node.parse(value, depth))
            elif number == 5:
                tensor = Tensor.parse(value)
                tensors[tensor.name] = tensor
            elif number in {11, 12}:
                names = [_text(inner) for key, inner in fields(value) if key == 1]
                (inputs if number == 11 else outputs).append(names[-1] if names else "")
        return cls(tuple(nodes), tensors, {name: place for place, name in enumerate(inputs)}, tuple(outputs))

    @cached_property
    def producers(self) -> dict[str, tuple[Node, int]]:
        """Value -> the node that makes it, and which of its outputs it is."""
        return {name: (node, place) for node in self.nodes for place, name in enumerate(node.outputs) if name}


@dataclass(frozen=True, eq=False)
class Function:
    """A function of the model: a graph whose inputs are given by each call."""

    body: Graph
    inputs: tuple[str, ...]
    key: tuple[str, str]

    @classmethod
    def parse(cls, message: memoryview, /) -> Self:
        """Return the function a FunctionProto describes."""
        name = domain = ""
        inputs: list[str] = []
        nodes: list[Node] = []
        for number, value in fields(message):
            if isinstance(value, int):
                continue
            if number == 1:
                name = _text(value)
            elif number == 4:
                inputs.append(_text(value))
            elif number == 7:
                nodes.append(Node.parse(value, 0))
            elif number == 10:
                domain = _text(value)
        places = {name: place for place, name in enumerate(inputs)}
        return cls(Graph(tuple(nodes), {}, places), tuple(inputs), (domain, name))


@dataclass(frozen=True, eq=False)
class Model:
    """A model: its graph and its functions."""

    graph: Graph
    functions: Mapping[tuple[str, str], Function]

    @classmethod
    def parse(cls, data: bytes, /) -> Self:
        """Read a model."""
        graph: Graph | None = None
        functions: dict[tuple[str, str], Function] = {}
        for number, value in fields(memoryview(data)):
            if isinstance(value, int):
                continue
            if number == 7:
                graph = Graph.parse(value)
            elif number == 25:
                function = Function.parse(value)
                functions[function.key] = function
        if graph is None:
            message = "it holds no graph"
            raise WireError(message)
        return cls(graph, functions)


def _text(value: int | memoryview) -> str:
    return "" if isinstance(value, int) else str(value, "utf-8", "replace")
