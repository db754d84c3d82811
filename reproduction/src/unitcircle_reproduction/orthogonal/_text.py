"""Smerity's text on orthogonal initialization: its claims, and the methods it points to."""

from __future__ import annotations

from unitcircle_reproduction._claim import Text
from unitcircle_reproduction.orthogonal import (
    _characters,
    _clipping,
    _depth,
    _drive,
    _edge_of_chaos,
    _explicit,
    _fates,
    _fibonacci,
    _gating,
    _learning_times,
    _linear_transition,
    _memory,
    _moduli,
    _powers,
    _rotation,
    _stabilizer,
    _standstill,
    _unitary,
)

TEXT = Text(
    "orthogonal",
    "Explaining and illustrating orthogonal initialization for recurrent neural networks",
    "S. Merity, smerity.com, 27 June 2016. We could read its beginning; what it points to is taken from the papers.",
    {
        "fibonacci": lambda _: _fibonacci.claims(),
        "rotation": lambda _: [_rotation.claim()],
        "moduli": _moduli.claims,
        "powers": lambda context: [_powers.claim(context)],
        "activations": lambda context: [_drive.claim(context)],
        "depth": lambda context: [_depth.claim(context)],
        "learning-times": _learning_times.claims,
        "clipping": _clipping.claims,
        "norm-stabilizer": lambda context: [_stabilizer.claim(context)],
        "memory": _memory.claims,
        "explicit": _explicit.claims,
        "linear-transition": _linear_transition.claims,
        "standstill": _standstill.claims,
        "fates": _fates.claims,
        "edge-of-chaos": _edge_of_chaos.claims,
        "gating": _gating.claims,
        "characters": _characters.claims,
        "unitary": _unitary.claims,
    },
)
"""The source ``orthogonal``."""
