"""Fibonacci numbers as powers of a matrix, and the eigenvalue that matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unitcircle.report import COLORS
from unitcircle_reproduction._claim import Claim, Verdict

LARGEST = 1000
"""n up to which the methods are compared; a double overflows at n = 1477."""
SHOWN = (4, 10, 70, 71, 78, 79, 100, LARGEST)
NEGLIGIBLE = 0.01
"""Share of F_n below which an eigenvalue is said not to matter."""

Number = Callable[[int], tuple[Any, int]]


def by_products(n: int, dtype: Any = object, /) -> tuple[Any, int]:
    """Return F_n as an entry of Fⁿ, F = [[1, 1], [1, 0]], by n products, and their number."""
    F, power = np.array([[1, 1], [1, 0]], dtype), np.array([[1, 0], [0, 1]], dtype)
    for _ in range(n):
        power = power @ F
    return power[0, 1], n


def by_squaring(n: int, dtype: Any = object, /) -> tuple[Any, int]:
    """Return F_n by squaring, F²ᵏ = (Fᵏ)², and the number of matrix products; parameters as in :func:`by_products`."""
    F, power, products = np.array([[1, 1], [1, 0]], dtype), np.array([[1, 0], [0, 1]], dtype), 0
    for bit in f"{n:b}":
        power, products = power @ power, products + 1
        if bit == "1":
            power, products = power @ F, products + 1
    return power[0, 1], products


def by_eigenvalues(n: int, /) -> tuple[float, int]:
    """Return F_n from F = V Λ Vᵀ in double precision, Fⁿ = V Λⁿ Vᵀ, and the number of matrix products."""
    values, V = np.linalg.eigh(np.array([[1.0, 1.0], [1.0, 0.0]]))
    return float(((V * values**n) @ V.T)[0, 1]), 1


def claims() -> Iterator[Claim]:
    """Measure what is said of Fibonacci numbers."""
    yield _methods()
    yield _golden_ratio()
    yield _beginning()


def first_wrong(method: Callable[[int], tuple[Any, int]], /) -> int:
    """Return the smallest n whose nearest integer is not F_n; LARGEST + 1 if there is none."""
    before, now = 0, 1
    for n in range(LARGEST + 1):
        if round(method(n)[0]) != before:
            return n
        before, now = now, before + now
    return LARGEST + 1


def _methods() -> Claim:
    floats = {
        "products": lambda n: by_products(n, float),
        "squaring": lambda n: by_squaring(n, float),
        "eigenvalues": by_eigenvalues,
    }
    wrong = {name: first_wrong(method) for name, method in floats.items()}
    agree = all(by_products(n)[0] == by_squaring(n)[0] for n in range(LARGEST + 1))
    rows = []
    for n in SHOWN:
        exact, products = by_squaring(n)
        row: dict[str, Any] = {"n": n, "F_n": str(exact) if n <= 100 else f"{len(str(exact))} digits"}
        row |= {"products": n, "products when squaring": products}
        rows.append(row | {f"error of {name}, floats": _error(method(n)[0], exact) for name, method in floats.items()})
    products = by_squaring(LARGEST)[1]
    measured = (
        f"In exact integers n products and squaring {'agree' if agree else 'do not agree'} for every n up to "
        f"{LARGEST}, with {LARGEST} and {products} products there. In double precision the nearest "
        f"integer is first wrong at n = {wrong['products']} by products, {wrong['squaring']} by squaring and "
        f"{wrong['eigenvalues']} by eigenvalues; beyond, the leading digits stay right "
        f"(relative error {rows[-1]['error of eigenvalues, floats']:.1e} at n = {LARGEST})."
    )
    condition = (
        f"The constant cost is that of floating-point numbers of fixed length, and is exact for n < "
        f"{wrong['eigenvalues']} only; F_n has about 0.69 n bits, so exact answers cost more the larger n is, "
        "and squaring in integers is the way to them."
    )
    holds = agree and min(wrong.values()) > LARGEST
    return Claim(
        "fibonacci",
        "Fibonacci numbers by products, squaring and eigenvalues",
        "Powers of F = [[1, 1], [1, 0]] hold the Fibonacci numbers: n products give the n-th, squaring needs O(log n) "
        "products, eigenvalues O(1).",
        measured,
        Verdict.HOLDS if holds else Verdict.CONDITIONALLY if agree else Verdict.FAILS,
        rows,
        {"Relative error of F_n in double precision, where it is not 0, and matrix products needed": _methods_figure},
        {"first_wrong": wrong},
        "" if holds else condition,
    )


def _error(value: float, exact: int) -> float:
    return float(abs(value - exact) / exact) if abs(exact) < 2**53 else abs(float(value) / float(exact) - 1)


def _golden_ratio() -> Claim:
    golden = (1 + 5**0.5) / 2
    small, large = np.linalg.eigvalsh(np.array([[1.0, 1.0], [1.0, 0.0]]))
    share = share_of_smaller(10)
    first = next(n for n in range(1, LARGEST) if share_of_smaller(n) < NEGLIGIBLE)
    rows = [
        {
            "n": n,
            "F_n": by_products(n)[0],
            "φⁿ/√5": golden**n / 5**0.5,
            "−(1 − φ)ⁿ/√5": -((1 - golden) ** n) / 5**0.5,
            "share of the second": share_of_smaller(n),
            "F_n₊₁/F_n − φ": float(by_products(n + 1)[0] / by_products(n)[0]) - golden,
        }
        for n in (1, 2, 4, 10, 20)
    ]
    return Claim(
        "golden-ratio",
        "The golden ratio, and which eigenvalue matters at n = 10",
        "The largest eigenvalue of F is the golden ratio, the limit of the ratio of neighbours; already at n = 10 the "
        "other eigenvalue contributes next to nothing.",
        f"The eigenvalues are {large:.6f} and {small:.6f}; the first differs from (1 + √5)/2 by "
        f"{abs(large - golden):.1g}. At n = 10 the second contributes {rows[3]['−(1 − φ)ⁿ/√5']:.4f} to "
        f"{rows[3]['F_n']}, a share of {share:.1e}; it is below {NEGLIGIBLE:.0%} from n = {first} on. "
        "Its part is below 1/2 for every n, so F_n is φⁿ/√5 rounded to the nearest integer.",
        Verdict.HOLDS if share < NEGLIGIBLE and abs(large - golden) < 4 * np.finfo(float).eps else Verdict.FAILS,
        rows,
        {"What each eigenvalue contributes to F_n": _golden_figure},
    )


def _beginning() -> Claim:
    F = np.array([[1, 1], [1, 0]], dtype=object)
    zeroth = np.linalg.matrix_power(F, 0)
    entries = [sorted(set(np.linalg.matrix_power(F, n).ravel().tolist())) for n in range(5)]
    printed = [int(np.round(13 * 1.618**i)) for i in range(5)]
    exact = [int(by_products(7 + i)[0]) for i in range(20)]
    first = next(i for i, value in enumerate(exact) if round(13 * 1.618**i) != value)
    right = zeroth[0, 1] == 0 and printed == exact[:5] and all(set(e) <= {0, 1, 2, 3, 5} for e in entries)
    return Claim(
        "beginning",
        "The first numbers, and the printed list",
        "F⁰ = I holds F_0 = 0; the entries on the way to F⁴ are 0, 1, 1, 2, 3; 13 × 1.618ⁱ rounds to 13, 21, 34, 55, "
        "89.",
        f"F⁰ has {zeroth[0, 1]} beside the diagonal; the powers 0 to 4 have the entries "
        f"{', '.join(str(value) for value in sorted(set().union(*entries)))}; the list is {printed}. With 1.618 for "
        f"the golden ratio the rounded product is first wrong at i = {first}, where it is {round(13 * 1.618**first)} "
        f"for {exact[first]}.",
        Verdict.HOLDS if right else Verdict.FAILS,
    )


def share_of_smaller(n: int, /) -> float:
    """Return the share of F_n, n ≥ 1, that the eigenvalue of smaller modulus contributes."""
    return abs((1 - (1 + 5**0.5) / 2) ** n / 5**0.5) / int(by_products(n)[0])


def _methods_figure() -> Figure:
    figure = Figure(figsize=(8.2, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    n = np.arange(1, 201)
    exact = [int(by_squaring(int(k))[0]) for k in n]
    methods: tuple[tuple[str, Number, str, str], ...] = (
        ("n products", lambda k: by_products(k, float), COLORS["blue"], "o"),
        ("squaring", lambda k: by_squaring(k, float), COLORS["vermilion"], "s"),
        ("eigenvalues", by_eigenvalues, COLORS["green"], "^"),
    )
    for name, method, color, marker in methods:
        errors = np.array([_error(method(int(k))[0], value) for k, value in zip(n, exact, strict=True)])
        left.plot(n, np.where(errors > 0, errors, np.nan), marker, ms=2.5, color=color, label=name)
    left.plot(n, [0.5 / value for value in exact], color=COLORS["grey"], lw=0.9, label="half a unit of $F_n$")
    left.set(yscale="log", ylim=(1e-17, 1e-13), xlabel="n", ylabel="relative error of $F_n$")
    left.legend(loc="upper right", fontsize=7)
    right.plot(n, n, color=COLORS["blue"], label="n products")
    right.plot(n, [by_squaring(int(k))[1] for k in n], color=COLORS["vermilion"], label="squaring")
    right.plot(n, np.ones_like(n), color=COLORS["green"], label="eigenvalues")
    right.set(yscale="log", xlabel="n", ylabel="matrix products")
    right.legend(loc="upper left")
    return figure


def _golden_figure() -> Figure:
    figure = Figure(figsize=(5.6, 3.3), layout="constrained")
    ax = figure.subplots()
    n, golden = np.arange(1, 21), (1 + 5**0.5) / 2
    ax.plot(n, golden**n / 5**0.5, "o-", ms=3, color=COLORS["blue"], label="φⁿ/√5, φ = 1.618")
    ax.plot(n, (golden - 1) ** n / 5**0.5, "s-", ms=3, color=COLORS["vermilion"], label="|1 − φ|ⁿ/√5, 1 − φ = −0.618")
    ax.axvline(10, color=COLORS["grey"], lw=0.9)
    ax.text(10.2, 2.5e3, "n = 10", color=COLORS["grey"], fontsize=8)
    ax.set(yscale="log", xlabel="n", ylabel="contribution to $F_n$", xticks=range(2, 21, 2))
    ax.legend(loc="upper left")
    return figure
