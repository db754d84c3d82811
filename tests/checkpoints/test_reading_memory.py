"""What reading takes: nothing for a file that is mapped, little more than its tensors for one that is unpacked."""

import pickle
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy
import scipy.io
import torch

from unitcircle import checkpoints

N = 256
SLACK = 2**17


def write_torch(tensors, path):
    torch.save({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, path)


def write_hdf5(tensors, path):
    with h5py.File(path, "w") as file:
        for name, tensor in tensors.items():
            file.create_dataset(name, data=tensor, compression="gzip", compression_opts=1)


WRITERS = {
    "a.pt": (write_torch, 0.0),
    "packed.h5": (write_hdf5, 1.2),
    "a.pkl": (lambda tensors, path: Path(path).write_bytes(pickle.dumps(tensors)), 1.2),
    "a.mat": (
        lambda tensors, path: scipy.io.savemat(path, {name.replace(".", "_"): t for name, t in tensors.items()}),
        1.2,
    ),
    "a.safetensors": (safetensors.numpy.save_file, 0.0),
    "a.npz": (lambda tensors, path: np.savez(path, **tensors), 0.0),
    "packed.npz": (lambda tensors, path: np.savez_compressed(path, **tensors), 1.2),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_takes_at_most_a_fifth_more_than_its_tensors(name, tmp_path):
    write, most = WRITERS[name]
    rng = np.random.default_rng(0)
    tensors = {f"rnn.weight_{part}_l0": rng.standard_normal((4 * N, N), np.float32) for part in ("hh", "ih")}
    write(tensors, tmp_path / name)
    checkpoints.read(tmp_path / name)  # imports what it needs
    tracemalloc.start()
    (layer,) = checkpoints.read(tmp_path / name)
    gate = layer.gates["f"]
    gate.sum()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(gate, tensors["rnn.weight_hh_l0"][N : 2 * N])
    assert peak <= most * sum(tensor.nbytes for tensor in tensors.values()) + SLACK
