"""``unitcircle spectrum``: one weight, or several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

MOST_UNITS, MOST_STEPS = 10_000, 1_000_000
SHOWN = 3
"""So many arrays are named of a file that holds no recurrent weight."""


def spectrum(
    weights: Positional[tuple[str, ...]],
    /,
    *,
    n: int = 256,
    steps: int = 64,
    seed: int = 0,
    figure: Path | None = None,
    as_json: Annotated[bool, arg(name="json", help_behavior_hint="")] = False,
) -> int:
    """Print what a recurrent weight does to a signal.

    Args:
        weights: Specifications such as orthogonal or "eigen(modulus=0.95)", or files (.npy, .npz) of square arrays.
        n: Number of units of a weight drawn from a specification.
        steps: The length your task needs, in time steps.
        seed: Seed of the draw.
        figure: Also draw eigenvalues, singular values and norm growth into this file (.png, .svg, .pdf).
        as_json: Print JSON instead of a table.
    """
    from unitcircle import report
    from unitcircle.cli._terminal import console
    from unitcircle.errors import ArgumentError

    for name, value, most in (("--n", n, MOST_UNITS), ("--steps", steps, MOST_STEPS)):
        if value > most:
            raise ArgumentError(name, f"must be at most {most:,}: more would take days", f"{value:,}")
    if not weights:
        remedy = "For instance: unitcircle spectrum orthogonal"
        raise ArgumentError("weights", "must be at least one specification or file", "none", remedy)
    weights_by_name: dict[str, Any] = {}
    for text in weights:
        weights_by_name |= _from_file(Path(text)) if Path(text).is_file() else _from_specification(text, n, seed)
    detail = as_json or len(weights_by_name) == 1
    summaries = [report.weight_summary(name, W, steps=steps, detail=detail) for name, W in weights_by_name.items()]
    path = report.save_figure(report.weight_overview(weights_by_name, steps=steps), figure) if figure else None
    if as_json:
        print(report.to_json({"schema": 1, "weights": [vars(row) for row in summaries]}))
        return 0
    out = console()
    out.print(report.weight_table(summaries))
    if path:
        out.print(f"figure: {path}")
    return 0


def _from_specification(text: str, n: int, seed: int) -> dict[str, Any]:
    from unitcircle import initializers
    from unitcircle.errors import ArgumentError

    if "(" not in text and Path(text).suffix:
        raise ArgumentError("weight", "must be a specification or a file that exists", repr(text))
    init = initializers.parse(text)
    if init.axes != 2:
        raise ArgumentError("weight", "must be a recurrent weight", f"{init}, which is a bias")
    W: Any = init.sample(n, rng=seed)
    return {text: W.toarray() if hasattr(W, "toarray") else W}


def _from_file(path: Path) -> dict[str, Any]:
    from unitcircle import checkpoints
    from unitcircle.errors import ArgumentError

    layers = checkpoints.read(path)
    blocks = {f"{layer.name}[{gate}]": block for layer in layers for gate, block in layer.gates.items()}
    if not blocks:
        found = _shapes_in(path) or "; ".join(str(layers.coverage).splitlines())
        raise ArgumentError("weight", "must be a file with a square array or a recurrent layer", f"{path} ({found})")
    return blocks


def _shapes_in(path: Path) -> str:
    """Return names and shapes of the first arrays of a file; empty where its format does not tell them."""
    from itertools import islice

    from unitcircle import checkpoints
    from unitcircle.errors import CheckpointError

    try:
        tensors = checkpoints.tensors_of_file(path)
        shown = [f"{name} of shape {value.shape}" for name, value in islice(tensors.items(), SHOWN)]
    except CheckpointError:
        return ""
    return ", ".join(shown) + (f" and {len(tensors) - SHOWN} more" if len(tensors) > SHOWN else "")
