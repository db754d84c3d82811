"""Forms of names: names that differ in their numbers alone show the same, which is looked up once for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from unitcircle.checkpoints._room import work
from unitcircle.errors import CheckpointError

LONGEST = 1000
"""Letters of the longest name of a tensor."""
_STEPS_OF_NAME = 30
"""Steps of work that it takes to look at a name whose form is known."""
_STEPS_OF_FORM = 60
"""Steps of work that it takes to look at a name of a new form, besides what grows with its letters: patterns try every
separator, and behind it all that is left."""
_NUMBER = re.compile(r"\d(?:\d+|(?<=[./_\[]\d)(?=[./_\]]))")


def form(name: str, /) -> str:
    """Return a name with every number in it, but those of one digit inside of a word, replaced by 0."""
    return _NUMBER.sub("0", name)


def count_names(names: Iterable[str], /) -> None:
    """Count the work of telling what names show: little for each, and the square of its length for each form."""
    steps, forms = 0, set[str]()
    for name in names:
        if len(name) > LONGEST:
            message = f"a tensor has a name of {len(name)} letters ({name[:40]!r}...): refused in case it is hostile"
            raise CheckpointError(message)
        steps += _STEPS_OF_NAME + (len(name) ** 2 >> 10)
        if (one := form(name)) not in forms:
            forms.add(one)
            steps += _STEPS_OF_FORM + 2 * len(one) + len(one) ** 2 // 32
    work(steps, "telling by their names which of its tensors are layers")
