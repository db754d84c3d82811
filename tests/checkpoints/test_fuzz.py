"""Damaged files: 1,000 random truncations and bit flips of every format give layers or a CheckpointError, no more."""

import numpy as np
import pytest
from safetensors.numpy import save
from tests.checkpoints.mutations import mutated, mutations
from tests.checkpoints.seeds import FORMATS, SLOW, WEIGHTS

from unitcircle.checkpoints import Layers, read
from unitcircle.errors import CheckpointError

CASES = 1000
FEWER = 200
"""Mutations of formats that are made of the others."""
SIMILAR = {"PyTorch quantized", "pickle", "npz, sparse", "torch.export", "archive of checkpoints"}
STRUCTURED = 200
"""Mutations along the structure; ``make fuzz`` reads a hundred times as many."""
# Its files are damaged ones of every format: the tests of each format cover the readers.
pytestmark = pytest.mark.no_cover
QUICK = [kind for kind in FORMATS if kind not in SLOW]


def harmless(text):
    """Whether a text about a file is one short printable line."""
    return text.isprintable() and len(text) <= 300


def said_of(path):
    """Return everything that is said of a file: why it is refused, or what is read of it and what is not."""
    try:
        layers = read(path)
    except CheckpointError as error:
        return [str(error).removeprefix(str(path))]
    coverage = layers.coverage
    reasons = [entry.reason for entry in coverage.skipped]
    assert all(line.isprintable() for line in str(coverage).split("\n"))
    return [*coverage.notes, *coverage.unread, *reasons, *(layer.name[:300] for layer in layers)]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "part.safetensors").write_bytes(save(WEIGHTS))
    return tmp_path / "file"


@pytest.mark.parametrize("kind", [kind for kind in QUICK if kind != "ONNX"])
def test_damage_gives_a_checkpoint_error_or_layers(kind, path):
    data = FORMATS[kind]()
    path.write_bytes(data)
    assert len(read(path)) >= 1 or kind == "npy"
    refused = 0
    cases = FEWER if kind in SIMILAR else CASES
    for changed in mutations(data, cases, np.random.default_rng(17)):
        path.write_bytes(changed)
        try:
            assert isinstance(read(path), Layers)
        except CheckpointError:
            refused += 1
    assert refused > cases // 10


@pytest.mark.parametrize("kind", QUICK)
def test_what_is_said_of_damage_along_the_structure_is_short_and_printable(kind, path):
    data = FORMATS[kind]()
    for seed in range(STRUCTURED):
        path.write_bytes(mutated(data, 2 * seed))
        assert [text for text in said_of(path) if not harmless(text)] == []
