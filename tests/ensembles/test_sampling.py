import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from unitcircle.ensembles import SpectralRadius, sample_radii
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.initializers import Gaussian, parse

SIGNIFICANCE = 1e-3


@dataclass(frozen=True)
class Entries:
    """Independent entries of unit variance from any law, as an initializer sees it."""

    law: str

    def sample(self, n, /, *, rng, size):
        shape = (size, n, n)
        if self.law == "rademacher":
            return rng.choice([-1.0, 1.0], shape)
        if self.law == "uniform":
            return rng.uniform(-np.sqrt(3), np.sqrt(3), shape)
        if self.law == "student":
            return rng.standard_t(5, shape) * np.sqrt(3 / 5)
        # Gaussian, with a given number of non-zeros a row.
        nonzeros = int(self.law)
        ranks = rng.uniform(size=shape).argsort(-1)
        return np.where(ranks < nonzeros, rng.standard_normal(shape) * np.sqrt(n / nonzeros), 0)


@pytest.mark.parametrize("init", [Gaussian(std=0.3), Gaussian(radius=0.9)], ids=str)
def test_gaussian_radii_follow_the_exact_law(init):
    std = init.std or 0.9 / np.sqrt(12)
    radii = sample_radii(init, 12, 8000, rng=3)
    assert stats.kstest(radii, SpectralRadius(12, std).cdf).pvalue > SIGNIFICANCE


def test_single_precision_follows_the_exact_law_too():
    radii = sample_radii(Gaussian(std=1.0), 30, 3000, rng=3, dtype=np.float32)
    assert stats.kstest(radii, SpectralRadius(30).cdf).pvalue > SIGNIFICANCE


def test_any_initializer_gives_the_radii_of_its_weights():
    radii = sample_radii(parse("eigen(modulus=0.9)"), 16, 20, rng=0)
    np.testing.assert_allclose(radii, 0.9, rtol=100 * 16 * np.finfo(float).eps)


@pytest.mark.parametrize("init", [Gaussian(std=1.0), Entries("uniform")], ids=repr)
def test_the_number_of_workers_changes_nothing(init):
    one = sample_radii(init, 100, 40, rng=5, workers=1)
    np.testing.assert_array_equal(one, sample_radii(init, 100, 40, rng=5, workers=3))
    np.testing.assert_array_equal(one, sample_radii(init, 100, 40, rng=np.random.default_rng(5)))
    assert np.unique(one).size == 40
    assert not np.array_equal(one, sample_radii(init, 100, 40, rng=6))


def test_progress_is_told_after_every_chunk():
    told = []
    sample_radii(Gaussian(std=1.0), 300, 4, rng=0, progress=lambda done, draws: told.append((done, draws)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("law", ["uniform", "rademacher", "student", "30"])
def test_the_law_is_universal_for_well_filled_rows(law):
    radii = sample_radii(Entries(law), 60, 400, rng=11)
    assert stats.kstest(radii, SpectralRadius(60).cdf).pvalue > SIGNIFICANCE


def test_the_law_fails_for_three_non_zeros_a_row():
    radii = sample_radii(Entries("3"), 60, 400, rng=11)
    assert stats.kstest(radii, SpectralRadius(60).cdf).pvalue < 1e-9


@pytest.mark.parametrize("sizes", [(0, 1, 1), (3, 0, 1), (3, 1, -1)])
def test_sizes_must_be_positive(sizes):
    n, draws, workers = sizes
    with pytest.raises(ShapeError, match="must be a whole number, at least 1"):
        sample_radii(Gaussian(), n, draws, workers=workers)


def test_precision_must_be_one_of_two():
    with pytest.raises(ArgumentError, match="dtype must be"):
        sample_radii(Gaussian(), 3, 1, dtype=np.float16)


def test_double_precision_is_the_default():
    double, single = (sample_radii(Gaussian(std=1.0), 30, 5, rng=3, dtype=dtype) for dtype in (np.float64, np.float32))
    np.testing.assert_array_equal(sample_radii(Gaussian(std=1.0), 30, 5, rng=3), double)
    # Other digits from the sixth on, not the same numbers.
    assert (double != single).any()


def test_memory_does_not_grow_with_the_number_of_draws():
    def peak(draws):
        tracemalloc.start()
        sample_radii(Gaussian(), 64, draws, rng=0, workers=1)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # imports what it needs
    assert peak(160) < 1.2 * peak(80)
