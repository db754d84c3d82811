"""Test settings shared by all: property tests draw the same examples on every run and every machine."""

import os

from hypothesis import settings

# Keras without TensorFlow has to be told what it runs on before it is imported.
os.environ.setdefault("KERAS_BACKEND", "torch")

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("fixed")
