"""The words that other functions and libraries have for an argument: who uses one is told ours."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from unitcircle.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")

SYNONYMS = (("rng", "seed", "generator", "random_state", "key"), ("initial", "state", "initial_state"))
"""Words for one thing."""


def right_keywords(function: Callable[P, R], /) -> Callable[P, R]:
    """Refuse a keyword argument by the name of the one that is meant, in place of Python's "unexpected"."""
    accepted = inspect.signature(function).parameters
    others = {
        word: right for words in SYNONYMS for right in words if right in accepted for word in words
        if word not in accepted
    }  # fmt: skip

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        for word in others.keys() & kwargs.keys():
            raise ArgumentError(word, f"is called {others[word]} in {function.__name__}", f"{word}={kwargs[word]!r}")
        return function(*args, **kwargs)

    return wrapper
