"""The Keras callback under real training; a backend is chosen at import, so each has a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import keras
from unitcircle.monitor import KerasCallback

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((64, 6, 1)).astype("float32")
model = keras.Sequential([keras.Input((6, 1)), keras.layers.GRU(8, name="gru"),
    keras.layers.Dense(8, name="mix"), keras.layers.Dense(1)])
model.compile("sgd", "mse")
seen = []

class Watch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        W = np.asarray(self.model.layers[0].cell.recurrent_kernel)[:, 8:16].T  # r, in the order z r h
        seen.append(float(np.abs(np.linalg.eigvals(W.astype(float))).max()))

callback = KerasCallback(every=3, overhead=1.0, sinks=[sys.argv[1]])
model.fit(x, x.sum(1), batch_size=8, epochs=2, verbose=0, callbacks=[callback, Watch()])
kernel = np.asarray(model.layers[1].kernel)
blocks = callback.monitor._weights.blocks()
assert (blocks["mix/kernel"].value == kernel.T).all(), list(blocks)
dense = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, name="only")])
dense.compile("sgd", "mse")
alone = KerasCallback(every=1, overhead=1.0, on_finding="ignore")
dense.fit(np.ones((8, 8)), np.ones((8, 8)), verbose=0, callbacks=[alone])
none = KerasCallback(every=1, overhead=1.0, square_limit=0)
try:
    dense.fit(np.ones((8, 8)), np.ones((8, 8)), verbose=0, callbacks=[none])
except ValueError as error:
    refused = str(error)
resumed = KerasCallback(every=3, overhead=1.0)
resumed.load_state_dict(callback.state_dict())
model.fit(x, x.sum(1), batch_size=8, epochs=1, verbose=0, callbacks=[resumed])
stopped = KerasCallback(every=1, overhead=1.0, on_finding="stop")
run = model.fit(x, x.sum(1) * np.nan, batch_size=8, epochs=4, verbose=0, callbacks=[stopped])
counted = {}
for name, optimizer, options in (
    ("accumulated", keras.optimizers.SGD(0.1, gradient_accumulation_steps=4), {}),
    ("together", keras.optimizers.SGD(0.1), {"steps_per_execution": 4 if keras.backend.backend() == "jax" else 1}),
):
    several = keras.Sequential([keras.Input((6, 1)), keras.layers.SimpleRNN(4, name="rnn"), keras.layers.Dense(1)])
    several.compile(optimizer, "mse", **options)
    watch = KerasCallback(every=1, overhead=1.0)
    several.fit(x, x.sum(1), batch_size=8, epochs=2, verbose=0, callbacks=[watch])
    counted[name] = [[step, numbers.get("rnn/update")] for step, numbers in watch.history]
    counted[name + " steps"] = int(several.optimizer.iterations)
misspelt = ""
try:
    KerasCallback(evry=5)
except ValueError as error:
    misspelt = str(error)
print(json.dumps({
    "counted": counted,
    "misspelt": misspelt,
    "backend": keras.backend.backend(),
    "history": [[step, numbers] for step, numbers in callback.history],
    "seen": seen,
    "roles": {name: block.role for name, block in blocks.items()},
    "alone": sorted(alone.history[0][1]),
    "refused": refused,
    "resumed": [[step, numbers] for step, numbers in resumed.history],
    "epochs": len(run.epoch),
    "torch": "torch" in sys.modules,
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_weights_are_watched_as_they_train(backend, tmp_path):
    if any(importlib.util.find_spec(name) is None for name in ("keras", backend)):
        pytest.skip(f"Keras or {backend} is not installed")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run.jsonl")],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["backend"] == backend
    # On JAX it needs no torch.
    assert result["torch"] == (backend == "torch")
    assert [step for step, _ in result["history"]] == [0, 3, 6, 9, 12, 15]
    for step, numbers in result["history"]:
        # Both in double precision, from the same 8 × 8 entries: equal here.
        assert numbers["gru.r/radius"] == pytest.approx(
            result["seen"][step], rel=100 * 8 * sys.float_info.epsilon, abs=0
        )
        assert numbers["loss"] > 0
        assert numbers["mix/kernel/norm"] > 0
    assert result["roles"] == {"gru.z": "gate", "gru.r": "gate", "gru.n": "gate", "mix/kernel": "square"}
    assert "only/kernel/radius" in result["alone"]
    assert "a recurrent layer, or a square weight that trains" in result["refused"]
    drifts = [numbers["gru.n/drift"] for _, numbers in result["history"]]
    assert drifts == sorted(drifts)
    assert drifts[-1] > drifts[0]
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 3, 6, 9, 12, 15]
    # The state of 16 steps: the next one measured is 18, and drift goes on from the first.
    assert [step for step, _ in result["resumed"]] == [18, 21]
    assert result["resumed"][0][1]["gru.n/drift"] > drifts[-1]
    # 16 batches: 4 steps of the optimizer, or 16 of which 4 are seen; each changed the weights.
    counted = result["counted"]
    assert [step for step, _ in counted["accumulated"]] == list(range(counted["accumulated steps"])) == [0, 1, 2, 3]
    # torch takes one step an execution.
    assert [step for step, _ in counted["together"]] == ([3, 7, 11, 15] if backend == "jax" else list(range(16)))
    assert counted["together steps"] == 16
    for name in ("accumulated", "together"):
        assert all(update > 0 for _, update in counted[name][1:])
    assert "Did you mean 'every'" in result["misspelt"]
    # A loss that is not finite ends the second training in its first epoch.
    assert result["epochs"] == 1
    assert "UC305" in run.stderr
