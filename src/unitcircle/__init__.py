"""Tell whether a network can carry a signal and a gradient over the length you need.

Importing this package imports no framework, no plotting library and not even NumPy: every public name is loaded
when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unitcircle import checkpoints as checkpoints
    from unitcircle import diagnosis as diagnosis
    from unitcircle import dynamics as dynamics
    from unitcircle import ensembles as ensembles
    from unitcircle import errors as errors
    from unitcircle import experiments as experiments
    from unitcircle import initializers as initializers
    from unitcircle import jax as jax
    from unitcircle import keras as keras
    from unitcircle import monitor as monitor
    from unitcircle import recurrence as recurrence
    from unitcircle import report as report
    from unitcircle import spectra as spectra
    from unitcircle import torch as torch
    from unitcircle.checkpoints import read as read
    from unitcircle.diagnosis import Diagnosis as Diagnosis
    from unitcircle.diagnosis import Finding as Finding
    from unitcircle.diagnosis import Severity as Severity
    from unitcircle.diagnosis import diagnose as diagnose
    from unitcircle.recurrence import RecurrentLayer as RecurrentLayer
    from unitcircle.spectra import Asymptotics as Asymptotics
    from unitcircle.spectra import Spectrum as Spectrum
    from unitcircle.spectra import asymptotics as asymptotics
    from unitcircle.spectra import departure_from_normality as departure_from_normality
    from unitcircle.spectra import eigenvalues as eigenvalues
    from unitcircle.spectra import eigenvector_condition as eigenvector_condition
    from unitcircle.spectra import horizon as horizon
    from unitcircle.spectra import kreiss_constant as kreiss_constant
    from unitcircle.spectra import matrix_power as matrix_power
    from unitcircle.spectra import numerical_radius as numerical_radius
    from unitcircle.spectra import power_norms as power_norms
    from unitcircle.spectra import pseudospectrum as pseudospectrum
    from unitcircle.spectra import spectral_radius as spectral_radius
    from unitcircle.spectra import spectrum as spectrum

_MODULES = (
    "checkpoints",
    "diagnosis",
    "dynamics",
    "ensembles",
    "errors",
    "experiments",
    "initializers",
    "jax",
    "keras",
    "monitor",
    "recurrence",
    "report",
    "spectra",
    "torch",
)
_HOME = {
    "Asymptotics": "spectra",
    "Diagnosis": "diagnosis",
    "Finding": "diagnosis",
    "RecurrentLayer": "recurrence",
    "Severity": "diagnosis",
    "Spectrum": "spectra",
    "asymptotics": "spectra",
    "departure_from_normality": "spectra",
    "diagnose": "diagnosis",
    "eigenvalues": "spectra",
    "eigenvector_condition": "spectra",
    "horizon": "spectra",
    "kreiss_constant": "spectra",
    "matrix_power": "spectra",
    "numerical_radius": "spectra",
    "power_norms": "spectra",
    "pseudospectrum": "spectra",
    "read": "checkpoints",
    "spectral_radius": "spectra",
    "spectrum": "spectra",
}

__all__ = [*_MODULES, *_HOME, "__version__"]  # noqa: PLE0604, F822  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"unitcircle.{name}")
    if name in _HOME:
        value = getattr(import_module(f"unitcircle.{_HOME[name]}"), name)
    elif name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  (importlib.metadata costs 20 ms)

        value = version("unitcircle")
    else:
        message = f"module 'unitcircle' has no attribute {name!r}"
        raise AttributeError(message)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
