"""Commands whose arguments are bound before they run: a command line is valid as a whole, or nothing happens."""

from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Status = TypeVar("Status")


def bound(command: Callable[P, Status], /) -> Callable[P, Callable[[], Status]]:
    """Return a function with the command line of a command, which only binds the arguments."""

    # tyro calls a constructor while it parses.
    @wraps(command)
    def bind(*args: P.args, **kwargs: P.kwargs) -> Callable[[], Status]:
        return partial(command, *args, **kwargs)

    return bind
