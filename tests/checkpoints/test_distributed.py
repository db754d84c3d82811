"""Folders of torch.distributed.checkpoint, as torch writes them and as several ranks would."""

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
from tests.checkpoints.test_fuzz import mutations

from unitcircle.checkpoints import Layers, read
from unitcircle.checkpoints._distributed import read_distributed
from unitcircle.errors import CheckpointError

torch = pytest.importorskip("torch")
dcp = pytest.importorskip("torch.distributed.checkpoint")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


def test_a_folder_that_torch_writes(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 4, num_layers=2), "low": torch.nn.GRUCell(2, 3).bfloat16()})
    dcp.save({"model": model.state_dict(), "step": 3, "rng": torch.zeros(0, 5)}, checkpoint_id=tmp_path / "step_3")
    layers = read(tmp_path / "step_3")
    assert layers.format == "torch.distributed"
    assert sorted((layer.name, layer.layer) for layer in layers) == [
        ("low", 0),
        ("lstm", 0),
        ("lstm", 1),
    ]
    for layer in layers:
        end = "" if layer.name == "low" else f"_l{layer.layer}"
        weight = getattr(model[layer.name], f"weight_hh{end}")
        np.testing.assert_array_equal(np.concatenate(list(layer.gates.values())), weight.detach().float())


def sharded(folder, tensors, pieces, *, change=None):
    """Write a checkpoint whose tensors are cut along both sides, each piece in the file of another rank."""
    from torch.distributed.checkpoint import metadata as meta
    from torch.distributed.checkpoint.filesystem import _StorageInfo

    folder.mkdir()
    files = {f"__{rank}_0.distcp": io.BytesIO() for rank in range(2)}
    described, stored = {}, {}
    for name, tensor in tensors.items():
        chunks = []
        for index, (rows, columns) in enumerate(pieces):
            part = tensor[rows, columns].clone()
            offsets = torch.Size([rows.start, columns.start])
            chunks.append(meta.ChunkStorageMetadata(offsets=offsets, sizes=part.shape))
            file = f"__{index % 2}_0.distcp"
            start = files[file].tell()
            torch.save(part, files[file])
            key = meta.MetadataIndex(fqn=name, offset=offsets, index=index)
            stored[key] = _StorageInfo(file, start, files[file].tell() - start)
        properties = meta.TensorProperties(dtype=tensor.dtype)
        described[name] = meta.TensorStorageMetadata(properties=properties, size=tensor.shape, chunks=chunks)
    content = meta.Metadata(state_dict_metadata=described, planner_data={}, storage_data=stored)
    if change is not None:
        change(content)
    (folder / ".metadata").write_bytes(pickle.dumps(content))
    for file, buffer in files.items():
        (folder / file).write_bytes(buffer.getvalue())
    return folder


QUARTERS = [(slice(top, top + 6), slice(left, left + 2)) for top in (0, 6) for left in (0, 2)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_tensor_in_parts_is_put_together(tmp_path, dtype):
    weight = torch.randn(12, 4).to(dtype)
    folder = sharded(tmp_path / "parts", {"rnn.weight_hh": weight}, QUARTERS)
    (layer,) = read(folder)
    assert layer.cell == "gru"
    np.testing.assert_array_equal(
        np.concatenate(list(layer.gates.values())), weight.float() if dtype is torch.bfloat16 else weight
    )
    loaded = {"rnn.weight_hh": torch.zeros(12, 4, dtype=dtype)}
    dcp.load(loaded, checkpoint_id=folder, no_dist=True)  # torch reads the same
    assert torch.equal(loaded["rnn.weight_hh"], weight)


def first(content):
    return next(iter(content.storage_data.items()))


def relocated(**changes):
    def change(content):
        key, info = first(content)
        content.storage_data[key] = type(info)(
            **{"relative_path": info.relative_path, "offset": info.offset, "length": info.length} | changes
        )

    return change


def without_a_part(content):
    content.state_dict_metadata["rnn.weight_hh"].chunks.pop()


def without_a_place(content):
    del content.storage_data[first(content)[0]]


def of_another_size(content):
    content.state_dict_metadata["rnn.weight_hh"].size = torch.Size([12, 3])


def compressed(content):
    first(content)[1].transform_descriptors = ["zstd"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (relocated(relative_path="../secret"), "names a shard outside of its folder"),
        (relocated(relative_path=""), "names a shard outside of its folder"),
        (relocated(relative_path="__9_0.distcp"), "shard '__9_0.distcp' is not there"),
        (relocated(length=1 << 40), "is truncated"),
        (relocated(offset=-1), "is truncated"),
        (relocated(offset=4), "damaged|truncated|is not where"),
        (without_a_part, "are not the whole of it: the checkpoint is not complete"),
        (without_a_place, "is in no shard"),
        (of_another_size, "lies outside of its shape"),
        (compressed, "compressed by a transform"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, message):
    folder = sharded(tmp_path / "bad", {"rnn.weight_hh": torch.randn(12, 4)}, QUARTERS, change=change)
    with pytest.raises(CheckpointError, match=message):
        read(folder)


def test_a_part_of_another_shape_is_refused(tmp_path):
    def swap(content):
        content.storage_data = dict(zip(content.storage_data, reversed(content.storage_data.values()), strict=True))

    pieces = [(slice(0, 12), slice(0, 3)), (slice(0, 12), slice(3, 4))]
    folder = sharded(tmp_path / "swapped", {"rnn.weight_hh": torch.randn(12, 4)}, pieces, change=swap)
    with pytest.raises(CheckpointError, match="does not hold the part of shape"):
        read(folder)


def test_more_tensors_than_the_files_can_hold_are_refused(tmp_path):
    def repeat(content):
        key, info = first(content)
        described, origin, size = (
            content.state_dict_metadata["rnn.weight_hh"],
            torch.Size([0, 0]),
            torch.Size([400, 400]),
        )
        chunk = replace(described.chunks[0], offsets=origin, sizes=size)
        for index in range(1000):
            content.state_dict_metadata[f"t{index}"] = replace(described, size=size, chunks=[chunk])
            place = replace(info, offset=index % 7, length=info.length - 7)
            content.storage_data[replace(key, fqn=f"t{index}", offset=origin)] = place

    folder = sharded(tmp_path / "large", {"rnn.weight_hh": torch.randn(12, 4)}, QUARTERS, change=repeat)
    with pytest.raises(CheckpointError, match="larger than its files"):
        read(folder)


@pytest.mark.parametrize("name", [".metadata", "__0_0.distcp"])
def test_an_empty_file_is_damage(tmp_path, name):
    folder = sharded(tmp_path / "empty", {"rnn.weight_hh": torch.randn(12, 4)}, QUARTERS)
    (folder / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match="truncated"):
        read(folder)


def test_a_metadata_of_something_else(tmp_path):
    (tmp_path / ".metadata").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match="does not describe tensors"):
        read_distributed(tmp_path)


def test_damage_gives_a_checkpoint_error_or_layers(tmp_path):
    folder = sharded(tmp_path / "parts", {"rnn.weight_hh": torch.randn(12, 4)}, QUARTERS)
    rng, refused = np.random.default_rng(5), 0
    for name, cases in ((".metadata", 300), ("__0_0.distcp", 100)):
        sound = (folder / name).read_bytes()
        for changed in mutations(sound, cases, rng):
            (folder / name).write_bytes(changed)
            try:
                assert isinstance(read(folder), Layers)
            except CheckpointError:
                refused += 1
        (folder / name).write_bytes(sound)
    assert refused > 100
