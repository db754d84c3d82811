"""MNIST read pixel by pixel, in order or permuted."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._download import fetch
from unitcircle.experiments.tasks._task import Batch, Split, Task

SOURCE = "https://ossci-datasets.s3.amazonaws.com/mnist/"
"""The mirror that torchvision reads; the authors' site no longer provides the files."""
FILES = {
    "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
}
"""With the checksums that their authors published."""
VALIDATION = 10_000
"""The last of the 60,000 training digits."""
PIXELS = 784
HELD_OUT_BATCH = 1000
UNSIGNED_BYTES = b"\0\0\x08"
LARGEST = 1 << 30
"""Bytes that are read at most."""


@dataclass(frozen=True)
class Mnist(Task):
    """Classify a handwritten digit from its 784 pixels, read one by one.

    The original files, with their checksums: the first 50,000 digits of the training file are training data, up to
    10,000 of the others validation data, the 10,000 of the test file test data. Pixels are scaled to [0, 1] and read
    row by row, or in one random order for all (psMNIST).

    Parameters
    ----------
    permuted
        Whether the pixels are permuted.
    seed
        Of the permutation, by NumPy's legacy generator; 92916 in the literature.
    validation
        Number of validation digits, at most 10,000: on a CPU an evaluation of all takes as long as a hundred steps.
    folder
        Folder with the four gz files. None: the folder that ``UNITCIRCLE_DATA`` names, or the cache, or their source.
        The content of the files is checked, so the key of a run is the same wherever they are.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 86
    (1998); Q. V. Le, N. Jaitly, G. E. Hinton, arXiv 1504.00941, section 4.2; M. Lezcano-Casado, D. Martínez-Rubio,
    "Cheap orthogonal constraints in neural networks", ICML 2019 (the permutation's seed).
    """

    name = "mnist"
    inputs = 1
    outputs = 10
    baseline = 0.1
    threshold = 0.9

    places = ("folder",)

    permuted: bool = False
    seed: int = 92916
    validation: int = VALIDATION
    folder: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.validation <= VALIDATION:
            raise ArgumentError("validation", f"must be from 1 to {VALIDATION:,} digits", str(self.validation))

    @property
    def _omissions(self) -> set[str]:
        return super()._omissions | (set() if self.permuted else {"permuted", "seed"})

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        images, labels = _digits("train", self.folder)
        return self._batch(images, labels, rng.integers(len(labels) - VALIDATION, size=size))

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        images, labels = _digits("train" if split == "validation" else "t10k", self.folder)
        first = len(labels) - VALIDATION if split == "validation" else 0
        end = first + self.validation if split == "validation" else len(labels)
        for start in range(first, end, HELD_OUT_BATCH):
            yield self._batch(images, labels, np.arange(start, min(start + HELD_OUT_BATCH, end)))

    def _batch(self, images: np.ndarray, labels: np.ndarray, indices: np.ndarray) -> Batch:
        pixels = images[indices].T
        if self.permuted:
            pixels = pixels[_permutation(self.seed)]
        return Batch((pixels[:, :, None] / np.float32(255)).astype(np.float32), labels[indices].astype(np.int64))


@cache
def _permutation(seed: int) -> np.ndarray:
    return np.random.RandomState(seed).permutation(PIXELS)


@cache
def _digits(part: str, folder: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels ``(N, 784)`` and labels ``(N,)`` of a pair of files."""
    paths = [
        fetch(f"mnist/{name}", SOURCE + name, checksum, folder)
        for name, checksum in FILES.items()
        if name.startswith(part)
    ]
    images, labels = map(read_idx, paths)
    return images.reshape(len(labels), PIXELS), labels


def read_idx(path: str | os.PathLike[str], /) -> np.ndarray:
    """Return the array of unsigned bytes in a gzipped IDX file."""
    try:
        with gzip.open(path) as file:
            magic = file.read(4)
            shape = tuple(np.frombuffer(file.read(4 * magic[3] if magic[:3] == UNSIGNED_BYTES else 0), ">u4").tolist())
            content = file.read(min(prod(shape), LARGEST) + 1)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise ArgumentError("path", "must be a gzipped IDX file", f"{Path(path).name} ({error})") from error
    if not shape or len(shape) != magic[3] or len(content) != prod(shape):
        arrived = f"{Path(path).name}, which begins with {magic!r} and says it has the shape {shape}"
        raise ArgumentError("path", "must be an IDX file of unsigned bytes, as long as it says", arrived)
    return np.frombuffer(content, np.uint8).reshape(shape)
