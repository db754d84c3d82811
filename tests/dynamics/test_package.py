"""The package without torch."""

import subprocess
import sys


def test_without_torch_the_install_line_is_named():
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "from unitcircle.errors import MissingExtraError\n"
        "try:\n    import unitcircle.dynamics\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "measuring live networks needs torch" in output
    assert "pip install 'unitcircle[torch]'" in output
