"""Monitor a Keras 3 model on any backend; Keras shows callbacks the weights, not the gradients.

The run is so short that half of its time may go into measuring (overhead=0.5; the default is 1 %).

pip install 'unitcircle[keras,torch]'
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

import unitcircle as uc

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((512, 20, 1))
model = keras.Sequential([keras.Input((20, 1)), keras.layers.GRU(32, name="gru"), keras.layers.Dense(1)])
model.compile("adam", "mse")
callback = uc.monitor.KerasCallback(every=10, overhead=0.5, sinks=["out/keras.jsonl"])
model.fit(x, x.mean(1), batch_size=16, epochs=1, verbose=0, callbacks=[callback])
step, numbers = callback.history[-1]
print(f"step {step}: ρ of the reset gate {numbers['gru.r/radius']:.3f}")
print(callback.monitor.report())
