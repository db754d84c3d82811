"""A weight as block-triangular Schur forms: exact zeros are kept exact, and every eigenvalue has its condition."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import cast

import numpy as np
import scipy

STORED, COMPUTED = 4.0, 12.0
"""Roundoffs of the element type, and of double precision, by which a weight may differ from the intended one."""


@dataclass(frozen=True, eq=False)
class Block:
    """The complex Schur form Z T Zᴴ of one irreducible diagonal block."""

    T: np.ndarray  # (m, m) upper triangular
    Z: np.ndarray  # (m, m) unitary
    # (m,) |yᴴx| of the unit left and right eigenvectors: to first order a backward error δ moves the eigenvalue by
    # δ / |yᴴx|.
    condition: np.ndarray
    # (m,) the same for its modulus alone, under perturbations that are real if the block is.
    modulus_condition: np.ndarray
    # The error of the block in the spectral norm: of storage, of the arithmetic that computed the weight, and of
    # the QR iteration, measured below n / 3 roundoffs on Haar matrices for n from 16 to 1000.
    backward_error: float

    @classmethod
    def of(cls, W: np.ndarray, eps: float) -> Block:
        one = np.ones(1)
        if len(W) == 1:  # exact: a 1 × 1 block needs no arithmetic
            return cls(W.astype(complex), one[None], one, one, _backward_error(W, eps))
        _, exponent = np.frexp(np.abs(W).max())
        scale = float(np.ldexp(1.0, exponent - 1))  # a power of two: exact, and no intermediate result overflows
        scaled = W / scale
        T, Z = _complex_schur(scaled)
        # On a triangular matrix LAPACK skips the QR iteration and keeps the order: only eigenvectors are computed.
        eigenvalues, left, right = cast("tuple[np.ndarray, ...]", scipy.linalg.eig(T, left=True, right=True))
        condition = np.clip(np.abs(np.sum(left.conj() * right, axis=0)), np.finfo(float).tiny, 1.0)
        modulus_condition = condition
        if not np.iscomplexobj(W):
            modulus_condition = condition / _real_sensitivity(eigenvalues, Z @ left, Z @ right)
        return cls(scale * T, Z, condition, modulus_condition, scale * _backward_error(scaled, eps))


def _backward_error(W: np.ndarray, eps: float) -> float:
    roundoffs = STORED * eps + (COMPUTED + len(W)) * float(np.finfo(float).eps)
    return roundoffs * float(np.linalg.norm(W, 2))


def _complex_schur(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    real = not np.iscomplexobj(W)
    form = cast("tuple[np.ndarray, np.ndarray]", scipy.linalg.schur(W, output="real" if real else "complex"))
    # The real QR iteration and these rotations cost a third of the complex QR iteration.
    T, Z = scipy.linalg.rsf2csf(*form) if real else form
    return np.triu(T), Z


def _real_sensitivity(eigenvalues: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the largest |Re(e^{-iθ} yᴴEx)| over real E of unit spectral norm, θ being the phase of λ and yᴴx > 0."""
    # It is the nuclear norm of Re(e^{iθ} y xᴴ), of rank two: far below 1 where a conjugate pair near a real defective
    # eigenvalue moves along the circle much more than across it.
    y = left * np.exp(1j * np.angle(eigenvalues * np.sum(left.conj() * right, axis=0)))

    def gram(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        real, imag = np.real(u), np.imag(u)
        return (real**2).sum(axis=0), (imag**2).sum(axis=0), (real * imag).sum(axis=0)

    (a, b, c), (d, e, f) = gram(y), gram(right)
    frobenius = a * d + b * e + 2 * c * f
    determinant = np.sqrt(np.maximum((a * b - c * c) * (d * e - f * f), 0.0))
    return np.sqrt(np.maximum(frobenius + 2 * determinant, np.finfo(float).eps ** 2))


@dataclass(frozen=True, eq=False)
class Triangular:
    """A weight whose graph is connected, as W = P Z T Zᴴ Pᵀ with P a permutation and Z block-diagonal."""

    # The diagonal blocks are the strongly connected components of the graph of W (its Frobenius normal form), so
    # rounding does not couple eigenvalues of different blocks, and those of a triangular W are exact.

    W: np.ndarray  # (n, n), permuted to block upper triangular form
    order: np.ndarray  # (n,) the units of the weight that its rows are
    blocks: tuple[Block, ...]  # Schur forms of the diagonal blocks, in order
    eps: float  # Unit roundoff of the type the weight arrived in

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each block starts, and n."""
        return np.cumsum([0, *(len(block.T) for block in self.blocks)])

    @cached_property
    def owner(self) -> np.ndarray:
        """The block each eigenvalue belongs to."""
        return np.repeat(np.arange(len(self.blocks)), np.diff(self.starts))

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """The eigenvalues ``(n,)``, in the order of the diagonal of T."""
        return np.concatenate([np.diagonal(block.T) for block in self.blocks])

    @cached_property
    def condition(self) -> np.ndarray:
        """|yᴴx| of each eigenvalue within its own block."""
        return np.concatenate([block.condition for block in self.blocks])

    @cached_property
    def modulus_condition(self) -> np.ndarray:
        """The condition of the modulus of each eigenvalue within its own block."""
        return np.concatenate([block.modulus_condition for block in self.blocks])

    @cached_property
    def backward_error(self) -> np.ndarray:
        """The backward error of the block each eigenvalue belongs to."""
        return np.array([block.backward_error for block in self.blocks])[self.owner]

    @cached_property
    def whole(self) -> Block:
        """The Schur form of all blocks together, with their couplings."""
        Z = np.asarray(scipy.linalg.block_diag(*(block.Z for block in self.blocks)))
        T = (Z.conj().T @ self.W @ Z).astype(complex)
        for (start, end), block in zip(pairwise(self.starts), self.blocks, strict=True):
            T[start:end, start:end] = block.T
            T[end:, start:end] = 0.0
        return Block(T, Z, self.condition, self.modulus_condition, _backward_error(self.W, self.eps))

    def compression(self, members: np.ndarray) -> tuple[np.ndarray, float, Block]:
        """Return W on the invariant subspace of m eigenvalues, ``(m, m)``, its condition, and the block it is from."""
        first = self.owner[members[0]]
        if len(members) == 1:
            i = int(members[0])
            return self.eigenvalues[i, None, None], float(self.modulus_condition[i]), self.blocks[first]
        one_block = bool(np.all(self.owner[members] == first))
        block = self.blocks[first] if one_block else self.whole
        members = members - self.starts[first] if one_block else members
        m, n = len(members), len(block.T)
        if m == n:
            return block.T, 1.0, block
        select = np.zeros(n, dtype=np.int32)
        select[members] = 1
        (trsen,) = scipy.linalg.get_lapack_funcs(("trsen",), (block.T,))
        T, _, _, _, s, _, _ = trsen(
            select, block.T, np.empty((n, n), complex, order="F"), job="E", wantq=0, lwork=max(1, m * (n - m))
        )
        return T[:m, :m], max(float(s), np.finfo(float).tiny), block


def triangular_parts(W: np.ndarray, /, *, eps: float) -> list[Triangular]:
    """Split a weight ``(n, n)`` into direct summands by its exact zeros, each in block-triangular Schur form."""
    if np.iscomplexobj(W) and not np.imag(W).any():
        return triangular_parts(np.real(W), eps=eps)
    graph = scipy.sparse.csr_array(W != 0)
    _, component = scipy.sparse.csgraph.connected_components(graph, directed=True, connection="weak")
    _, strong = scipy.sparse.csgraph.connected_components(graph, directed=True, connection="strong")
    order = np.lexsort((_topological_rank(graph, strong), component))
    breaks = np.flatnonzero(np.diff(component[order])) + 1
    return [_triangular(W[np.ix_(part, part)], part, strong[part], eps) for part in np.split(order, breaks)]


def _topological_rank(graph: scipy.sparse.csr_array, strong: np.ndarray) -> np.ndarray:
    """Return a rank of each node under which the permuted matrix is block upper triangular."""
    row, column = graph.nonzero()
    edges = np.unique(np.stack([strong[row], strong[column]]), axis=1)
    before: defaultdict[int, set[int]] = defaultdict(set)
    for a, b in edges[:, edges[0] != edges[1]].T.tolist():
        before[b].add(a)
    for label in range(int(strong.max()) + 1):
        before.setdefault(label, set())
    rank = np.empty(len(before), dtype=int)
    rank[list(TopologicalSorter(before).static_order())] = np.arange(len(before))
    return rank[strong]


def _triangular(W: np.ndarray, order: np.ndarray, strong: np.ndarray, eps: float) -> Triangular:
    breaks = np.flatnonzero(np.diff(strong)) + 1
    starts = [0, *breaks.tolist(), len(W)]
    return Triangular(W, order, tuple(Block.of(W[a:b, a:b], eps) for a, b in pairwise(starts)), eps)
