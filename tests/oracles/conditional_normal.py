"""The value of a kept entry from its definition, one number at a time: Φ⁻¹(Φ(z)/p) where Φ(z) < p, else 0."""

from statistics import NormalDist

import numpy as np


def thinned(z, density):
    law = NormalDist()
    kept = [law.inv_cdf(law.cdf(x) / density) if law.cdf(x) < density else 0.0 for x in np.ravel(z)]
    return np.reshape(kept, np.shape(z))
