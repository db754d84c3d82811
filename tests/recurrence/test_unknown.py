"""What a source leaves unknown about a layer."""

import numpy as np
import pytest

from unitcircle.errors import UnknownNameError
from unitcircle.recurrence import from_torch


def test_unknown_parts_are_kept_and_are_none_by_default() -> None:
    W = np.eye(3)
    assert from_torch(W, cell="rnn_tanh").unknown == frozenset()
    assert from_torch(W, cell="rnn_tanh", unknown={"bias", "leak"}).unknown == {"bias", "leak"}


def test_an_unknown_part_that_no_cell_has_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown must be one of activation, bias, gating, input, leak"):
        from_torch(np.eye(3), cell="rnn_tanh", unknown={"biases"})
