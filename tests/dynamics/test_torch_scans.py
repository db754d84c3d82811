"""Recurrences that run as one operation of torch: its scans are measured step by step, others are said to be unread."""

import numpy as np
import pytest
import torch
from tests.architectures.architecture import M, N
from tests.architectures.plain import Elman
from torch import nn

import unitcircle as uc

EPS = float(np.finfo(float).eps)


class Scanned(Elman):
    """The same recurrence as ``torch``'s scan, from the end to the start where it is reversed."""

    reverse = False

    def forward(self, x):
        scan = pytest.importorskip("torch._higher_order_ops.scan").scan

        def step(h, x_t):
            h = self.step(x_t, h)
            return h, h.clone()

        last, every = scan(step, self.initial(x), x, dim=0, reverse=self.reverse)
        assert every.shape == (len(x), *last.shape)
        return self.readout(last)


class Reversed(Scanned):
    reverse = True


def curve(model, x):
    (layer,) = uc.diagnose(model, (x, torch.zeros(3, 2))).layers
    assert layer.layer.cell == "hand-written"
    return layer.live.log_gradient


@pytest.mark.parametrize("kind", [Scanned, Reversed])
def test_a_scan_is_measured_as_its_loop(kind):
    torch.manual_seed(0)
    model, twin, x = kind(), Elman(), torch.randn(12, 3, M)
    twin.load_state_dict(model.state_dict())
    expected = curve(twin, x.flip(0) if kind.reverse else x)
    np.testing.assert_allclose(curve(model, x), expected, rtol=0, atol=100 * N * EPS)


class Gated(nn.Module):
    """h_t = a_t h_{t−1} + (1 − a_t) x_t, as a loop, as an associative scan, and in logarithms."""

    def __init__(self, way):
        super().__init__()
        torch.manual_seed(0)
        self.gate, self.value, self.readout, self.way = nn.Linear(M, N), nn.Linear(M, N), nn.Linear(N, 2), way

    def forward(self, x):
        a = torch.sigmoid(self.gate(x))
        b = (1 - a) * torch.exp(self.value(x))
        return self.readout(getattr(self, self.way)(a, b))

    def loop(self, a, b):
        h = b[0]
        for a_t, b_t in zip(a[1:], b[1:], strict=True):
            h = a_t * h + b_t
        return h

    def associative(self, a, b):
        scan = pytest.importorskip("torch._higher_order_ops.associative_scan").associative_scan

        def combine(first, second):
            return first[0] * second[0], second[0] * first[1] + second[1]

        return scan(combine, (a, b), dim=0, combine_mode="generic")[1][-1]

    def logarithms(self, a, b):
        total = torch.cumsum(torch.log(a), 0)
        return torch.exp(total + torch.logcumsumexp(torch.log(b) - total, 0))[-1]


def test_an_associative_scan_is_measured_as_its_loop():
    x = torch.randn(12, 3, M, generator=torch.Generator().manual_seed(1))
    expected = curve(Gated("loop"), x)
    found = curve(Gated("associative"), x)
    np.testing.assert_allclose(found, expected[: len(found)], rtol=0, atol=100 * N * EPS)


def test_a_recurrence_in_logarithms_is_not_called_absent():
    diagnosis = uc.diagnose(Gated("logarithms"), (torch.randn(12, 3, M), torch.zeros(3, 2)))
    assert not diagnosis.layers
    (unread,) = diagnosis.coverage.unread
    assert "torch.logcumsumexp runs what may be a linear recurrence" in unread
    assert not any("nothing here is recurrent" in note for note in diagnosis.coverage.notes)
    assert diagnosis.answer.verdict == "unknown"
