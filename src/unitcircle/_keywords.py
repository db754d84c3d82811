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

WITHOUT = (
    "is no argument of {}, which draws nothing at random",
    "is no argument of {}, which starts where the model does; to start elsewhere, make as_recurrence(step, state=...)",
)
"""What is said where none of the words is an argument."""


def right_keywords(function: Callable[P, R], /) -> Callable[P, R]:
    """Refuse a keyword argument by the name of the one that is meant, in place of Python's "unexpected"."""
    accepted = inspect.signature(function).parameters
    measures = "step" in accepted or function.__module__.startswith("unitcircle.dynamics.")
    rules: dict[str, str] = {}
    for words, without in zip(SYNONYMS, WITHOUT, strict=True):
        right = next((word for word in words if word in accepted), None)
        if right is not None or measures:
            rule = without.format(function.__name__) if right is None else f"is called {right} in {function.__name__}"
            rules |= {word: rule for word in words if word not in accepted}

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        for word in rules.keys() & kwargs.keys():
            raise ArgumentError(word, rules[word], f"{word}={kwargs[word]!r}")
        return function(*args, **kwargs)

    return wrapper
