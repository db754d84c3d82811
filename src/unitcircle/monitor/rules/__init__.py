"""One file a rule over the measurements of a run: findings UC3xx, reported during training."""

# pyright: reportUnusedImport=false
from unitcircle.monitor.rules import (  # noqa: F401  (imported to be registered)
    _uc301_gradient_died,
    _uc302_radius_grows,
    _uc303_orthogonality_lost,
    _uc304_spike_after_transient_growth,
    _uc305_not_finite,
)
from unitcircle.monitor.rules._registry import RULES

__all__ = ["RULES"]
