"""Where a layer came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from unitcircle._array import HALF_EPS


@dataclass(frozen=True)
class Source:
    """Where a layer came from.

    Attributes
    ----------
    file
        The file, or empty for a layer made in memory.
    tensors
        Names of the tensors it was assembled from, the recurrent weight first.
    layout
        The convention they were stored in: ``"torch"``, ``"keras"``, ``"keras-cudnn"``, ``"onnx"``, ``"flax"``,
        ``"flax-tree"`` (variables without a module), ...
    dtype
        Element type of the stored recurrent weight, ``"bfloat16"`` included, which NumPy cannot name.
    """

    file: str = ""
    tensors: tuple[str, ...] = ()
    layout: str = ""
    dtype: str = ""

    @property
    def eps(self) -> float:
        """Distance from 1 to the next number of the stored element type; that of float32 where it is another one."""
        return _EPS.get(self.dtype, 2.0**-23)


_EPS = HALF_EPS | {"float64": 2.0**-52}


def layer_options(options: dict[str, Any], layout: str, weight: Any, /) -> dict[str, Any]:
    """Return the options of a layer with a name, and with a source that names layout and element type."""
    source: Source = options.get("source", Source())
    source = replace(source, layout=source.layout or layout, dtype=source.dtype or dtype_name(weight))
    defaults: dict[str, Any] = {"name": ""}
    return defaults | options | {"source": source}


def dtype_name(weight: Any, /) -> str:
    """Return the bare name of a weight's element type, in any array library; of a plain list, ``"float64"``."""
    dtype = getattr(weight, "dtype", None)
    return "float64" if dtype is None else str(getattr(dtype, "name", dtype)).rpartition(".")[2]
