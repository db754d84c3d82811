"""Measurements of one weight, or of a batch of weights."""

__all__ = [
    "Asymptotics",
    "AsymptoticsResult",
    "Kreiss",
    "KreissStatus",
    "Pseudospectrum",
    "RadiusEstimate",
    "RadiusStatus",
    "Spectrum",
    "asymptotics",
    "departure_from_normality",
    "eigenvalues",
    "eigenvector_condition",
    "horizon",
    "kreiss_constant",
    "matrix_power",
    "numerical_radius",
    "power_norms",
    "pseudospectrum",
    "spectral_radius",
    "spectrum",
]

from unitcircle.spectra._asymptotics import Asymptotics as Asymptotics
from unitcircle.spectra._asymptotics import AsymptoticsResult as AsymptoticsResult
from unitcircle.spectra._asymptotics import asymptotics as asymptotics
from unitcircle.spectra._eigenvalues import eigenvalues as eigenvalues
from unitcircle.spectra._horizon import horizon as horizon
from unitcircle.spectra._kreiss import Kreiss as Kreiss
from unitcircle.spectra._kreiss import KreissStatus as KreissStatus
from unitcircle.spectra._kreiss import kreiss_constant as kreiss_constant
from unitcircle.spectra._normality import departure_from_normality as departure_from_normality
from unitcircle.spectra._normality import eigenvector_condition as eigenvector_condition
from unitcircle.spectra._numerical_radius import numerical_radius as numerical_radius
from unitcircle.spectra._power import matrix_power as matrix_power
from unitcircle.spectra._power import power_norms as power_norms
from unitcircle.spectra._pseudospectrum import Pseudospectrum as Pseudospectrum
from unitcircle.spectra._pseudospectrum import pseudospectrum as pseudospectrum
from unitcircle.spectra._radius import RadiusEstimate as RadiusEstimate
from unitcircle.spectra._radius import RadiusStatus as RadiusStatus
from unitcircle.spectra._radius import spectral_radius as spectral_radius
from unitcircle.spectra._spectrum import Spectrum as Spectrum
from unitcircle.spectra._spectrum import spectrum as spectrum
