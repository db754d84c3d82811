"""Test settings shared by all: property tests draw the same examples on every run and every machine."""

import os

import pytest
from hypothesis import settings

# Keras without TensorFlow has to be told what it runs on before it is imported.
os.environ.setdefault("KERAS_BACKEND", "torch")

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def tab(tmp_path_factory):
    """A tab of a headless Chromium, one for all tests; the test is skipped where there is none."""
    from tests.browser import CHROMIUM, browser

    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
