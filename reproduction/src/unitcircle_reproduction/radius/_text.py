"""Daniel Rapp's notes on the spectral radius of random weights, beside the exact law."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy import stats

from unitcircle.ensembles import RadiusFit, SpectralRadius, fit_radius_law, sample_radii, std_for_radius
from unitcircle.initializers import Gaussian
from unitcircle_reproduction._claim import Claim, Text, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.radius import _figures as figures
from unitcircle_reproduction.radius._radii import DRAWS, NEAR, STD, N, Normalized, Radii, mean_and_half

SIGNIFICANCE = 0.01
MOSTLY = 0.95
"""What we take "almost always" to mean: of 95 % of the weights."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Measure the claims of the source."""
    radii = Radii(context)
    yield _histogram(radii)
    yield _poisson(radii)
    yield _slope(radii)
    yield _naming(radii)
    yield _size(radii)
    yield _normalization(radii)


def _histogram(radii: Radii) -> Claim:
    law, samples = SpectralRadius(N, STD), radii.samples
    mean, half = mean_and_half(samples)
    p = float(stats.kstest(samples, law.cdf).pvalue)
    exact = {"mean": law.mean(), "standard deviation": law.std(), "skewness": float(law.stats("s"))}
    drawn = {"mean": mean, "standard deviation": float(samples.std(ddof=1)), "skewness": float(stats.skew(samples))}
    exact |= {f"{level} % quantile": float(law.ppf(level / 100)) for level in (1, 50, 99)}
    drawn |= {f"{level} % quantile": float(np.quantile(samples, level / 100)) for level in (1, 50, 99)}
    return Claim(
        "histogram",
        "Histogram of the spectral radius",
        f"The spectral radius is hard to get at in theory, so {DRAWS:,} matrices of size {N} and “variance” {STD:g} "
        "are drawn; their radii form a single hump with a longer tail to the right.",
        f"The law is known exactly. {DRAWS:,} draws have mean {mean:.4f} ± {half:.4f} (95 %), the exact mean is "
        f"{law.mean():.4f}; Kolmogorov-Smirnov p = {p:.2f} against the exact law. Standard deviation "
        f"{law.std():.4f}, skewness {exact['skewness']:.3f}.",
        Verdict.HOLDS if p > SIGNIFICANCE and exact["skewness"] > 0 else Verdict.FAILS,
        table=[{"of ρ": key, "exact": exact[key], f"{DRAWS:,} draws": drawn[key]} for key in exact],
        figures={
            f"Spectral radii of {DRAWS:,} Gaussian matrices of size {N} with entries of standard deviation {STD:g}, "
            "and the exact density.": partial(figures.histogram, law, samples)
        },
        data={"ks_pvalue": p, "mean": mean, "mean_half_width": half, "exact_mean": law.mean()},
    )


def _poisson(radii: Radii) -> Claim:
    samples, law = radii.samples, SpectralRadius(N, STD)
    fits = fit_radius_law(samples, n=N)
    poisson = next(fit for fit in fits if fit.name == "poisson")
    critical = float(stats.kstwo.isf(SIGNIFICANCE, len(samples)))
    fitting = [fit.name for fit in fits if fit.distance <= critical]
    dispersion = law.var() / law.mean()
    low, high = _dispersion_interval(samples)
    return Claim(
        "poisson",
        "It looks Poisson",
        "The histogram looks somewhat Poisson distributed; one could conjecture that it is, and try to prove it.",
        f"The Poisson law of the same mean is {poisson.distance:.2f} away (Kolmogorov distance; {critical:.3f} is too "
        f"far at the 1 % level for {DRAWS:,} draws). Variance over mean is {dispersion:.3f} (draws: 95 % interval "
        f"{low:.3f} to {high:.3f}) where a Poisson law has 1, and is proportional to std: ρ scales with its entries, a "
        f"Poisson variable does not scale. Not too far: {', '.join(fitting)}.",
        _poisson_verdict(poisson),
        table=[
            {
                "law": f.name,
                "parameters": len(f.parameters),
                "distance": f.distance,
                "p (half fits, half tests)": f.pvalue,
                "AIC": f.aic,
            }
            for f in fits
        ],
        figures={
            "Left: the draws, the Poisson probabilities of the same mean, and the laws that fit. "
            "Right: distance of every fitted law from the draws, with the 1 % critical value.": partial(
                figures.families, samples, fits
            )
        },
        data={"dispersion": dispersion, "dispersion_interval": [low, high], "poisson_distance": poisson.distance},
    )


