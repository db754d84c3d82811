"""GGUF: the table of tensors, quantized blocks, and the state spaces whose A it keeps."""

import struct

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import from_mamba

EPS = float(np.finfo(float).eps)

gguf = pytest.importorskip("gguf")

RNG = np.random.default_rng(0)


def saved(path, tensors, types=None):
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "c"])
    writer.add_array("numbers", [1, 2, 3])
    for name, array in tensors.items():
        kind = (types or {}).get(name)
        writer.add_tensor(name, array if kind is None else gguf.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def mamba(shape=(6, 4)):
    return {"blk.0.ssm_a": -np.exp(random(*shape)), "blk.0.ssm_dt.bias": random(shape[0])}


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(6, 4), (6, 1)])
def test_a_selective_state_space(tmp_path, shape):
    tensors = mamba(shape)
    layers = read(saved(tmp_path / "m.gguf", tensors | {"blk.0.ssm_in.weight": random(8, 4)}))
    assert layers.format == "GGUF"
    (layer,) = layers
    A_log = np.log(-tensors["blk.0.ssm_a"].astype(np.float64))
    expected = from_mamba(A_log if shape[1] > 1 else A_log.ravel(), tensors["blk.0.ssm_dt.bias"])
    np.testing.assert_allclose(layer.diagonal, expected.diagonal, rtol=4 * EPS)
    assert layer.linear.family.name == ("Mamba" if shape[1] > 1 else "Mamba-2")
    assert (layer.name, layer.source.tensors) == ("blk.0", ("blk.0.ssm_a", "blk.0.ssm_dt.bias"))
    assert layers.coverage.other == 1


def test_a_gated_delta_rule(tmp_path):
    tensors = mamba((4, 1)) | {"blk.0.ssm_ba.weight": random(8, 4)}
    (layer,) = read(saved(tmp_path / "m.gguf", tensors))
    assert (layer.linear.family.name, layer.linear.names["A_log"]) == ("Gated DeltaNet", "ssm_a")


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("F32", 0), ("F16", 1e-3), ("BF16", 1e-2), ("Q8_0", 2e-2), ("Q4_0", 0.5)]
)
def test_element_types(tmp_path, kind, tolerance):
    W = random(128, 32)
    quantization = gguf.GGMLQuantizationType[kind]
    (layer,) = read(saved(tmp_path / "m.gguf", {"rnn.weight_hh": W}, {"rnn.weight_hh": quantization}))
    np.testing.assert_allclose(layer.gates["f"], W[32:64], atol=tolerance)
    np.testing.assert_allclose(layer.gates["f"], gguf.dequantize(gguf.quantize(W, quantization), quantization)[32:64])


def test_what_looks_recurrent_is_not_passed_in_silence(tmp_path):
    odd = read(saved(tmp_path / "m.gguf", mamba() | {"blk.0.ssm_dt.bias": random(5)}))
    assert not odd
    assert odd.coverage.unread == (
        "blk.0.ssm_a looks like a selective state space and does not fit its ssm_dt.bias: not read",
    )
    rwkv = read(saved(tmp_path / "r.gguf", {"blk.0.time_mix_w0.weight": random(4)}))
    assert "this looks like RWKV (blk.0.time_mix_w0.weight): not read" in rwkv.coverage.unread


def header(pairs=0, tensors=0, rest=b""):
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs) + rest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GGUF\1\0\0\0" + bytes(16), "GGUF of version 1; convert it again"),
        (b"GGUF\3\0", "truncated or hostile"),
        (header(pairs=1 << 60), "truncated or hostile"),
        (header(pairs=1, rest=struct.pack("<QI", 0, 77)), "value of type 77"),
        (header(pairs=1, rest=struct.pack("<QIIQ", 0, 9, 9, 1)), "list of type 9"),
        (header(pairs=1, rest=struct.pack("<QIIQ", 0, 9, 4, 1 << 62)), "truncated or hostile"),
        (header(tensors=1, rest=struct.pack("<QI", 0, 9)), "claims 9 axes"),
        (header(tensors=1, rest=struct.pack("<QIQQIQ", 0, 2, 4, 4, 0, 0)), r"of shape \(4, 4\) does not lie inside"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path / "m")


def test_a_quantization_that_is_not_known(tmp_path):
    entry = struct.pack("<Q", 1) + b"t" + struct.pack("<IQQIQ", 2, 4, 4, 9, 0)
    (tmp_path / "m").write_bytes(header(tensors=1, rest=entry))
    layers = read(tmp_path / "m")
    assert not layers
    assert layers.coverage.notes == ("tensors quantized by type 9 cannot be decoded here",)
