"""Initializers against the usual implementations, at equal shape, element type and random draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from tests.oracles.haar import haar_by_qr

from benchmarks._row import Row, best_of
from unitcircle import initializers as uci

N = 1024


def rows() -> Iterator[Row]:
    default = torch.get_num_threads()
    for threads in sorted({1, default}):
        with _threads(threads):
            yield from _against_torch(f"torch, {threads} thread{'s' * (threads > 1)}")
    yield _against_dense_products()
    yield _against_qr()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _against_torch(where: str) -> Iterator[Row]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(N, N)
    stack = torch.empty(4 * N, N)

    def eigen() -> None:
        weight.copy_(uci.Eigen()(torch.randn(N, N, generator=generator)))

    def per_gate() -> None:
        for gate in stack.chunk(4):
            gate.copy_(uci.Orthogonal()(torch.randn(N, N, generator=generator)))

    baseline_s, ours_s = best_of(5, lambda: torch.nn.init.orthogonal_(weight, generator=generator), eigen)
    yield Row(f"Eigen, n = {N}, float32, {where}", "torch.nn.init.orthogonal_", "Eigen()", baseline_s, ours_s, 4)
    baseline_s, ours_s = best_of(5, lambda: torch.nn.init.orthogonal_(stack, generator=generator), per_gate)
    claim = f"four gates of an LSTM, n = {N}, float32, {where}"
    yield Row(claim, "orthogonal_ on the stack (each gate wrong)", "Orthogonal() on each gate", baseline_s, ours_s, 1)


def _against_dense_products() -> Row:
    z = np.random.default_rng(0).standard_normal((N, N))
    rotation = np.eye(N)
    rotation[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    sample = 5

    def products() -> None:
        product = rotation
        for _ in range(sample):
            product = product @ rotation

    baseline_s, ours_s = best_of(3, products, lambda: uci.Eigen()(z))
    baseline = f"n − 1 dense products ({sample} timed)"
    claim = f"Eigen against its definition, n = {N}, float64, NumPy"
    return Row(claim, baseline, "Eigen()", baseline_s * (N - 1) / sample, ours_s, 1000)


def _against_qr() -> Row:
    z = np.random.default_rng(0).standard_normal((N, N)).astype(np.float32)
    baseline_s, ours_s = best_of(5, lambda: haar_by_qr(z), lambda: uci.Orthogonal()(z))
    return Row(f"Haar, n = {N}, float32, NumPy", "QR, signs fixed", "Orthogonal(), Stewart", baseline_s, ours_s, 1)