def _poisson_verdict(poisson: RadiusFit) -> Verdict:
    return Verdict.HOLDS if poisson.pvalue > SIGNIFICANCE else Verdict.FAILS


def _dispersion_interval(samples: np.ndarray) -> tuple[float, float]:
    # Delta method: to first order the estimator is a mean of these.
    mean, variance = samples.mean(), samples.var()
    influence = ((samples - mean) ** 2 - variance) / mean - variance / mean**2 * (samples - mean)
    half = stats.norm.isf(0.025) * stats.sem(influence)
    return float(variance / mean - half), float(variance / mean + half)


def _slope(radii: Radii) -> Claim:
    exact = SpectralRadius(N).mean()
    stds = np.linspace(0.1, 10.0, 34)
    draws = radii.context.pick(300, 10_000)
    rng = np.random.default_rng([radii.context.draws, 1])
    workers = radii.context.workers
    sampled = [mean_and_half(sample_radii(Gaussian(std=s), N, draws, rng=rng, workers=workers)) for s in stds]
    means, halves = np.array(sampled).T
    # The spread of ρ is proportional to std, so the weights of the best line through 0 make it a mean of ratios.
    slope, half = float((means / stds).mean()), float(np.sqrt(((halves / stds) ** 2).sum()) / len(stds))
    return Claim(
        "slope",
        "The mean radius is proportional to std",
        f"At n = {N}, with “variance” v from 0.1 to 10, the expected radius looks linear in v with a coefficient of "
        "about 3: v = 0.1 gives ρ of about 0.3.",
        f"ρ(cW) = |c| ρ(W), so E[ρ] is proportional to std exactly. The coefficient at n = {N} is {exact:.4f} "
        f"({len(stds)} values of std, {draws:,} draws each: {slope:.4f} ± {half:.4f}, 95 %), {exact / 3 - 1:.0%} above "
        f"3: std 0.1 gives {exact / 10:.4f}.",
        about(exact, 3.0),
        condition=f"“about 3” is {exact:.4f}, and what it multiplies is the standard deviation",
        figures={f"Mean radius against std at n = {N}: sampled, exact, and “about 3”.": partial(
            figures.slope, stds, means, halves, exact
        )},
        data={"exact_slope": exact, "slope": slope, "half_width": half},
    )  # fmt: skip


def about(value: float, stated: float, /) -> Verdict:
    """Judge "about `stated`": within 5 % it holds, to the digits given conditionally."""
    if abs(value / stated - 1) <= NEAR:
        return Verdict.HOLDS
    return Verdict.CONDITIONALLY if round(value) == stated else Verdict.FAILS


def _naming(radii: Radii) -> Claim:
    rng = np.random.default_rng([radii.context.draws, 2])
    entries = rng.standard_normal(100_000) * STD
    freedom = entries.size - 1
    variance = float(entries.var(ddof=1))
    low, high = (float(freedom * variance / stats.chi2.ppf(q, freedom)) for q in (0.975, 0.025))
    slope = SpectralRadius(N).mean()
    return Claim(
        "naming",
        "What is called variance",
        "W has zero-mean Gaussian entries “with variance v”, made by `randn(size, size) * variance`; "
        f"W_{{{N},{STD:g}}} has v = 2.",
        f"Entries made by that line with v = {STD:g} have variance {variance:.3f} (95 %: {low:.3f} to {high:.3f}), "
        f"which is v². What is called variance is the standard deviation. With variance {STD:g} in the usual sense "
        f"E[ρ] would be √{STD:g}·{slope:.4f} = {slope * STD**0.5:.4f}, not {slope * STD:.4f}, and E[ρ] would grow as "
        "the square root of v, not linearly.",
        Verdict.HOLDS if low <= STD <= high else Verdict.FAILS,
        table=[
            {"v": v, "E[ρ], v a standard deviation": slope * v, "E[ρ], v a variance": slope * v**0.5}
            for v in (0.1, 1.0, 2.0, 10.0)
        ],
        figures={f"E[ρ] at n = {N} under the two readings of v.": partial(figures.readings, slope)},
        data={"variance": variance, "interval": [low, high]},
    )


