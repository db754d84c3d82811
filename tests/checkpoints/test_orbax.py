"""Orbax checkpoints: folders of Zarr arrays in both versions, read without tensorstore."""

import json
import shutil

import numpy as np
import pytest
from tests.checkpoints.test_fuzz import mutations

from unitcircle.checkpoints import Layers, read
from unitcircle.errors import CheckpointError

zarr = pytest.importorskip("zarr")
codecs = pytest.importorskip("zarr.codecs")
gzip = pytest.importorskip("numcodecs.gzip")

RNG = np.random.default_rng(0)
STACK = RNG.standard_normal((12, 4)).astype(np.float32)


def saved(folder, arrays, **options):
    for name, array in arrays.items():
        created = zarr.create_array(folder / name, shape=array.shape, dtype=array.dtype, **options)
        created[...] = array
    (folder / "_METADATA").write_text("{}")
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {"zarr_format": 2, "chunks": (5, 3), "compressors": gzip.GZip()},
        {"zarr_format": 2, "chunks": (12, 4), "compressors": None, "order": "F"},
        {"zarr_format": 3, "chunks": (12, 4), "compressors": codecs.GzipCodec()},
        {"zarr_format": 3, "chunks": (5, 3), "compressors": codecs.ZstdCodec()},
        {"zarr_format": 3, "chunks": (3, 2), "shards": (6, 4), "compressors": codecs.ZstdCodec()},
        {"zarr_format": 3, "chunks": (12, 4), "compressors": None, "chunk_key_encoding": {"name": "v2"}},
    ],
    ids=["gzip", "by columns", "version 3, gzip", "version 3, zstd", "shards", "keys of version 2"],
)
@pytest.mark.filterwarnings("ignore")
def test_the_arrays_of_both_versions(tmp_path, options):
    layers = read(saved(tmp_path / "m", {"params.rnn.weight_hh": STACK}, **options))
    assert layers.format == "orbax"
    (layer,) = layers
    assert (layer.cell, layer.source.dtype) == ("gru", "float32")
    np.testing.assert_array_equal(layer.gates["z"], STACK[4:8])


@pytest.mark.filterwarnings("ignore")
def test_the_checkpoint_that_orbax_writes(tmp_path):
    checkpoint = pytest.importorskip("orbax.checkpoint")
    jax = pytest.importorskip("jax")
    kernels = {"hi": {"kernel": jax.numpy.asarray(STACK[:4])}, "ii": {"kernel": jax.numpy.asarray(STACK[4:8])}}
    for place, options in enumerate(({}, {"use_zarr3": True})):
        handler = checkpoint.PyTreeCheckpointHandler(use_ocdbt=False, **options)
        checkpoint.Checkpointer(handler).save(tmp_path / str(place), {"params": {"cell": kernels}, "step": 3})
        (layer,) = read(tmp_path / str(place))
        assert layer.cell == "rnn_tanh"
        np.testing.assert_array_equal(layer.gates["h"], STACK[:4].T)


def test_the_last_step_is_read(tmp_path):
    for step in (2, 10):
        saved(tmp_path / f"{step}" / "default", {"weight_hh": step * STACK}, zarr_format=2)
        (tmp_path / str(step) / "commit_success.txt").write_text("")
        (tmp_path / str(step) / "_CHECKPOINT_METADATA").write_text("{}")
    layers = read(tmp_path)
    np.testing.assert_array_equal(layers[0].gates["z"], 10 * STACK[4:8])
    assert "of 2 steps the last, 10, is read" in layers.coverage.notes


def test_a_chunk_that_is_not_there_is_zero(tmp_path):
    folder = saved(tmp_path / "m", {"weight_hh": STACK}, zarr_format=2, chunks=(4, 4))
    (folder / "weight_hh" / "1.0").unlink()
    assert not read(folder)[0].gates["z"].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [1 << 20, 1 << 20]}, "more than its files can hold"),
        ({"chunks": [0, 4]}, "chunks .* that do not fit its shape"),
        ({"chunks": [4]}, "chunks .* that do not fit its shape"),
        ({"shape": "x"}, "a description that cannot be read"),
        ({"compressor": {"id": "blosc"}}, "coded by 'blosc'.*save it again with zstd or gzip"),
        ({"compressor": {"id": "gzip"}}, "a chunk that gzip cannot unpack"),
        ({"dtype": "<f8"}, "a chunk that unpacks to 192 bytes where 384 belong"),
    ],
)
def test_descriptions_that_lie(tmp_path, change, message):
    folder = saved(tmp_path / "m", {"weight_hh": STACK}, zarr_format=2)
    path = folder / "weight_hh" / ".zarray"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        read(folder)


@pytest.mark.parametrize("change", [{"name": {"name": "zstd"}}, {"name": ["zstd"]}, {"name": None}])
def test_a_codec_without_a_name(tmp_path, change):
    folder = saved(tmp_path / "m", {"weight_hh": STACK}, zarr_format=3)
    path = folder / "weight_hh" / "zarr.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"codecs": [described["codecs"][0], change]}))
    with pytest.raises(CheckpointError, match="which are not read"):
        read(folder)


def test_an_incomplete_checkpoint(tmp_path):
    (tmp_path / "_METADATA").write_text("{}")
    with pytest.raises(CheckpointError, match="an orbax checkpoint without arrays"):
        read(tmp_path)


def damaged(folder, cases):
    """Count the refusals of a checkpoint whose files are damaged one after the other."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "_METADATA"]
    refused = 0
    for path in files:
        data = path.read_bytes()
        for changed in mutations(data, cases // len(files), np.random.default_rng(3)):
            path.write_bytes(changed)
            try:
                assert isinstance(read(folder), Layers)
            except CheckpointError:
                refused += 1
        path.write_bytes(data)
    return refused


@pytest.mark.parametrize("version", [2, 3])
def test_damage_gives_a_checkpoint_error_or_layers(tmp_path, version):
    options = {"chunks": (3, 2), "shards": (6, 4)} if version == 3 else {"chunks": (6, 4)}
    folder = saved(tmp_path / "m", {"weight_hh": STACK}, zarr_format=version, **options)
    assert damaged(folder, 300) > 50
    shutil.rmtree(folder)
