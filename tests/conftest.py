"""Test settings shared by all: property tests draw the same examples on every run and every machine."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Keras without TensorFlow has to be told what it runs on before it is imported.
os.environ.setdefault("KERAS_BACKEND", "torch")
# A program of JAX that runs once is not worth a second of compiling; also in the processes that tests start.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("fixed")

# A shell lets what it starts in the background ignore Ctrl-C, and so would all processes that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


TESTS = Path(__file__).parent
TRACED = {"checkpoints", "dynamics", "ensembles", "initializers", "recurrence", "spectra"}
"""The tests in whose calls coverage is measured: those of the core."""


def pytest_collection_modifyitems(items):
    traced = [TESTS / place for place in TRACED]
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: an address names it, which differs in the other workers")
        if not any(item.path.is_relative_to(place) for place in traced):
            item.add_marker("no_cover")


@pytest.fixture(autouse=True, scope="module")
def _forgotten_programs():
    """Let JAX forget what it compiled for a file: of no use to the next, and 3 GB of each worker at the end."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session")
def tab(tmp_path_factory):
    """A tab of a headless Chromium, one for all tests; the test is skipped where there is none."""
    from tests.browser import CHROMIUM, browser

    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
