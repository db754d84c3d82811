"""Keras has no TensorFlow here: the backend is chosen before anything imports it."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
