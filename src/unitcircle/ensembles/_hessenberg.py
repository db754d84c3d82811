"""Spectral radii of Gaussian matrices without the matrices: their Hessenberg form, drawn directly.

Householder reflectors that bring a standard Gaussian matrix to upper Hessenberg form leave the entries on and above
the diagonal standard normal, and the subdiagonal χ-distributed with n-1, ..., 1 degrees of freedom, all independent.
This avoids the O(n³) reduction, more than half of an eigenvalue computation. What remains is LAPACK's QR iteration,
called with the interpreter lock released.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg import cython_lapack  # pyright: ignore[reportAttributeAccessIssue]

# Above this size the multishift iteration with aggressive deflation (hseqr) is faster than the double-shift (lahqr).
DOUBLE_SHIFT_UP_TO = 150
# lahqr reads, and writes zeros, up to three rows below a diagonal block: each block has as many rows of padding.
PADDING = 3


def gaussian_radii(n: int, draws: int, rng: np.random.Generator, dtype: type[np.floating[Any]], /) -> np.ndarray:
    """Draw spectral radii ``(draws,)`` of real n × n matrices with independent standard normal entries."""
    letter = "d" if dtype is np.float64 else "s"
    if n <= DOUBLE_SHIFT_UP_TO:
        return _double_shift(n, _draw_hessenberg(n, draws, rng, dtype), letter)
    return np.array([_multishift(n, _draw_hessenberg(n, 1, rng, dtype)[0], letter) for _ in range(draws)])


def _draw_hessenberg(n: int, draws: int, rng: np.random.Generator, dtype: type[np.floating[Any]]) -> np.ndarray:
    """Draw Hessenberg forms in the storage of LAPACK, ``(draws, n (n + PADDING + 1))``."""
    # One matrix per row, in column-major order, such that LAPACK with the leading dimension n + PADDING reads all of
    # it as one block-diagonal matrix: entry (b n + i, b n + j) lies at b n (n + PADDING + 1) + j (n + PADDING) + i.
    leading = n + PADDING
    packed = np.zeros((draws, n * (leading + 1)), dtype)
    columns = packed[:, : n * leading].reshape(draws, n, leading)
    # The entries below the subdiagonal are never read.
    columns[:, :, :n] = rng.standard_normal((draws, n, n), dtype=dtype)  # pyright: ignore[reportArgumentType]
    above = np.arange(n - 1)
    columns[:, above, above + 1] = np.sqrt(rng.chisquare(n - 1 - above, (draws, n - 1)))
    return packed


def _double_shift(n: int, packed: np.ndarray, letter: str) -> np.ndarray:
    draws = packed.shape[0]
    real, imaginary = np.empty((2, draws * n), packed.dtype)
    radii = np.full(draws, np.nan)
    lahqr = _routine(letter + "lahqr")
    no, one, leading, info = (ctypes.c_int(value) for value in (0, 1, n + PADDING, 0))
    left = draws
    while left > 0:
        size = ctypes.c_int(left * n)
        arguments = (no, no, size, one, size, packed, leading, real, imaginary, one, one, packed, one, info)
        lahqr(*map(_address, arguments))
        # If one block did not converge, those after it are done and those before it remain.
        first = -(-info.value // n)
        done = slice(first * n, left * n)
        radii[first:left] = np.hypot(real[done], imaginary[done]).reshape(-1, n).max(1)
        left = first - 1
    return radii


def _multishift(n: int, packed: np.ndarray, letter: str) -> float:
    real, imaginary = np.empty((2, n), packed.dtype)
    work = np.empty(n, packed.dtype)
    only, none = ctypes.create_string_buffer(b"E"), ctypes.create_string_buffer(b"N")
    one, size, leading, info = (ctypes.c_int(value) for value in (1, n, n + PADDING, 0))
    arguments = (only, none, size, one, size, packed, leading, real, imaginary, packed, one, work, size, info)
    _routine(letter + "hseqr")(*map(_address, arguments))
    return float(np.hypot(real, imaginary).max()) if info.value == 0 else float("nan")


def _address(argument: Any) -> int:
    return argument.ctypes.data if isinstance(argument, np.ndarray) else ctypes.addressof(argument)


@cache
def _routine(name: str) -> Any:
    # SciPy publishes LAPACK to compiled code as capsules; both routines take fourteen pointers.
    capsule = cython_lapack.__pyx_capi__[name]
    api: Any = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    pointer = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 14)(pointer)
