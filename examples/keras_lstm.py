"""Train a Keras LSTM to remember its first input for 40 steps of noise, from orthogonal gates and chrono biases.

pip install 'unitcircle[keras,torch]'
python examples/keras_lstm.py                        # 10 seconds on one core, Keras's import included
KERAS_BACKEND=jax python examples/keras_lstm.py
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

import unitcircle as uc
from unitcircle.keras import Initializer, initialize_, to_layers

STEPS = 40
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).standard_normal((512, STEPS, 1)).astype("float32")
x[:, 1:] *= 0.1
y = (x[:, 0] > 0).astype("float32")
lstm = keras.layers.LSTM(32, recurrent_initializer=Initializer("orthogonal", seed=0))
model = keras.Sequential([keras.Input((STEPS, 1)), lstm, keras.layers.Dense(1)])
print(initialize_(model, bias=f"chrono(max_steps={STEPS})", rng=0))
print(uc.diagnose(to_layers(model), steps=STEPS))
loss = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(0.01), loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
accuracy = model.fit(x, y, batch_size=64, epochs=6, verbose=0).history["binary_accuracy"]
print(f"accuracy {accuracy[0]:.2f} -> {accuracy[-1]:.2f}")
