"""Code that runs once is not worth a second of compiling: XLA's optimizations are off while these tests run."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="package")
def quick_compiler():
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
