"""The laws that the authors of linear recurrences state for the parameters of their decay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from unitcircle.errors import UnknownNameError
from unitcircle.initializers._decay_curves import DecayCurve, Frequencies, HeadCurve, Level, LogModes, ZigzagCurve
from unitcircle.initializers._decay_draws import LogPhase, LogRate, Moduli, Step
from unitcircle.initializers._decay_law import DecayLaw

LAWS: Mapping[str, DecayLaw] = {
    "inverse softplus of log-uniform(.001, .1)": Step(),
    "log-uniform(.001, .1), as its logarithm": Step(stored="log"),
    "log U(1, 16) in float32": LogRate(),
    "log(1, ..., N) in each channel": LogModes(),
    "-5 + 8 (c / (C − 1))^(.7 + 1.3 l / (L − 1))": DecayCurve(-5, 8),
    "-6 + 5 (c / (C − 1))^(.7 + 1.3 l / (L − 1))": DecayCurve(-6, 5),
    "-5.5 + 6 (c / (C − 1))^(1 + (l / (L − 1))^.3) + 2.5 z |z|, z from -1 to 1 in each head": ZigzagCurve(),
    "inverse softplus of −(log u) / 2, u ~ U(.9², .999²)": Moduli(stored="softplus"),
    "linspace(3, 6, heads)": DecayCurve(3, 3),
    "5 − 12 (c / (C − 1))^(.3 + 1.3 l / (L − 1)) in each head": HeadCurve(5, -12, 0.3),
    "ring(r_min=0.9, r_max=0.999)": Moduli(),
    "log U(0, 2π)": LogPhase(),
    "log 1/2": Level(),
    "π (0, ..., N − 1)": Frequencies(),
}
"""Text of a law, an entry of :attr:`unitcircle.recurrence.LinearFamily.laws`, → the law of a first layer."""


def decay_law(text: str, /, *, layer: int = 0, layers: int = 1) -> DecayLaw:
    """Return the law that the authors of a family state for a parameter of its decay.

    Parameters
    ----------
    text
        An entry of :attr:`unitcircle.recurrence.LinearFamily.laws`.
    layer, layers
        The place of the layer in its model, from 0, and the number of layers, on which the curves of RWKV depend.

    Returns
    -------
    DecayLaw
        The law.

    Raises
    ------
    UnknownNameError
        The law is none of the known ones.

    Examples
    --------
    >>> print(decay_law("-6 + 5 (c / (C − 1))^(.7 + 1.3 l / (L − 1))", layer=1, layers=2))
    decay_curve(start=-6.0, rise=5.0, power=2.0)
    """
    if text not in LAWS:
        raise UnknownNameError("law", text, LAWS)
    law, depth = LAWS[text], layer / max(layers - 1, 1)
    if isinstance(law, ZigzagCurve):
        return replace(law, power=1 + depth**0.3)
    if isinstance(law, DecayCurve) and "l / (L" in text:
        return replace(law, power=(0.3 if isinstance(law, HeadCurve) else 0.7) + 1.3 * depth)
    return law