def _size(radii: Radii) -> Claim:
    sizes = radii.sizes
    slopes = [size.mean * size.n**0.5 for size in sizes]
    exponent = float(np.polyfit(np.log([size.n for size in sizes]), np.log(slopes), 1)[0])
    return Claim(
        "size",
        "Without normalization the radius grows with the size",
        "E[ρ] over the “variance” is not constant in n: a larger matrix has a larger radius, so changing the size "
        "means changing the “variance”.",
        f"E[ρ]/std rises from {slopes[0]:.4f} at n = {sizes[0].n} to {slopes[-1]:.4f} at n = {sizes[-1].n:,} (exact), "
        f"as n to the power {exponent:.3f}. Means of drawn matrices agree: {_agreement(sizes)}.",
        Verdict.HOLDS if (np.diff(slopes) > 0).all() else Verdict.FAILS,
        table=[
            {"n": size.n, "E[ρ]/std, exact": slope, "sampled": size.sampled[0] * size.n**0.5,
             "± (95 %)": size.sampled[1] * size.n**0.5}
            for size, slope in zip(sizes, slopes, strict=True)
        ],
        figures={"Mean radius over std against the size: exact, sampled, and √n.": partial(figures.growth, sizes)},
        data={"exponent": exponent},
    )  # fmt: skip


def _agreement(sizes: list[Normalized]) -> str:
    drawn = [size for size in sizes if np.isfinite(size.sampled[0])]
    inside = sum(abs(size.sampled[0] - size.mean) <= size.sampled[1] for size in drawn)
    return f"{inside} of {len(drawn)} 95 % intervals hold the exact mean"


def _normalization(radii: Radii) -> Claim:
    sizes = radii.sizes
    worst = max(sizes, key=lambda size: abs(size.mean - 1))
    enough = next((size.n for size in sizes if size.near >= MOSTLY), None)
    ten = next(size for size in sizes if size.n == N)
    return Claim(
        "normalization",
        "Dividing by √n",
        "With entries divided by √n, the ratio of E[ρ] to the “variance” is almost always about 1, whatever the size.",
        f"The mean of ρ/√n is {sizes[0].mean:.4f} at n = {sizes[0].n}, {ten.mean:.4f} at {ten.n}, {sizes[-1].mean:.4f} "
        f"at {sizes[-1].n:,}; of the sizes here n = {worst.n} is furthest from 1 ({worst.mean:.4f}). One matrix of "
        f"size {ten.n} is within 5 % of 1 with probability {ten.near:.2f}, and above 1 with probability "
        f"{ten.above:.2f} ({sizes[-1].above:.4f} at n = {sizes[-1].n:,}): 1/√n overshoots. {_agreement(sizes)}. For "
        f"E[ρ] = 1 divide by the exact mean: std {std_for_radius(N):.4f} instead of {N**-0.5:.4f} at n = {N}.",
        normalization_verdict(sizes),
        condition=f"of the mean, within {abs(worst.mean - 1):.0%}; of {MOSTLY:.0%} of single matrices "
        + (f"only from n ≈ {enough:,} on" if enough else "at none of these sizes"),
        table=[
            {"n": s.n, "E[ρ]/√n": s.mean, "5 %": s.low, "95 %": s.high, "P(within 5 % of 1)": s.near, "P(> 1)": s.above,
             "std for E[ρ] = 1": 1 / (s.mean * s.n**0.5), "1/√n": s.n**-0.5}
            for s in sizes
        ],
        figures={
            "ρ/√n against the size. Left: exact mean, the middle 90 % of matrices, and sampled means with 95 % "
            "intervals. Right: the share of matrices within 5 % of 1, and above 1.": partial(figures.normalized, sizes)
        },
        data={"worst": worst.mean, "worst_n": worst.n, "almost_always_from": enough},
    )  # fmt: skip


def normalization_verdict(sizes: list[Normalized], /) -> Verdict:
    """Judge "almost always about 1": of the mean, and of single matrices, at every size."""
    if all(size.near >= MOSTLY for size in sizes):
        return Verdict.HOLDS
    return Verdict.CONDITIONALLY if all(abs(size.mean - 1) <= 2 * NEAR for size in sizes) else Verdict.FAILS


TEXT = Text(
    "radius",
    "The spectral radius of random weights",
    "Daniel Rapp, On the spectral radius of weight matrices in RNNs, danielrapp.github.io/rnn-spectral-radius",
    {"claims": claims},
)
