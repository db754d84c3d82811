"""Where the entries of a layer's blocks are stored: measured with the reader itself, whatever the layout."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unitcircle.checkpoints import read, rewrite, tensors_of_file
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import RecurrentLayer

Part = tuple[str, str]
"""Kind of a block and its gate or parameter: ``("recurrent", "f")``, ``("decay", "dt_bias")``."""
Place = tuple[np.ndarray, np.ndarray]
"""Of every entry of a block, its tensor and its flat index there."""
Reader = Callable[[Path], Iterable[RecurrentLayer]]
REMEDY = "initialize the model in its framework and save it again"
EXACT = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
"""Binary digits of the integers that an element type holds exactly."""


@dataclass(frozen=True)
class Places:
    """Where every entry of the blocks of some layers is stored.

    Attributes
    ----------
    of
        Label of a layer → part → ``(tensors, indices)``: the place of each entry's tensor in ``names``, and its
        flat index there, both in the shape of the block.
    names
        The tensors.
    """

    of: Mapping[str, Mapping[Part, Place]]
    names: Sequence[str]


def stored_places(path: Path, layers: Sequence[RecurrentLayer], /, *, reader: Reader = read) -> Places:
    """Return where the entries of blocks are stored in a file.

    A copy of the file in which every entry of the tensors is its own number is read as any file is. What stands in a
    block then says where it came from: a layout, a transposition or an order of gates need not be known here.

    Parameters
    ----------
    path
        The file.
    layers
        Those of its layers whose blocks are looked for.
    reader
        How the file was read, where a person said which tensors are a layer.

    Returns
    -------
    Places
        The places.

    Raises
    ------
    CheckpointError
        The reader computes a block from its tensors instead of taking it from them, or the file is not written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from unitcircle.checkpoints import read
    >>> path = Path("examples/popular-lstm.safetensors")
    >>> places = stored_places(path, read(path)[:1])
    >>> tensor, position = places.of["lstm"]["recurrent", "f"]  # of each entry of a block
    >>> places.names[tensor[0, 0]], int(position[0, 0]) == 64 * 64  # the second gate of 64 rows
    ('lstm.weight_hh_l0', True)
    """
    names = sorted({name for layer in layers for name in layer.source.tensors})
    wanted = {layer.label for layer in layers}
    tensors = tensors_of_file(path)
    names = [name for name in names if tensors.can_be_written(name)]
    arrays = {name: tensors[name] for name in names}
    starts = np.cumsum([1, *(array.size for array in arrays.values())])  # 0 is what comes from no tensor
    digits = min((EXACT.get(tensors.dtype(name), 0) for name in names), default=0)
    if not digits:
        message = f"{path}: its weights are stored in an element type that is not written; {REMEDY}"
        raise CheckpointError(message)
    numbers: dict[str, dict[Part, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for digit in range(math.ceil(math.log2(starts[-1] + 1) / digits)):
            rewrite(
                path,
                copy,
                {
                    name: _digit(start, array, digit, digits)
                    for (name, array), start in zip(arrays.items(), starts[:-1], strict=True)
                },
            )
            for layer in reader(copy):
                for part, block in parts_of(layer) if layer.label in wanted else ():
                    whole = np.rint(block).astype(np.int64)
                    if not np.array_equal(whole, block):
                        message = f"{path}: {layer.label} has weights that are computed from what is stored; {REMEDY}"
                        raise CheckpointError(message)
                    found = numbers.setdefault(layer.label, {})
                    found[part] = found.get(part, np.zeros(whole.shape, np.int64)) + (whole << digit * digits)
    if wanted != numbers.keys():
        message = f"{path}: its layers are told by their values, and are not written; {REMEDY}"
        raise CheckpointError(message)
    return Places({label: dict(_split(blocks, starts)) for label, blocks in numbers.items()}, names)


def parts_of(layer: RecurrentLayer) -> Iterator[tuple[Part, np.ndarray]]:
    """Yield the blocks of a layer that an initialization fills, biases as they are stored."""
    for gate, block in layer.gates.items():
        yield ("recurrent", gate), np.asarray(block, dtype=float)
    for part, biases in stored_biases(layer).items():
        for gate, bias in biases.items():
            yield (part, gate), np.asarray(bias, dtype=float)
    if layer.linear is not None:
        for name, value in layer.linear.parameters.items():
            yield ("decay", name), np.asarray(value, dtype=float)


def stored_biases(layer: RecurrentLayer) -> Mapping[str, Mapping[str, np.ndarray]]:
    """Return the biases as they are stored: kind of block → gate → bias."""
    if layer.bias_parts:
        return {f"{part} bias": biases for part, biases in layer.bias_parts.items()}
    return {"bias": layer.biases, "bias inside the reset product": layer.recurrent_biases}


def _digit(start: int, array: np.ndarray, digit: int, digits: int) -> np.ndarray:
    """Return one digit, in base 2^digits, of the numbers of all entries of an array."""
    numbers = start + np.arange(array.size, dtype=np.int64)
    return (numbers >> digit * digits & (1 << digits) - 1).astype(float).reshape(array.shape)


def _split(
    blocks: Mapping[Part, np.ndarray], starts: np.ndarray
) -> Iterator[tuple[Part, tuple[np.ndarray, np.ndarray]]]:
    for part, numbers in blocks.items():
        tensor = np.searchsorted(starts, numbers, side="right") - 1
        if numbers.min() >= 1 and numbers.max() < starts[-1]:
            yield part, (tensor, numbers - starts[tensor])
