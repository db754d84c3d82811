"""Eigenvalues in the complex plane as an image."""

from __future__ import annotations

import numpy as np

SIZE = 256
CIRCLE = (138, 138, 138)
DOT = (0, 114, 178)


def eigenvalue_image(eigenvalues: np.ndarray, /, *, reach: float | None = None) -> np.ndarray:
    """Return an RGB image ``(256, 256, 3)`` of eigenvalues ``(n,)`` and the unit circle."""
    # Drawn in NumPy: a plotting library would take longer than the measurements.
    reach = max(1.0, float(np.abs(eigenvalues).max(initial=0.0))) * 1.08 if reach is None else reach
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 8 * SIZE))
    _draw(image, circle, reach, CIRCLE, ((0, 0),))
    around = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1))
    _draw(image, eigenvalues, reach, DOT, around if len(eigenvalues) <= SIZE else ((0, 0), (0, 1), (1, 0), (1, 1)))
    return image


def _draw(
    image: np.ndarray, points: np.ndarray, reach: float, colour: tuple[int, ...], offsets: tuple[tuple[int, int], ...]
) -> None:
    scale = (SIZE - 1) / (2 * reach)
    columns = np.round((np.real(points) + reach) * scale).astype(int)
    rows = np.round((reach - np.imag(points)) * scale).astype(int)
    for i, j in offsets:
        inside = (rows + i >= 0) & (rows + i < SIZE) & (columns + j >= 0) & (columns + j < SIZE)
        image[rows[inside] + i, columns[inside] + j] = colour
