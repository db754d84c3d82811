"""The package without JAX, and without flax."""

import subprocess
import sys


def printed(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_without_jax_the_install_line_is_named():
    said = printed(
        "import sys\nsys.modules['jax'] = None\n"
        "from unitcircle.errors import MissingExtraError\n"
        "try:\n    import unitcircle.jax\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    assert said == "unitcircle.jax needs jax, which is not installed: pip install 'unitcircle[jax]'\n"


def test_neither_flax_nor_torch_is_imported():
    said = printed(
        "import sys\nimport unitcircle.jax as ujax\nimport jax.numpy as jnp\n"
        "cell = {name: {'kernel': jnp.ones((2, 2))} for name in 'hi'}\n"
        "made, done = ujax.initialize(cell, recurrent='chain', key=0)\n"
        "print(len(done.filled), {'flax', 'torch', 'keras'} & set(sys.modules))\n"
    )
    assert said == "1 set()\n"
