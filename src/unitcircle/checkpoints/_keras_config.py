"""What a Keras model configuration says about its recurrent layers; nothing in it is ever deserialized into code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from unitcircle.checkpoints._json_text import parse_json
from unitcircle.checkpoints._room import take, work
from unitcircle.recurrence import Cell

STEPS_OF_LAYER = 10
MAX_DEPTH = 32

_CELLS = {"SimpleRNN": Cell.RNN, "GRU": Cell.GRU, "LSTM": Cell.LSTM}
_CLASSES = (
    _CELLS | {f"{name}Cell": cell for name, cell in _CELLS.items()} | {"CuDNNGRU": Cell.GRU, "CuDNNLSTM": Cell.LSTM}
)
_CONVOLUTIONAL = {"ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}
# Name or class -> family, the keys of its constant and its default. The function is not that of torch, of slope 0.01.
_SLOPES = {
    "leaky_relu": ("leaky_relu", (), 0.2),
    "leakyrelu": ("leaky_relu", ("negative_slope", "alpha"), 0.3),
    "elu": ("elu", ("alpha",), 1.0),
}
_RELU_CONSTANTS = ("max_value", "negative_slope", "threshold")


@dataclass(frozen=True)
class KerasLayer:
    """One recurrent layer as the configuration describes it."""

    name: str  # Names of the wrappers and the layer, joined by slashes: "bidirectional/forward_lstm"
    cell: Cell | None = None  # Kind of cell; None where the file has no configuration
    activation: str = "tanh"  # activation, recurrent_activation: In our spelling
    recurrent_activation: str = "sigmoid"
    reset_after: bool | None = None  # GRU: as configured, or None
    reverse: bool = False  # Whether it runs backwards in time
    cudnn: bool | None = None  # Whether it is one of the old CuDNN layers; None where the file has no configuration


@dataclass(frozen=True)
class NcpsCell:
    """A cell of ncps as the configuration describes it: its class and its arguments, the activation in our spelling."""

    kind: str
    config: Mapping[str, Any]
    reverse: bool = False


@dataclass
class KerasModel:
    """The recurrent layers of a configuration, by the two keys under which files store their weights."""

    # Keras 3: place in the tree of objects, "layers/lstm_1/cell", named after classes and counted.
    by_path: dict[str, KerasLayer] = field(default_factory=dict[str, KerasLayer])
    # HDF5 of Keras 1 and 2: the layer's own name.
    by_name: dict[str, list[KerasLayer]] = field(default_factory=dict[str, list[KerasLayer]])
    # Classes that are not Keras' own recurrent layers, by the same two keys.
    classes: dict[str, str] = field(default_factory=dict[str, str])
    # Names of RNN layers -> classes of their cells, where these are none of Keras' own.
    cells: dict[str, str] = field(default_factory=dict[str, str])
    # Places of the cells of both, in the order of the model.
    order: list[str] = field(default_factory=list[str])
    # Convolutional LSTMs by the same two keys: its name, and what its gates are computed by.
    convolutional: dict[str, KerasLayer] = field(default_factory=dict[str, KerasLayer])
    # Cells of ncps by the same two keys of their layers.
    of_ncps: dict[str, NcpsCell] = field(default_factory=dict[str, NcpsCell])
    code: list[str] = field(default_factory=list[str])  # Names of the Lambda layers, which hold Python code
    version: int = 2  # Major version of Keras that wrote the file; hard_sigmoid is another function since 3

    @classmethod
    def parse(cls, text: str, version: str, /) -> Self:
        """Read a configuration."""
        major = re.match(r"\d+", version)
        model = cls(version=int(major[0][:3]) if major else 2)
        config = parse_json(text.encode("utf-8", "surrogatepass"), what="its model configuration") if text else {}
        model._visit(config, "", "", 0)
        return model

    def layer(self, path: str, /) -> KerasLayer | None:
        """Return the layer whose cell's variables a file keeps in a group."""
        if (layer := self.by_path.get(path)) is not None:
            return layer
        parts = path.split("/")
        named = next((self.by_name[part] for part in reversed(parts) if part in self.by_name), [])
        # Cells of two layers may have one name: the layers around them tell them apart.
        return max(named, key=lambda layer: len(set(layer.name.split("/")) & set(parts)), default=None)

    def custom_class(self, path: str, /) -> str:
        """Return the class of a layer or cell that is none of Keras' recurrent ones, empty where it is not known."""
        place = re.sub(r"/(cell|(simple_rnn|gru|lstm)_cell(_\d+)?)$", "", path)
        kind = next((self.classes[key] for key in (path, place, place.rpartition("/")[2]) if key in self.classes), "")
        # A layer that runs a cell of its own, under whatever name the cell is stored.
        return kind or next((self.cells[part] for part in path.split("/") if part in self.cells), "")

    def conv_lstm(self, path: str, /) -> KerasLayer | None:
        """Return the convolutional LSTM whose variables a file keeps in a group; None where the file names none."""
        place = re.sub(r"/(cell|conv_lstm_cell(_\d+)?)$", "", path)
        return self.convolutional.get(place) or self.convolutional.get(place.rpartition("/")[2])

    def ncps_cell(self, place: str, /) -> NcpsCell | None:
        """Return the cell of ncps that the outermost of some names belongs to; None where the file names none."""
        parts = place.split("/")
        paths = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
        keys = (key for key in (*paths, *reversed(parts)) if key in self.of_ncps)
        return next((self.of_ncps[key] for key in keys), None)

    def _visit(self, node: Any, path: str, name: str, depth: int, side: str = "", *, turned: bool = False) -> None:
        kind, config = _class_and_config(node)
        if depth > MAX_DEPTH or config is None:
            return
        work(STEPS_OF_LAYER, "its model configuration")
        own_name = _text(config, "name")
        # Keras 2 keeps the name of the layer it wrapped, Keras 3 that of the copy it made for one direction.
        own_name = own_name if own_name.startswith(side) else f"{side}{own_name}"
        name = "/".join(filter(None, (name, own_name)))
        take(len(name) + len(path), "the names of its layers")
        self._see_cell_of_ncps(config, path, own_name, turned)
        children: list[tuple[str, Any, str]] = []
        if kind == "Lambda":
            self.code.append(name or "lambda")
        elif kind in _CLASSES:
            layer = self._recurrent(kind, config, name, turned)
            place = path if kind.endswith("Cell") else f"{path}/cell"
            self.by_path[place] = layer
            self.order.append(place)
            self.by_name.setdefault(own_name, []).append(layer)
        elif kind == "Bidirectional":
            forward, backward = config.get("layer"), config.get("backward_layer")
            children = [("forward_layer", forward, "forward_"), ("backward_layer", backward or forward, "backward_")]
        elif kind == "RNN":
            children = [("cell", config.get("cell"), "")]
            inner = _class_and_config(config.get("cell"))[0]
            if inner and inner not in _CLASSES and inner != "StackedRNNCells":
                self.cells[own_name] = inner.rpartition(">")[2]
            turned ^= config.get("go_backwards") is True
        elif kind == "TimeDistributed":
            children = [("layer", config.get("layer"), "")]
        elif kind == "StackedRNNCells":
            children = [(f"cells/{place}", child, "") for place, child in _with_names(config.get("cells"))]
        else:
            children = [(f"layers/{place}", child, "") for place, child in _with_names(config.get("layers"))]
            if depth and not children:
                self.classes[path] = self.classes[own_name] = kind.rpartition(">")[2]
                if kind in _CONVOLUTIONAL:
                    layer = self._recurrent(kind, config, name, turned)
                    self.convolutional[path] = self.convolutional[own_name] = layer
                    self.order.append(f"{path}/cell")
            # The name of the outermost model is in no path of the file.
            name = name if depth else ""
        for place, child, which in children:
            # A backward layer that is configured separately says in its configuration that it goes backwards.
            turn = turned ^ (which == "backward_" and not config.get("backward_layer"))
            self._visit(child, f"{path}/{place}" if path else place, name, depth + 1, which, turned=turn)

    def _see_cell_of_ncps(self, config: dict[str, Any], path: str, own_name: str, turned: bool) -> None:
        cell = config.get("cell")
        kind, inner = _class_and_config(cell)
        if inner is not None and isinstance(cell, dict) and str(cell.get("module")).startswith("ncps.keras."):
            inner = inner | {"activation": self._activation(inner.get("activation")).rpartition(">")[2]}
            found = NcpsCell(kind, inner, (config.get("go_backwards") is True) ^ turned)
            self.of_ncps[path] = self.of_ncps[own_name] = found
            self.order.append(f"{path}/cell")

    def _recurrent(self, kind: str, config: dict[str, Any], name: str, turned: bool) -> KerasLayer:
        reset_after = config.get("reset_after")
        # The CuDNN layers had no choice of activation, and no entry for it.
        return KerasLayer(
            name,
            _CLASSES.get(kind),
            self._activation(config.get("activation", "tanh")),
            self._activation(config.get("recurrent_activation", config.get("inner_activation", "sigmoid"))),
            reset_after if isinstance(reset_after, bool) else None,
            (config.get("go_backwards") is True) ^ turned,
            kind.startswith("CuDNN"),
        )

    def _activation(self, value: Any) -> str:
        if value is None:
            return "linear"
        constants: dict[str, Any] = {}
        if isinstance(value, dict):  # a function or an object, as Keras 3 serializes it
            inner = value.get("config")
            constants = inner if isinstance(inner, dict) else {}
            value = inner if isinstance(inner, str) else value.get("class_name") or "a function without a name"
            if value == "Activation":
                value = constants.get("activation")
        name = str(value).lower()
        if name == "hard_sigmoid" and self.version >= 3:
            return "hard_sigmoid6"
        if name in _SLOPES:
            family, keys, default = _SLOPES[name]
            slope = next((constants[key] for key in keys if isinstance(constants.get(key), int | float)), default)
            return name if (name, slope) == ("elu", 1.0) else f"{family}({slope:.6g})"
        # A ReLU that is cut or tilted is another function.
        return f"{name}(?)" if name == "relu" and any(constants.get(key) for key in _RELU_CONSTANTS) else name


def _class_and_config(node: Any) -> tuple[str, dict[str, Any] | None]:
    if not isinstance(node, dict):
        return "", None
    config = node.get("config")
    # Keras 1 and early Keras 2 wrote a Sequential's configuration as the bare list of its layers.
    if isinstance(config, list):
        config = {"layers": config}
    return str(node.get("class_name")), config if isinstance(config, dict) else None


def _with_names(layers: Any) -> Iterator[tuple[str, Any]]:
    seen: Counter[str] = Counter()
    for layer in layers if isinstance(layers, list) else []:
        place = _snake(_class_and_config(layer)[0].rpartition(">")[2])
        yield f"{place}_{seen[place]}" if seen[place] else place, layer
        seen[place] += 1


def _snake(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _text(config: dict[str, Any], key: str) -> str:
    value = config.get(key)
    # JSON may hold halves of surrogate pairs, which no terminal can print.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
