"""Hostile files: memory stays below four times the file plus 200 MB, and no case hangs."""

import json
import os
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from tests.checkpoints import bombs, onnx_bombs
from tests.checkpoints.cost import STATUS, costs, size_of

from unitcircle.checkpoints import _room, read
from unitcircle.errors import CheckpointError

MB = 1 << 20

# The peak of a child counts its parent's pages until exec, except in this file of Linux.
pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="the peak is read from /proc")


def zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        head = (
            b"\x93NUMPY\x01\x00v\x00"
            + b"{'descr': '<f4', 'fortran_order': False, 'shape': (8192, 8192), }".ljust(117)
            + b"\n"
        )
        with archive.open("weight_hh.npy", "w") as member:
            member.write(head)
            for _ in range(256):
                member.write(bytes(MB))


def pickle_of(path, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", b"3")


def shared_strings(path):
    # One long key, at every level of a deep nest: names would take the square of the file.
    pickle_of(
        path,
        b"\x80\x02X" + struct.pack("<I", MB) + b"k" * MB + b"q\0" + b"0}" + b"h\0}" * 20_000 + b"s" * 20_000 + b".",
    )


def empty_containers(path):
    pickle_of(path, b"\x80\x02" + b"}" * 1_500_000 + b".")


def wide_list(path):
    # Names of so many children under a name of 970 letters would take a gigabyte.
    pickle_of(path, b"\x80\x02}X" + struct.pack("<I", 970) + b"k" * 970 + b"](" + b"}" * 990_000 + b"es.")


def many_arrays(path):
    call = b"cnumpy._core.numeric\n_frombuffer\nq\x01"
    dtype = b"cnumpy\ndtype\nX\x02\0\0\0f4K\0K\x01\x87R"
    arguments = b"(B\x10\0\0\0" + bytes(16) + dtype + b"K\x02K\x02\x86X\x01\0\0\0Ctq\x02"
    path.write_bytes(b"\x80\x04](" + call + b"0" + arguments + b"0" + b"h\x01h\x02R" * 330_000 + b"e.")


def safetensors_header(path):
    entries = b"{" + b'"a":[' + b"[]," * 1_700_000 + b"[]]}"
    path.write_bytes(struct.pack("<Q", len(entries)) + entries)


def nested_json(path):
    path.write_bytes(b'{"weight_map":' + b'{"a":' * 1_000_000)


def json_flood(path):
    path.write_bytes(b'{"weight_map":[' + b"[]," * 1_700_000 + b"0]}")


def many_members(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.npy", b"")
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, count = data[start:end], (8 * MB) // (end - start)
    entries = b"".join(entry.replace(b"0.npy", b"%05x" % k) for k in range(count))
    path.write_bytes(data[:start] + entries + data[end : end + 12] + struct.pack("<I", len(entries)) + data[end + 16 :])


def expanded_tensor(path):
    shape = 1 << 20
    header = json.dumps({"a.weight_hh": {"dtype": "F32", "shape": [shape, shape], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"1234")


def experts(path):
    # The index of a model of 48 layers with 512 experts, and its shards.
    names = [f"model.layers.{n // 1536}.mlp.experts.{n % 1536}.weight" for n in range(48 * 512 * 3)]
    for shard in range(48):
        start = len(names) * shard // 48
        part = names[start : start + len(names) // 48]
        header = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in part}
        header |= {f"layers.{shard}.rnn.weight_hh": {"dtype": "F32", "shape": [4, 1], "data_offsets": [0, 16]}}
        text = json.dumps(header).encode()
        (path.parent / f"{shard}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    path.write_text(json.dumps({"weight_map": {name: f"{n % 48}.safetensors" for n, name in enumerate(names)}}))


def arrays_of_nothing(path):
    array = b"\xc7\x05\x01\x93\x90\xa0\xc4\x00"
    path.write_bytes(b"\x81\xa1a\xdd" + struct.pack(">I", 2_000_000) + array * 2_000_000)


def cells_of_nothing(path):
    flags = struct.pack("<IIII", 6, 8, 6, 0)
    number = struct.pack("<II", 14, 56) + flags + struct.pack("<IIiiII", 5, 8, 1, 1, 1, 0)
    number += struct.pack("<IId", 9, 8, 0.5)
    content = flags[:8] + struct.pack("<II", 1, 0) + struct.pack("<IIiiII", 5, 8, 1, 250_000, 1, 0) + number * 250_000
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\0\1IM" + struct.pack("<II", 14, len(content)) + content)


def honest(path):
    np.savez(path.with_suffix(".npz"), weight_hh=np.ones((4 * 1024, 1024), np.float32))
    path.with_suffix(".npz").rename(path)


def ten_thousand(path):
    entry = {"dtype": "F32", "shape": [8, 2], "data_offsets": [0, 64]}
    bombs.safetensors_of(path, {f"lstm.weight_hh_l{k}": entry for k in range(10_000)}, bytes(64))


HONEST = {honest: 1, experts: 48}
"""Files that are read, with their layers."""
SMALL = (
    zip_bomb, shared_strings, empty_containers, wide_list, many_arrays, safetensors_header, nested_json, json_flood,
    many_members, expanded_tensor, arrays_of_nothing, cells_of_nothing,
    bombs.torchscript_pending, bombs.hdf5_wide,
)  # fmt: skip


def measured(folder, makers):
    """Return what the files of some makers cost; each is in a folder of its own, with what it names beside it."""
    paths = []
    for index, make in enumerate(makers):
        paths.append(folder / str(index) / "file")
        paths[-1].parent.mkdir()
        make(paths[-1])
    return [replace(cost, size=size_of(path.parent)) for path, cost in zip(paths, costs(paths), strict=True)]


def test_memory_and_time_of_honest_files(tmp_path):
    found = measured(tmp_path, HONEST)
    assert [cost.layers for cost in found] == list(HONEST.values())
    assert [cost for cost in found if not cost.kept] == []


@pytest.mark.skipif("UNITCIRCLE_BOMBS" not in os.environ, reason="5 seconds: make fuzz measures it")
def test_as_many_layers_as_a_refusal_names_are_read(tmp_path):
    (cost,) = measured(tmp_path, [ten_thousand])
    assert cost.layers == 10_000
    assert cost.kept


def test_an_honest_file_that_is_refused_is_told_what_is_read(tmp_path, monkeypatch):
    matrices = [[[0.5, 0.25], [0.125, 0.5]]] * 6_000
    (tmp_path / "m.json").write_text(json.dumps(matrices))
    assert read(tmp_path / "m.json").coverage
    monkeypatch.setattr(_room, "ALLOWANCE", 1 << 20)  # of 600,000 matrices with the real one
    with pytest.raises(CheckpointError, match=r"169 KB that would take 2683 KB .* 10,000 a file") as refusal:
        read(tmp_path / "m.json")
    assert len(str(refusal.value).removeprefix(str(tmp_path))) <= 300


COUNTED = {
    bombs.gguf_names: (30, "by their names"),
    bombs.gguf_equal_names: (500, "by their names"),
    bombs.nested_names: (300, "names beside its layers"),
    bombs.siblings: (30, "tensors beside its layers"),
    bombs.linear_layers: (60, "its layers"),
    bombs.lstms: (170, "its layers would take .* KB"),
    bombs.norms: (60, "its layers"),
    bombs.gguf_quantized: (3000, "its tensors"),
    bombs.gguf_state_spaces: (1, "its linear recurrences"),
    bombs.gguf_state_spaces_of_bytes: (1, "its linear recurrences"),
    bombs.dynet_layers: (200, "its layers"),
}
"""Bombs that are made smaller here, with so much of what they flood a reader with, and what is refused then."""
STEPS = {bombs.lstms: 10**6, bombs.nested_names: 500_000, bombs.siblings: 80_000}


@pytest.mark.parametrize("make", COUNTED, ids=lambda make: make.__name__)
def test_what_is_read_is_counted(tmp_path, monkeypatch, make):
    count, what = COUNTED[make]
    make(tmp_path / "file", count)
    monkeypatch.setattr(_room, "ALLOWANCE", 2 * MB)
    monkeypatch.setattr(_room, "STEPS", STEPS.get(make, 20_000))
    with pytest.raises(CheckpointError, match=what):
        read(tmp_path / "file")


def test_a_name_of_many_letters_is_refused(tmp_path):
    bombs.long_name(tmp_path / "file")
    with pytest.raises(CheckpointError, match="name of 100000 letters"):
        read(tmp_path / "file")


ASKED = pytest.mark.skipif("UNITCIRCLE_BOMBS" not in os.environ, reason="4 minutes: make fuzz measures them")
SLOW = [pytest.param(tuple(table.values()), marks=ASKED) for table in (bombs.BOMBS, onnx_bombs.BOMBS)]


@pytest.mark.parametrize("makers", [SMALL, *SLOW])
def test_memory_and_time_of_bombs(tmp_path, makers):
    found = measured(tmp_path, makers)
    assert [(make.__qualname__, cost) for make, cost in zip(makers, found, strict=True) if not cost.kept] == []
    assert [cost.message for cost in found if cost.layers is None and len(cost.message) > 400] == []
