"""Names of earlier releases: they work, and say what they are called now."""

from dataclasses import KW_ONLY, dataclass, replace

import pytest

from unitcircle._renamed import moved, positional_fields, renamed_arguments
from unitcircle.errors import ArgumentError


def test_a_moved_name_is_found_with_a_warning_that_says_where():
    old = moved("unitcircle.old", {"radius": "unitcircle.spectra:spectral_radius", "weights": "unitcircle.spectra"})
    from unitcircle import spectra

    with pytest.warns(DeprecationWarning, match=r"unitcircle\.old\.radius is now unitcircle\.spectra\.spectral_radius"):
        assert old("radius") is spectra.spectral_radius
    with pytest.warns(DeprecationWarning, match=r"unitcircle\.old\.weights is now unitcircle\.spectra$"):
        assert old("weights") is spectra


def test_a_name_that_never_was_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'unitcircle\.old' has no attribute 'other'"):
        moved("unitcircle.old", {})("other")


def test_a_name_that_did_not_move_is_asked_of_the_package():
    assert moved("unitcircle.old", {}, otherwise=str.upper)("other") == "OTHER"


@renamed_arguments(seed="rng")
def draw(n, *, rng=0):
    return n, rng


def test_an_old_argument_is_passed_on_with_a_warning():
    with pytest.warns(DeprecationWarning, match=r"draw\(seed=\) is now rng="):
        assert draw(3, seed=5) == (3, 5)
    assert draw(3, rng=4) == (3, 4)


def test_the_old_and_the_new_name_of_an_argument_exclude_each_other():
    with pytest.raises(ArgumentError, match="seed is the old name of rng; pass one of them; got both"):
        draw(3, seed=5, rng=4)


@positional_fields
@dataclass(frozen=True)
class Named:
    name: str
    _: KW_ONLY
    size: int
    depth: int = 1


def test_fields_that_became_keywords_are_taken_in_their_old_places_with_a_warning():
    with pytest.warns(DeprecationWarning, match=r"Named takes size=, depth= by keyword now") as warned:
        assert Named("a", 2, 3) == Named("a", size=2, depth=3)
    assert [w.filename for w in warned] == [__file__]
    with pytest.warns(DeprecationWarning, match="Named takes size= by keyword now"):
        assert Named("a", 2, depth=3) == Named("a", size=2, depth=3)
    assert replace(Named("a", size=2), depth=4) == Named(name="a", size=2, depth=4)


@pytest.mark.parametrize(("args", "kwargs"), [(("a", 2, 3, 4), {}), (("a", 2), {"size": 2}), (("a",), {})])
def test_fields_given_twice_too_often_or_never_are_a_type_error(args, kwargs):
    with pytest.raises(TypeError, match=r"Named\.__init__"):
        Named(*args, **kwargs)
