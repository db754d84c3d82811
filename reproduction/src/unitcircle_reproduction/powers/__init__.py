"""When the powers of a matrix vanish, stay bounded, converge or explode: the propositions, and what they do not say."""

__all__ = ["SOURCE"]

from unitcircle_reproduction.powers._source import SOURCE as SOURCE
