"""Names of activations with the constants that ONNX gives them: ``HardSigmoid`` with alpha 0.3 and beta 0.5."""

from __future__ import annotations

from collections.abc import Sequence

# Name -> ours, and alpha and beta where they are left out; None: there is no default, or no such constant.
_CONSTANTS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "affine": ("affine", (1.0, 0.0)),
    "elu": ("elu", (1.0,)),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "leakyrelu": ("leaky_relu", (0.01,)),
    "scaledtanh": ("scaled_tanh", (None, None)),
    "thresholdedrelu": ("thresholded_relu", (1.0,)),
}
_NAMED: dict[tuple[str, tuple[float, ...]], str] = {
    ("affine", (1.0, 0.0)): "linear",
    ("hard_sigmoid", (0.2, 0.5)): "hard_sigmoid",
    ("hard_sigmoid", (0.166667, 0.5)): "hard_sigmoid6",
    ("elu", (1.0,)): "elu",
    ("leaky_relu", (0.01,)): "leaky_relu",
    ("scaled_tanh", (1.0, 1.0)): "tanh",
}


def named(function: str, alpha: float | None = None, beta: float | None = None, /) -> str:
    """Return our name of an activation and its constants, and the bare name where a constant is not known."""
    name, defaults = _CONSTANTS.get(function.lower(), (function.lower(), ()))
    given = (alpha, beta)[: len(defaults)]
    values = [default if value is None else value for value, default in zip(given, defaults, strict=True)]
    if not values or any(value is None for value in values):
        return function.lower()
    rounded = tuple(float(f"{value:.6g}") for value in values if value is not None)
    return _NAMED.get((name, rounded), f"{name}({', '.join(f'{value:.6g}' for value in rounded)})")


def named_in_order(functions: Sequence[str], alphas: Sequence[float], betas: Sequence[float], /) -> list[str]:
    """Return our names of the activations of a node, whose constants stand in two lists in their order."""
    columns = [_in_order(functions, values, place) for place, values in enumerate((alphas, betas))]
    if any(column is None for column in columns):
        # Which constant belongs to which function is not clear: a name that is not known.
        return [f"{name}(?)" if name.lower() in _CONSTANTS else name.lower() for name in functions]
    return [named(name, *pair) for name, *pair in zip(functions, *(column or [] for column in columns), strict=True)]


def _in_order(functions: Sequence[str], values: Sequence[float], place: int) -> Sequence[float | None] | None:
    needs = [len(_CONSTANTS.get(name.lower(), ("", ()))[1]) > place for name in functions]
    if not values:
        return [None] * len(functions)
    if len(values) == len(functions):
        return [value if need else None for value, need in zip(values, needs, strict=True)]
    if len(values) == sum(needs):
        rest = iter(values)
        return [next(rest) if need else None for need in needs]
    return None
