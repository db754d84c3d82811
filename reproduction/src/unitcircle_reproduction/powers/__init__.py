"""When the powers of a matrix vanish, stay bounded, converge or explode: the propositions, and what they do not say."""

__all__ = ["TEXT"]

from unitcircle_reproduction.powers._text import TEXT as TEXT
