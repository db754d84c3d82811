"""Random numbers of torch code: the generator that an argument ``rng`` stands for."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch

from unitcircle.errors import ArgumentError

Rng = int | torch.Generator | np.random.Generator | None


def generator_of(rng: Rng, /, *, device: torch.device | str = "cpu") -> torch.Generator:
    """Return the torch generator that a seed or a generator stands for. torch's global random state is not touched.

    Parameters
    ----------
    rng
        A seed, a ``torch.Generator`` (returned as it is, on its own device), a ``numpy.random.Generator`` (one draw
        from it becomes the seed, so that a second call gives other numbers), or None for a fresh seed.
    device
        Device of a generator that is created here.

    Returns
    -------
    torch.Generator
        The generator.

    Raises
    ------
    ArgumentError
        ``rng`` is none of these, or a seed that does not fit into 64 bits.

    Examples
    --------
    >>> generator_of(3).initial_seed()
    3
    """
    if isinstance(rng, torch.Generator):
        return rng
    generator = torch.Generator(device)
    if rng is None:
        generator.seed()
    elif isinstance(rng, np.random.Generator):
        generator.manual_seed(int(rng.integers(2**63)))
    elif isinstance(rng, Integral) and -(2**63) <= int(rng) < 2**64:  # pyright: ignore[reportUnnecessaryIsInstance]
        generator.manual_seed(int(rng))
    else:
        rule = "must be a seed of at most 64 bits, a torch.Generator or a numpy.random.Generator"
        raise ArgumentError("rng", rule, repr(rng))
    return generator
