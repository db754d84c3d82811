"""Keras 3 on any backend: initializers for new layers and for built models, gate by gate.

``keras.layers.LSTM(64, recurrent_initializer=Initializer("orthogonal"))`` draws each gate block on its own and is saved
with the model; ``initialize_(model, recurrent="orthogonal", bias="chrono(max_steps=784)")`` fills a built model and
returns certificates; ``unitcircle.diagnose(to_layers(model))`` examines its weights.
"""

from unitcircle.errors import MissingExtraError

try:
    import keras as _keras
except ImportError as error:
    if error.name == "keras":
        raise MissingExtraError("unitcircle.keras", "keras", "keras") from error
    error.add_note(
        "unitcircle.keras needs a backend of Keras that is installed: set the environment variable KERAS_BACKEND to "
        "torch or jax before Keras is imported."
    )
    raise

from unitcircle.keras._initialize import Filled as Filled
from unitcircle.keras._initialize import Initialization as Initialization
from unitcircle.keras._initialize import initialize_ as initialize_
from unitcircle.keras._initializer import Initializer as Initializer
from unitcircle.keras._layers import to_layers as to_layers

__all__ = ["Filled", "Initialization", "Initializer", "initialize_", "to_layers"]

del _keras
