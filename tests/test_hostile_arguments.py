"""Every public function of a weight, a law or an initializer answers any argument or refuses it in the house's way."""

import warnings

import numpy as np
import pytest
from tests.hostile_values import NUMBERS, arrays

from unitcircle import ensembles, initializers, spectra
from unitcircle.errors import UnitcircleError
from unitcircle.report import radius_summary

W = np.array([[0.5, 0.2], [0.1, 0.4]])
LAW = ensembles.Circular(4, 0.5)
RADII = np.linspace(1.0, 2.0, 40)
INITIALIZERS = {
    name: kind()
    for name in initializers.__all__
    if isinstance(kind := getattr(initializers, name), type)
    and issubclass(kind, initializers.Initializer)
    and "name" in vars(kind)
}

OF_AN_ARRAY = {
    name: getattr(spectra, name)
    for name in (
        "asymptotics",
        "departure_from_normality",
        "eigenvalues",
        "eigenvector_condition",
        "kreiss_constant",
        "numerical_radius",
        "polar_factor",
        "power_norms",
        "spectral_radius",
        "spectrum",
    )
}
OF_AN_ARRAY |= {
    "horizon": lambda W: spectra.horizon(W, 10.0),
    "horizon up": lambda W: spectra.horizon(W, 10.0, direction="up"),
    "horizon down": lambda W: spectra.horizon(W, 10.0, direction="down"),
    "matrix_power": lambda W: spectra.matrix_power(W, 3),
    "matrix_power of 0": lambda W: spectra.matrix_power(W, 0),
    "matrix_power eigen": lambda W: spectra.matrix_power(W, 3, method="eigen"),
    "power_norm": lambda W: spectra.power_norm(W, 200),
    "power_norms frobenius": lambda W: spectra.power_norms(W, 200, norm="frobenius"),
    "pseudospectrum": lambda W: spectra.pseudospectrum(W, 3),
    "pseudospectrum grid": lambda grid: spectra.pseudospectrum(np.eye(2), grid),
    "spectral_radius of few products": lambda W: spectra.spectral_radius(W, max_cost=8),
    "text of spectrum": lambda W: str(spectra.spectrum(W)),
    "tangent_share": lambda W: spectra.tangent_share(W, np.eye(2)),
    "tangent_share of any": lambda W: spectra.tangent_share(np.ones((2, 2)), W),
    "KrylovBasis": lambda W: spectra.KrylovBasis(W, 2),
    "fit_radius_law": ensembles.fit_radius_law,
    "compare": lambda W: ensembles.compare(W, LAW, draws=99),
    "SpectralRadius.cdf": ensembles.SpectralRadius(4).cdf,
    "SpectralRadius.ppf": ensembles.SpectralRadius(4).ppf,
    "SpectralRadius.logpdf": ensembles.SpectralRadius(5).logpdf,
    "SpectralRadius.logsf of complex": ensembles.SpectralRadius(4, field="complex").logsf,
    "SpectralRadius.sf of many": ensembles.SpectralRadius(20_000).sf,
    "SpectralRadius.pdf of many": ensembles.SpectralRadius(20_000, field="complex").pdf,
    "Circular.pdf": LAW.pdf,
    "Circular.isf": LAW.isf,
}
OF_AN_ARRAY |= {
    f"{kind.__name__}.fitted": kind.fitted
    for kind in (ensembles.Circular, ensembles.Elliptic, ensembles.MarchenkoPastur, ensembles.QuarterCircle)
}
OF_AN_ARRAY |= {f"{name}(z)": init for name, init in INITIALIZERS.items()}
OF_AN_ARRAY |= {f"{name}.certificate": init.certificate for name, init in INITIALIZERS.items()}

