"""A reducible matrix, split into the irreducible blocks whose spectra make up its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy

from unitcircle.spectra._enclosure import EPS, Enclosure

LOG_LARGEST = float(np.log(np.finfo(np.float64).max))


def may_be_reducible(A: np.ndarray) -> bool:
    """Return whether a dense matrix has zeros enough to be reducible: at least n − 1."""
    return bool(A.size - np.count_nonzero(A) >= max(len(A) - 1, 1))


@dataclass(frozen=True)
class Components:
    """The strongly connected components of a matrix's graph, an arc for each entry that is not zero."""

    # In the order of the components the matrix is block triangular, so its spectrum is that of the diagonal
    # blocks. The radius of three kinds of block is known at once: a zero, a single entry, and a *cycle*, a block
    # of k units with exactly k entries, all of whose eigenvalues have the modulus (Π |a|)^(1/k).

    known: Enclosure  # The largest radius among the blocks of these kinds
    bounds: tuple[float, ...]  # For each other block, the smaller of its largest absolute row and column sums
    units: tuple[np.ndarray, ...]  # For each other block, in order of decreasing bound, the indices of its units

    @classmethod
    def of(cls, A: Any) -> Self:
        """Return the components of a SciPy sparse array in CSR form, without stored zeros."""
        n = A.shape[0]
        pattern = scipy.sparse.csr_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
        count, labels = scipy.sparse.csgraph.connected_components(pattern, directed=True, connection="strong")
        rows = np.repeat(np.arange(n), np.diff(A.indptr))
        inside = labels[rows] == labels[A.indices]
        rows, columns, moduli = rows[inside], A.indices[inside], np.abs(A.data[inside])
        label = labels[rows]
        units = np.bincount(labels, minlength=count)
        entries = np.bincount(label, minlength=count)

        logs = np.log(moduli)
        means = np.where(units == entries, np.bincount(label, logs, count) / units, -np.inf)
        cycles = np.exp(np.minimum(means, LOG_LARGEST))
        # A sum of logarithms is rounded relative to the sum of their moduli.
        slack = EPS * (4 + np.bincount(label, np.abs(logs), count))
        # Not through logarithms: exact but for the modulus of a complex number.
        single = units[label] == 1
        cycles[label[single]], slack[units == 1] = moduli[single], 4 * EPS if np.iscomplexobj(A) else 0.0
        with np.errstate(over="ignore"):
            lower, upper = (float((cycles * (1 + sign * slack)).max()) for sign in (-1, 1))
        known = Enclosure(float(cycles.max()), lower, upper, "structure")
        if slack.any():
            known = known.times(1.0)

        bounds = np.full(count, np.inf)
        for index in (rows, columns):
            sums = np.bincount(index, moduli, n)
            largest = np.zeros(count)
            np.maximum.at(largest, labels, sums)
            bounds = np.minimum(bounds, largest * (1 + n * EPS))
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(units)
        rest = np.flatnonzero(entries > units)
        rest = rest[np.argsort(-bounds[rest], kind="stable")]
        return cls(
            known,
            tuple(float(bound) for bound in bounds[rest]),
            tuple(order[ends[block] - units[block] : ends[block]] for block in rest),
        )

    def blocks(self, A: Any) -> Iterator[tuple[float, Any]]:
        """Yield (bound, block) for each block of unknown radius, by decreasing bound."""
        for bound, units in zip(self.bounds, self.units, strict=True):
            if len(units) == A.shape[0]:
                yield bound, A
            elif isinstance(A, np.ndarray):
                yield bound, A[np.ix_(units, units)]
            else:
                yield bound, A[units][:, units]
