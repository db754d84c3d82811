"""Measurements of one weight, or of a batch of weights."""

__all__ = [
    "Asymptotics",
    "AsymptoticsResult",
    "JordanChevalley",
    "Kreiss",
    "KreissStatus",
    "KrylovBasis",
    "Pseudospectrum",
    "RadiusEstimate",
    "RadiusStatus",
    "Spectrum",
    "asymptotics",
    "departure_from_normality",
    "eigenvalues",
    "eigenvector_condition",
    "horizon",
    "jordan_chevalley",
    "kreiss_constant",
    "matrix_power",
    "numerical_radius",
    "polar_factor",
    "power_norm",
    "power_norms",
    "pseudospectrum",
    "spectral_radius",
    "spectrum",
    "tangent_share",
]


from unitcircle.spectra._asymptotics import Asymptotics, AsymptoticsResult, asymptotics
from unitcircle.spectra._eigenvalues import eigenvalues
from unitcircle.spectra._horizon import horizon
from unitcircle.spectra._jordan_chevalley import JordanChevalley, jordan_chevalley
from unitcircle.spectra._kreiss import Kreiss, KreissStatus, kreiss_constant
from unitcircle.spectra._krylov import KrylovBasis
from unitcircle.spectra._normality import departure_from_normality, eigenvector_condition
from unitcircle.spectra._numerical_radius import numerical_radius
from unitcircle.spectra._power import matrix_power, power_norm, power_norms
from unitcircle.spectra._pseudospectrum import Pseudospectrum, pseudospectrum
from unitcircle.spectra._radius import RadiusEstimate, RadiusStatus, spectral_radius
from unitcircle.spectra._spectrum import Spectrum, spectrum
from unitcircle.spectra._tangent import polar_factor, tangent_share
