"""Diagnose, initialize and monitor recurrent networks, so that signals and gradients last over the length you need.

Importing this package imports no framework, no plotting library and not even NumPy: every public name is loaded
when it is first used.
"""

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  (importlib.metadata costs 20 ms)

        return version("unitcircle")
    return _load(name)
