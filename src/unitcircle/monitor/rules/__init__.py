"""One file a rule over the measurements of a run: findings UC3xx, reported during training."""

from unitcircle.monitor.rules import (
    _uc301_gradient_died,
    _uc302_radius_grows,
    _uc303_orthogonality_lost,
    _uc304_spike_after_transient_growth,
    _uc305_not_finite,
)
from unitcircle.monitor.rules._registry import RULES

__all__ = ["RULES"]

del (
    _uc301_gradient_died,
    _uc302_radius_grows,
    _uc303_orthogonality_lost,
    _uc304_spike_after_transient_growth,
    _uc305_not_finite,
)
