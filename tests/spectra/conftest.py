"""The array libraries a measurement must take and give back."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture(params=["numpy", "torch", "jax", "array_api_strict"])
def library(request) -> tuple[str, Callable]:
    """A library's name, and its function from NumPy arrays to its own (JAX makes doubles single here)."""
    name = request.param
    if name == "numpy":
        return name, np.asarray
    module = pytest.importorskip("jax.numpy" if name == "jax" else name)
    return name, module.asarray