OF_A_NUMBER = {
    "horizon factor": lambda x: spectra.horizon(W, x),
    "horizon direction": lambda x: spectra.horizon(W, 2.0, direction=x),
    "power_norm t": lambda x: spectra.power_norm(W, x),
    "power_norms steps": lambda x: spectra.power_norms(W, x),
    "power_norms norm": lambda x: spectra.power_norms(W, 2, norm=x),
    "matrix_power t": lambda x: spectra.matrix_power(W, x),
    "matrix_power method": lambda x: spectra.matrix_power(W, 2, method=x),
    "pseudospectrum grid": lambda x: spectra.pseudospectrum(W, x),
    "pseudospectrum epsilon": lambda x: spectra.pseudospectrum(W, 2).contains(x),
    "spectral_radius tol": lambda x: spectra.spectral_radius(W, tol=x),
    "spectral_radius rng": lambda x: spectra.spectral_radius(W, rng=x),
    "spectral_radius max_cost": lambda x: spectra.spectral_radius(W, max_cost=x),
    "KrylovBasis steps": lambda x: spectra.KrylovBasis(np.ones(3), x),
    "KrylovBasis w": lambda x: spectra.KrylovBasis(np.ones(2), 2).extend(x),
    "SpectralRadius n": ensembles.SpectralRadius,
    "SpectralRadius std": lambda x: ensembles.SpectralRadius(4, x),
    "SpectralRadius summary": lambda x: radius_summary(ensembles.SpectralRadius(4, x)),
    "SpectralRadius moments": lambda x: ensembles.SpectralRadius(4, x).stats("mvsk"),
    "SpectralRadius field": lambda x: ensembles.SpectralRadius(4, field=x),
    "rvs random_state": lambda x: ensembles.SpectralRadius(4).rvs(2, random_state=x),
    "rvs size": lambda x: ensembles.SpectralRadius(4).rvs(x),
    "stats moments": lambda x: ensembles.SpectralRadius(4).stats(x),
    "interval confidence": LAW.interval,
    "Circular n": lambda x: ensembles.Circular(x, 1.0),
    "Circular std": lambda x: ensembles.Circular(4, x),
    "Circular draw_weight": LAW.draw_weight,
    "Elliptic correlation": lambda x: ensembles.Elliptic(4, 1.0, x),
    "HaarSpacing n": ensembles.HaarSpacing,
    "MarchenkoPastur rows": lambda x: ensembles.MarchenkoPastur(x, 4, 1.0),
    "MarchenkoPastur columns": lambda x: ensembles.MarchenkoPastur(4, x, 1.0),
    "QuarterCircle std": lambda x: ensembles.QuarterCircle(4, x),
    "TruncatedHaar n": lambda x: ensembles.TruncatedHaar(x, 8),
    "TruncatedHaar m": lambda x: ensembles.TruncatedHaar(2, x),
    "compare law": lambda x: ensembles.compare(W, x),
    "compare level": lambda x: ensembles.compare(W, LAW, level=x),
    "compare draws": lambda x: ensembles.compare(W, LAW, level=0.5, draws=x),
    "compare rng": lambda x: ensembles.compare(W, LAW, draws=99, rng=x),
    "fit_radius_law n": lambda x: ensembles.fit_radius_law(RADII, n=x),
    "fit_radius_law field": lambda x: ensembles.fit_radius_law(RADII, n=4, field=x),
    "sample_radii init": lambda x: ensembles.sample_radii(x, 2, 2, rng=0),
    "sample_radii n": lambda x: ensembles.sample_radii(initializers.Orthogonal(), x, 2, rng=0),
    "sample_radii draws": lambda x: ensembles.sample_radii(initializers.Orthogonal(), 2, x, rng=0),
    "sample_radii rng": lambda x: ensembles.sample_radii(initializers.Orthogonal(), 2, 2, rng=x),
    "sample_radii workers": lambda x: ensembles.sample_radii(initializers.Orthogonal(), 2, 2, rng=0, workers=x),
    "sample_radii dtype": lambda x: ensembles.sample_radii(initializers.Gaussian(std=1.0), 2, 2, rng=0, dtype=x),
    "std_for_radius n": ensembles.std_for_radius,
    "std_for_radius radius": lambda x: ensembles.std_for_radius(4, radius=x),
    "std_for_radius at": lambda x: ensembles.std_for_radius(4, at=x),
    "std_for_radius field": lambda x: ensembles.std_for_radius(4, field=x),
    "critical_gain cell": ensembles.critical_gain,
    "critical_gain activation": lambda x: ensembles.critical_gain(activation=x),
    "critical_gain input_std": lambda x: ensembles.critical_gain(input_std=x),
    "MeanField keep_bias": lambda x: ensembles.MeanField("gru", keep_bias=x),
    "MeanField gated gain": lambda x: ensembles.MeanField("lstm", gain=x),
    "MeanField gain": lambda x: ensembles.MeanField(gain=x),
    "MeanField leak": lambda x: ensembles.MeanField(cell="leaky_rnn", leak=x),
    "parse": initializers.parse,
    "from_dict": initializers.from_dict,
    "from_dict name": lambda x: initializers.from_dict({"name": x}),
    "from_dict key": lambda x: initializers.from_dict({"name": "eigen", x if x.__hash__ else "key": 1}),
    "require": initializers.require,
    "sample n": lambda x: initializers.Orthogonal().sample(x, rng=0),
    "sample rng": lambda x: initializers.Orthogonal().sample(2, rng=x),
    "sample size": lambda x: initializers.Orthogonal().sample(2, rng=0, size=x),
    "sample bias": lambda x: initializers.Chrono().sample(x, rng=0),
    "sample sparse": lambda x: initializers.Sparse(density=0.9).sample(x, rng=0),
    "sample sparse rng": lambda x: initializers.Sparse(density=0.9).sample(2, rng=x),
}
OF_A_NUMBER |= {
    f"{name} {field.name}": lambda x, init=init, field=field.name: type(init)(**{field: x})
    for name, init in INITIALIZERS.items()
    for field in init.parameter_fields()
}
OF_A_NUMBER |= {
    f"{name} {field.name} of a file": lambda x, name=init.name, field=field.name: initializers.from_dict(
        {"name": name, field: x}
    )
    for name, init in INITIALIZERS.items()
    for field in init.parameter_fields()
}


def outcome(function, value):
    """What went wrong in a call: nothing, a foreign exception or a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            function(value)
        except UnitcircleError as error:
            if len(str(error)) > 1000:
                return f"a message of {len(str(error))} characters"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return f"warning {caught[0].message} at {caught[0].filename}:{caught[0].lineno}" if caught else ""


@pytest.mark.parametrize("name", OF_AN_ARRAY)
def test_any_array(name):
    wrong = {kind: what for kind, value in arrays().items() if (what := outcome(OF_AN_ARRAY[name], value))}
    assert not wrong


@pytest.mark.parametrize("name", OF_A_NUMBER)
def test_any_number(name):
    wrong = {kind: what for kind, value in NUMBERS.items() if (what := outcome(OF_A_NUMBER[name], value))}
    assert not wrong


def test_the_table_is_large():
    assert len(OF_AN_ARRAY) * len(arrays()) + len(OF_A_NUMBER) * len(NUMBERS) > 2000
