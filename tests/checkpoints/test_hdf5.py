"""HDF5 without trust: every array against h5py's own reading, and every way a file can lie."""

import io
import json
import random
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from unitcircle.checkpoints import _hdf5, _hdf5_index, _room
from unitcircle.checkpoints._hdf5 import Hdf5File, Hdf5Process
from unitcircle.checkpoints._hdf5_index import Refused, index
from unitcircle.checkpoints._room import admit, room
from unitcircle.errors import CheckpointError, MissingExtraError

h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def process():
    with Hdf5Process() as running:
        yield running


def rng():
    return np.random.default_rng(0)


def damaged(data, seed):
    """Return data after a random truncation or a few random flips."""
    draw = random.Random(seed)
    changed = bytearray(data)
    if draw.random() < 0.2:
        return bytes(changed[: draw.randrange(len(changed))])
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        place = draw.randrange(len(changed))
        changed[place] = draw.choice((changed[place] ^ 1 << draw.randrange(8), draw.randrange(256), 0, 255))
    return bytes(changed)


WRITERS = {
    "contiguous": {},
    "float64": {"dtype": "<f8"},
    "float16": {"dtype": "<f2"},
    "big endian": {"dtype": ">f4"},
    "chunked": {"chunks": (3, 4)},
    "gzip": {"chunks": (3, 4), "compression": "gzip"},
    "gzip, shuffle, checksum": {"chunks": (4, 5), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "checksum": {"chunks": (10, 10), "fletcher32": True},
}


class TestArrays:
    @pytest.mark.parametrize("libver", ["earliest", "latest"])
    @pytest.mark.parametrize("userblock", [0, 512])
    def test_every_storage_equals_the_reading_of_h5py(self, tmp_path, process, libver, userblock):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
            for name, options in WRITERS.items():
                file.create_dataset(f"group/{name}", data=rng().standard_normal((10, 10)), **options)
            file["empty"] = np.zeros((0, 3), np.float32)
            file["scalar"] = np.float32(3)
        ours = Hdf5File(path, process=process)
        with h5py.File(path) as theirs:
            assert set(ours) == {*(f"group/{name}" for name in WRITERS), "empty", "scalar"}
            for name in ours:
                expected = theirs[name][()]
                np.testing.assert_array_equal(ours[name], expected, strict=False)
                assert ours[name].dtype == expected.dtype.newbyteorder("=")
                assert ours.dtype(name) == expected.dtype.newbyteorder("=").name
        assert len(ours) == len(WRITERS) + 2
        assert index(path)["datasets"].keys() == set(ours)

    def test_compact_storage(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_layout(h5py.h5d.COMPACT)
            space = h5py.h5s.create_simple((2, 3))
            made = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, properties)
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(6, dtype="f4").reshape(2, 3))
        np.testing.assert_array_equal(
            Hdf5File(tmp_path / "a.h5", process=process)["compact"], np.arange(6.0).reshape(2, 3)
        )
        assert "inline" in index(tmp_path / "a.h5")["datasets"]["compact"]

    def test_bfloat16_as_keras_marks_it(self, tmp_path, process):
        values = np.array([1.0, -2.5, 3e38], np.float32)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            made = file.create_dataset("w", data=(values.view(np.uint32) >> 16).astype(np.uint16).view("V2"))
            made.attrs["dtype"] = "bfloat16"
        file = Hdf5File(tmp_path / "a.h5", process=process)
        np.testing.assert_allclose(file["w"], values, rtol=2.0**-7)
        assert file.dtype("w") == "bfloat16" == index(tmp_path / "a.h5")["datasets"]["w"]["type"]

    def test_integers_and_declared_nothing_are_listed_and_not_read(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["counter"] = 7
            file["null"] = h5py.Empty("f4")
            file["type"] = np.dtype("f4")
        file = Hdf5File(tmp_path / "a.h5", process=process)
        assert list(file) == []
        assert file.shapes == {"counter": (), "null": None} == shapes(index(tmp_path / "a.h5"))

    def test_a_second_link_to_an_array_or_an_ancestor_is_not_followed(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["group/w"] = np.zeros(3)
            file["group/alias"] = file["group/w"]
            file["group/loop"] = file["group"]
        assert len(Hdf5File(tmp_path / "a.h5", process=process)) == 1 == len(index(tmp_path / "a.h5")["datasets"])


def shapes(found):
    return {name: entry["shape"] for name, entry in found["datasets"].items()}


class TestAttributes:
    def test_those_of_keras_alone_and_names_that_were_cut(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            group = file.create_group("model_weights")
            group.attrs["layer_names0"] = np.array([b"lstm", b"caf\xe9"])
            group.attrs["layer_names1"] = ["dense"]
            group.attrs["keras_version"] = b"2.10.0"
            file.attrs["keras_version"] = "3.1"
            file.attrs["other"] = np.zeros(3)
        expected = {"layer_names": ["lstm", "caf\ufffd", "dense"], "keras_version": "3.1"}
        assert Hdf5File(tmp_path / "a.h5", process=process).attributes == expected
        assert index(tmp_path / "a.h5")["attributes"] == expected

    def test_one_larger_than_the_file(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.attrs["model_config"] = np.bytes_(b"x" * 5000)
            with pytest.raises(Refused, match="larger than the file"):
                _hdf5_index._attributes(file, 4000)


def write_external_link(file, tmp_path):
    file["link"] = h5py.ExternalLink("/etc/passwd", "/")


def write_soft_link(file, tmp_path):
    file["link"] = h5py.SoftLink("/w")


def write_external_storage(file, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(16))
    file.create_dataset("w", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)])


def write_virtual(file, tmp_path):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "w", (4,))
    file.create_virtual_dataset("w", layout)


def write_deep(file, tmp_path):
    file["/".join("g" * (_hdf5_index.MAX_DEPTH + 2))] = 1.0


REFUSALS = {
    "link .link.": write_external_link,
    "can point": write_soft_link,
    "external or virtual": write_external_storage,
    "other files": write_virtual,
    "deeper": write_deep,
}


class TestRefusals:
    @pytest.mark.parametrize("message", REFUSALS)
    def test_what_reaches_out_of_the_file(self, tmp_path, process, message):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            REFUSALS[message](file, tmp_path)
        with pytest.raises(CheckpointError, match=f"a.h5 is refused.*{message}.*Save the weights again"):
            Hdf5File(path, process=process)
        with pytest.raises(Refused, match=message):
            index(path)

    @pytest.mark.parametrize(("limit", "message"), [("MAX_OBJECTS", "objects"), ("MAX_CHUNKS", "2 chunks")])
    def test_more_than_a_model_has(self, monkeypatch, tmp_path, limit, message):
        monkeypatch.setattr(_hdf5_index, limit, 1)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("w", data=np.zeros(4), chunks=(2,))
            if limit == "MAX_OBJECTS":
                file["v"] = 1.0
        with pytest.raises(Refused, match=message):
            index(tmp_path / "a.h5")

    def test_too_much_inside_a_header(self, monkeypatch, tmp_path):
        monkeypatch.setattr(_hdf5_index, "MAX_INLINE", 8)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_layout(h5py.h5d.COMPACT)
            h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), properties)
        with pytest.raises(Refused, match="16 bytes inside the header"):
            index(tmp_path / "a.h5")

    def refused(self, process, path, name, message):
        file = Hdf5File(path, process=process)
        with pytest.raises(CheckpointError, match=f"{path.name} cannot be read: the array {name!r} .*{message}"):
            file[name]

    def test_a_shape_without_data(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("none", (1000, 1000), "f4")
            file.create_dataset("huge", (1 << 40,), "f4")
            file.create_dataset("chunked", (100, 100), "f4", chunks=(10, 10))
            file.create_dataset("chunk", (1 << 30,), "f4", chunks=(1 << 28,))
        for name, message in {
            "none": "4000000 bytes at None",
            "huge": "4398046511104 bytes at None",
            "chunked": "not hold all of its chunks, only 0",
            "chunk": "not hold all of its chunks, only 0",
        }.items():
            self.refused(process, tmp_path / "a.h5", name, message)

    def test_a_compressed_chunk_that_unfolds_to_more_than_the_chunk(self, tmp_path, process):
        import tracemalloc
        import zlib

        bomb = zlib.compress(bytes(64 << 20), 9)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            made = file.create_dataset("w", (4,), "f4", chunks=(4,), compression="gzip")
            made.id.write_direct_chunk((0,), bomb)
        tracemalloc.start()
        self.refused(process, tmp_path / "a.h5", "w", "chunk of 20 bytes where 16 belong")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()

    def test_a_damaged_compressed_chunk(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            made = file.create_dataset("w", (4,), "f4", chunks=(4,), compression="gzip")
            made.id.write_direct_chunk((0,), b"not a stream")
        self.refused(process, tmp_path / "a.h5", "w", "damaged compressed chunk")

    def test_a_filter_of_others(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("w", data=np.zeros(100), chunks=(100,), compression="lzf")
        self.refused(process, tmp_path / "a.h5", "w", "filter 32000")

    def test_a_chunk_skips_the_filters_its_mask_names(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            made = file.create_dataset("w", (4,), "<f4", chunks=(4,), compression="gzip")
            made.id.write_direct_chunk((0,), np.arange(4, dtype="<f4").tobytes(), filter_mask=1)
        np.testing.assert_array_equal(Hdf5File(tmp_path / "a.h5", process=process)["w"], np.arange(4.0))

    def test_arrays_that_together_exceed_the_file(self, monkeypatch, tmp_path, process):
        monkeypatch.setattr(_room, "ALLOWANCE", 0)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["w"] = np.zeros(5000)
            file.create_dataset("edge", data=np.zeros(1), chunks=(100_000,), maxshape=(None,), compression="gzip")
        file = Hdf5File(tmp_path / "a.h5", process=process)
        with room():
            admit(tmp_path / "a.h5")
            with pytest.raises(CheckpointError, match="a chunk of the array 'edge' would take 781 KB"):
                file["edge"]
            assert file["w"].shape == (5000,)
            with pytest.raises(CheckpointError, match=r"the array 'w' would take .*: refused in case it is hostile"):
                [file["w"] for _ in range(4)]

    @pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"no HDF5 at all" * 100])
    def test_no_hdf5(self, tmp_path, process, data):
        (tmp_path / "a.h5").write_bytes(data)
        with pytest.raises(CheckpointError, match="cannot be read: not a sound HDF5 file"):
            Hdf5File(tmp_path / "a.h5", process=process)

    def test_without_h5py(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(MissingExtraError, match=r"reading Keras files needs h5py.*unitcircle\[formats\]"):
            Hdf5Process()


class TestProcess:
    def answering(self, monkeypatch, tmp_path, code):
        """Put another script, in place of the index, behind the process."""
        (tmp_path / "_hdf5_index.py").write_text(code)
        monkeypatch.setattr(_hdf5, "__file__", str(tmp_path / "_hdf5.py"))
        (tmp_path / "a.h5").touch()
        return tmp_path / "a.h5"

    @pytest.mark.parametrize(
        "code",
        [
            "import os; os.abort()",
            "print('{}', flush=True); input(); import os; os.abort()",
            "print('{}', flush=True); import os, sys; sys.stdin.close(); os.abort()",
            "print('{}', flush=True); import time; time.sleep(60)",
            "print('{}\\n{', end='')",
            "print('{}\\n{' + 'x' * 2000)",
        ],
        ids=["dies at once", "dies while reading", "dies before", "hangs", "half an answer", "endless answer"],
    )
    def test_a_process_that_dies_or_hangs_is_the_files_fault(self, monkeypatch, tmp_path, code):
        monkeypatch.setattr(_hdf5, "MAX_ANSWER", 1000)
        path = self.answering(monkeypatch, tmp_path, code)
        patience = 0.5 if "sleep" in code else _hdf5.PATIENCE
        with Hdf5Process(patience=patience) as process:
            for _ in range(2):  # the second file gets a new process
                with pytest.raises(CheckpointError, match=r"a\.h5 cannot be read.*crashed or never finished"):
                    process.index(path)

    def test_the_script_answers_each_line(self, monkeypatch, tmp_path, capsys):
        # In this process, whose own memory must not be bounded.
        limits = []
        monkeypatch.setattr(_hdf5_index, "_bound", limits.append)
        (tmp_path / "bad.h5").write_bytes(b"bad")
        with h5py.File(tmp_path / "link.h5", "w") as file:
            write_soft_link(file, tmp_path)
        with h5py.File(tmp_path / "good.h5", "w") as file:
            file["w"] = 1.0
        lines = [json.dumps([str(tmp_path / f"{name}.h5"), 7]) for name in ("bad", "link", "good")]
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))
        _hdf5_index.main()
        answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [list(answer) for answer in answers] == [[], ["damaged"], ["refused"], ["index"]]
        assert limits == [7, 7, 7]

    def test_the_memory_of_the_process_is_bounded(self, monkeypatch, tmp_path):
        pytest.importorskip("resource")
        code = Path(_hdf5_index.__file__).read_text()
        code = code.replace('answer = {"index": index(path)}', 'answer = {"index": len(bytearray(1 << 30))}')
        path = self.answering(monkeypatch, tmp_path, code)
        with Hdf5Process() as process, pytest.raises(CheckpointError, match="MemoryError"):
            process.index(path)


def tiny():
    """Return a small file with every structure that Keras writes, and compression."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = np.array([b"lstm", b"dense"])
        file.attrs["model_config"] = '{"class_name": "LSTM", "config": {"name": "lstm"}}'
        group = file.create_group("lstm/lstm")
        group["kernel:0"] = rng().standard_normal((3, 8)).astype("f4")
        group["recurrent_kernel:0"] = rng().standard_normal((2, 8)).astype("f4")
        group.create_dataset("bias:0", data=np.zeros(8, "f4"), chunks=(4,), compression="gzip", shuffle=True)
    return buffer.getvalue()


def test_two_thousand_damaged_files_raise_nothing_but_checkpoint_error(tmp_path):
    data, path, read = tiny(), tmp_path / "a.h5", 0
    # libhdf5 loops forever on some: what matters here is that it is stopped, not after how long.
    with Hdf5Process(patience=0.25) as process:
        for seed in range(2000):
            path.write_bytes(damaged(data, seed))
            with suppress(CheckpointError):
                file = Hdf5File(path, process=process)
                for name in file:
                    with suppress(CheckpointError):
                        file[name]
                        read += 1
    assert read > 500
