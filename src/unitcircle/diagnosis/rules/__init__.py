"""One file a rule: its page, its check, and what remedies its findings. Importing the package registers them."""

# pyright: reportUnusedImport=false
from unitcircle.diagnosis.rules import (  # noqa: F401  (imported to be registered)
    _uc101_stacked_orthogonal,
    _uc102_zeroed_gate,
    _uc103_identical_weights,
    _uc104_default_uniform,
    _uc105_not_finite,
    _uc106_length_out_of_reach,
    _uc107_transient_growth,
    _uc108_polynomial_growth,
    _uc109_dead_units,
    _uc110_forget_bias,
    _uc111_low_precision_spectrum,
    _uc112_linear_memory,
    _uc113_swapped_activations,
    _uc114_lost_decay_initialization,
    _uc115_no_state_tracking,
    _uc116_endless_memory,
    _uc117_half_precision_decay,
    _uc118_one_token_memory,
    _uc119_curse_of_memory,
    _uc120_weight_decay_on_decay,
    _uc201_gradient_vanishes,
    _uc202_gradient_explodes,
    _uc203_saturated_units,
    _uc204_collapsed_state,
    _uc205_few_directions,
    _uc206_chaos,
    _uc207_constant_units,
    _uc208_short_gates,
    _uc209_detached_state,
    _uc210_padding_read,
    _uc211_step_not_carried,
)

__all__: list[str] = []
