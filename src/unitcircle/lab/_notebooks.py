"""The notebooks of the lab and where they are."""

from __future__ import annotations

from pathlib import Path

from unitcircle.errors import UnknownNameError

FOLDER = Path(__file__).parent / "notebooks"
NOTEBOOKS = {
    "ensembles": "random weights: eigenvalues, singular values, powers, the law of the spectral radius",
    "activations": "activation and input scale: states in the hypercube, the leading exponent and mean field",
    "depth": "the gradient through a deep stack, with its bound",
    "powers": "Fibonacci three ways, Jordan blocks, transients and pseudospectra",
    "gates": "what an LSTM or GRU remembers: forget bias, Chrono, length",
    "file": "the gates of a file of yours",
}
"""Topic → what it is about."""


def notebook(topic: str, /) -> Path:
    """Return the path of a notebook.

    Parameters
    ----------
    topic
        A key of :data:`NOTEBOOKS`.

    Returns
    -------
    pathlib.Path
        A Python file that marimo opens, and that runs as a script.

    Raises
    ------
    UnknownNameError
        There is no such topic.

    Examples
    --------
    >>> notebook("gates").name
    'gates.py'
    """
    if topic not in NOTEBOOKS:
        raise UnknownNameError("topic", topic, NOTEBOOKS)
    return FOLDER / f"{topic}.py"
