"""Laws of random weights: exact, asymptotic, sampled; sizing, comparing a weight with a law, and mean field."""

from unitcircle.ensembles._circular import Circular, Elliptic
from unitcircle.ensembles._comparison import Comparison, Outlier, compare
from unitcircle.ensembles._law import Law
from unitcircle.ensembles._mean_field import MeanField, critical_gain
from unitcircle.ensembles._radius_fit import RadiusFit, fit_radius_law
from unitcircle.ensembles._sampling import sample_radii
from unitcircle.ensembles._singular_values import MarchenkoPastur, QuarterCircle
from unitcircle.ensembles._sizing import std_for_radius
from unitcircle.ensembles._spacing import HaarSpacing
from unitcircle.ensembles._spectral_radius import SpectralRadius
from unitcircle.ensembles._truncated_haar import TruncatedHaar
from unitcircle.ensembles._weight_law import WeightLaw

__all__ = [
    "Circular",
    "Comparison",
    "Elliptic",
    "HaarSpacing",
    "Law",
    "MarchenkoPastur",
    "MeanField",
    "Outlier",
    "QuarterCircle",
    "RadiusFit",
    "SpectralRadius",
    "TruncatedHaar",
    "WeightLaw",
    "compare",
    "critical_gain",
    "fit_radius_law",
    "sample_radii",
    "std_for_radius",
]
