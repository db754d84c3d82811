"""The same checks under the other backend, in a process of its own, and what an import without any backend says."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

HERE = Path(__file__).parent
FILES = [str(HERE / name) for name in ("test_initializer.py", "test_initialize.py")]
# What touches a backend. JAX compiles every layer that is built, so that all tests would take a minute.
# Drawing is NumPy's everywhere: of the initializers two tell whether what is drawn arrives.
CHECKS = (
    "((promise or in_our_convention) and (orthogonal or eigen) and not svd and not float16)"
    " or bias_of or anew or numpys or save_and_load or (born and LSTM and not mixed) or (every_gate and lstm-float32)"
    " or (trains and gru)"
)


def run(*arguments, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "KERAS_"))}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=kept | variables, cwd=HERE.parents[1], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_same_holds_under_jax():
    pytest.importorskip("jax")
    assert keras.backend.backend() == "torch"
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHECKS, *FILES]
    done = run(*command, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_a_missing_backend_is_named(tmp_path):
    done = run("-c", "import unitcircle.keras", KERAS_BACKEND="tensorflow", KERAS_HOME=str(tmp_path))
    if done.returncode == 0:
        pytest.skip("TensorFlow is installed")
    *_, error, note = done.stderr.strip().splitlines()
    assert error == "ModuleNotFoundError: No module named 'tensorflow'"
    assert note == (
        "unitcircle.keras needs a backend of Keras that is installed: set the environment variable KERAS_BACKEND to "
        "torch or jax before Keras is imported."
    )


def test_missing_keras_is_named():
    done = run("-c", "import sys; sys.modules['keras'] = None; import unitcircle.keras")
    last = done.stderr.strip().splitlines()[-1]
    assert "MissingExtraError: unitcircle.keras needs keras" in last
    assert "unitcircle[keras]" in last
