"""``unitcircle radius``: the law of the spectral radius, exact and sampled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

MOST_ENTRIES = 10**11


def radius(
    *,
    n: int = 10,
    std: float = 1.0,
    draws: int = 0,
    seed: int = 0,
    figure: Path | None = None,
    as_json: Annotated[bool, arg(name="json")] = False,
) -> int:
    """Print the law of the spectral radius of an n × n Gaussian weight, and the std to use instead.

    Args:
        n: Number of units.
        std: Standard deviation of the entries.
        draws: Number of weights to sample and compare with the exact law.
        seed: Seed of the draws.
        figure: Also draw the exact density over the histogram of the draws into this file (.png, .svg, .pdf).
        as_json: Print JSON instead of a table.
    """
    from unitcircle import ensembles, initializers, report
    from unitcircle.cli._terminal import console
    from unitcircle.errors import ArgumentError

    if draws < 0:
        raise ArgumentError("--draws", "must not be negative", str(draws))
    if draws * n**2 > MOST_ENTRIES:
        rule = f"must have at most {MOST_ENTRIES:,} entries together: more would take days"
        raise ArgumentError("--draws", rule, f"{draws:,} weights of {n:,} units", "The exact law needs no draws.")
    law = ensembles.SpectralRadius(n, std)
    samples = None
    if draws:
        with report.Progress("draws") as progress:
            gaussian = initializers.Gaussian(std=std)
            samples = ensembles.sample_radii(gaussian, n, draws, rng=seed, progress=progress.reach)
    summary = report.radius_summary(law, samples=samples)
    path = report.save_figure(report.radius_figure(law, samples=samples), figure) if figure else None
    if as_json:
        print(report.to_json({"schema": 1, **vars(summary)}))
        return 0
    out = console()
    out.print(report.radius_view(summary, law, samples=samples))
    if path:
        out.print(f"figure: {path}")
    return 0
