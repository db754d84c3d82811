"""How far a value may be from one that a source prints."""


def half_unit(decimals):
    """Return half a unit of the last of so many decimals."""
    return 0.5 * 10.0**-decimals
