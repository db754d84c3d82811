"""A real rotation with complex eigenvalues."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unitcircle.report import COLORS
from unitcircle.spectra import eigenvalues
from unitcircle_reproduction._claim import Claim, Verdict

STEPS = 64
EPS = float(np.finfo(float).eps)


def rotation(angle: float, modulus: float = 1.0, /) -> np.ndarray:
    """Return the rotation of the plane by an angle (rad), times a modulus, ``(2, 2)``."""
    c, s = np.cos(angle), np.sin(angle)
    return modulus * np.array([[c, -s], [s, c]])


def claim() -> Claim:
    """Measure eigenvalues and powers of rotations by many angles."""
    angles = np.linspace(0, np.pi, 181)
    of_values, of_powers, of_lengths = [], [], []
    for angle in angles:
        R = rotation(float(angle))
        values: Any = eigenvalues(R)
        of_values.append(np.abs(values[np.argsort(values.imag)] - np.exp([-1j * angle, 1j * angle])).max())
        power = np.linalg.matrix_power(R, STEPS)
        of_powers.append(np.abs(power - rotation(float(STEPS * angle))).max())
        of_lengths.append(abs(np.linalg.norm(power, 2) - 1))
    worst = {"eigenvalue": max(of_values), "power": max(of_powers), "length": max(of_lengths)}
    # At θ = 0 and π the eigenvalues are a double one: of a normal matrix, so they are as exact as the others.
    exact = worst["eigenvalue"] <= 8 * EPS and max(worst["power"], worst["length"]) <= 8 * STEPS * EPS
    rows = [
        {
            "modulus": modulus,
            "eigenvalues": f"{modulus * np.cos(0.3):.4f} ± {modulus * np.sin(0.3):.4f} i",
            f"length after {STEPS} steps": float(
                np.linalg.norm(np.linalg.matrix_power(rotation(0.3, modulus), STEPS), 2)
            ),
        }
        for modulus in (0.97, 1.0, 1.03)
    ]
    return Claim(
        "rotation",
        "A rotation: real matrix, complex eigenvalues",
        "A rotation matrix has complex eigenvalues of modulus 1: repeated multiplication turns a vector and neither "
        "shrinks nor stretches it.",
        f"Over {len(angles)} angles from 0 to π the computed eigenvalues differ from cos θ ± i sin θ by at most "
        f"{worst['eigenvalue']:.0e}, the {STEPS}th power from the rotation by {STEPS} θ by at most "
        f"{worst['power']:.0e}, and its norm from 1 by {worst['length']:.0e}: rounding. A modulus of 0.97 or 1.03 "
        f"leaves {rows[0][f'length after {STEPS} steps']:.2f} or {rows[2][f'length after {STEPS} steps']:.2f} of the "
        "length.",
        Verdict.HOLDS if exact else Verdict.FAILS,
        rows,
        {f"Eigenvalues m e^(±iθ) for θ = 0.3, and {STEPS} steps of the point (1, 0)": _figure},
        worst,
    )


def _figure() -> Figure:
    figure = Figure(figsize=(8.2, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    circle: Any = np.exp(1j * np.linspace(0, 2 * np.pi, 361))
    for ax in (left, right):
        ax.plot(circle.real, circle.imag, color=COLORS["grey"], lw=0.9)
        ax.set_aspect("equal")
    for modulus, color, marker in ((0.97, "blue", "o"), (1.0, "green", "s"), (1.03, "vermilion", "^")):
        label, style = f"m = {modulus:g}", {"color": COLORS[color], "marker": marker}
        values: Any = eigenvalues(rotation(0.3, modulus))
        left.plot(values.real, values.imag, ls="", ms=5, label=label, **style)
        path: Any = (modulus * np.exp(0.3j)) ** np.arange(STEPS + 1)
        right.plot(path.real, path.imag, ms=2, lw=0.7, label=label, **style)
    left.set(xlabel="Re λ", ylabel="Im λ", title="eigenvalues", xlim=(-1.15, 1.15), ylim=(-1.15, 1.15))
    right.set(xlabel="first coordinate", ylabel="second coordinate", title=f"a point over {STEPS} steps")
    right.set(xlim=(-6.9, 6.9), ylim=(-6.9, 6.9))
    left.legend(loc="center")
    right.legend(loc="upper left")
    return figure
