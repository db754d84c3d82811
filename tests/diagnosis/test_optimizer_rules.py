"""UC120: what an optimizer does to the parameters of a decay, in public threads and their correct twins."""

import math

import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle.diagnosis import Severity
from unitcircle.errors import ArgumentError


class Mixer(nn.Module):
    """The names of Mamba-2, marked as its authors mark them."""

    def __init__(self, heads=4):
        super().__init__()
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, heads + 1)))
        self.dt_bias = nn.Parameter(torch.linspace(-6.0, -3.0, heads))
        self.A_log._no_weight_decay = self.dt_bias._no_weight_decay = True
        self.in_proj = nn.Linear(8, 4 * heads)
        self.D = nn.Parameter(torch.ones(heads))


class StateSpace(nn.Module):
    """The names of S4D."""

    def __init__(self, channels=6, modes=4):
        super().__init__()
        self.log_dt = nn.Parameter(torch.linspace(-6.0, -3.0, channels))
        self.log_A_real = nn.Parameter(torch.full((channels, modes), math.log(0.5)))
        self.A_imag = nn.Parameter(math.pi * torch.arange(modes).repeat(channels, 1).float())


class Channels(nn.Module):
    """The names of Mamba."""

    def __init__(self, channels=6, modes=4):
        super().__init__()
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, modes + 1)).repeat(channels, 1))
        self.dt_proj = nn.Linear(3, channels)
        self.dt_proj.bias.data = torch.linspace(-6.0, -3.0, channels)


THREADS = {
    "state-spaces/mamba#798": (Mixer, torch.optim.AdamW, {"A_log", "dt_bias"}),
    "athms/mad-lab#5": (Channels, torch.optim.AdamW, {"A_log", "dt_proj.bias"}),
    "athms/mad-lab#6": (Channels, torch.optim.Adam, {"A_log", "dt_proj.bias"}),
    "OpenTabular/DeepTab#95": (Channels, torch.optim.SGD, {"A_log", "dt_proj.bias"}),
    "srush/annotated-s4#16": (StateSpace, torch.optim.AdamW, {"log_dt"}),
}


def found(model, optimizer, **options):
    return list(uc.diagnose(model, optimizer=optimizer, select=["UC120"], **options).findings)


def exempt(model, kind):
    """Return an optimizer with the groups that the authors of Mamba want."""
    spared = [p for p in model.parameters() if p.ndim < 2 or getattr(p, "_no_weight_decay", False)]
    spared += [p for name, p in model.named_parameters() if name.endswith(("A_log", "log_A_real", "A_imag"))]
    spared = list(dict.fromkeys(spared))
    others = [p for p in model.parameters() if all(p is not one for one in spared)]
    groups = [{"params": spared, "weight_decay": 0.0}, *([{"params": others}] if others else [])]
    return kind(groups, lr=1e-3, weight_decay=0.1)


@pytest.mark.parametrize("thread", THREADS)
def test_a_decay_under_weight_decay_is_found_and_its_twin_is_not(thread):
    make, kind, names = THREADS[thread]
    model = nn.Sequential(make())
    findings = found(model, kind(model.parameters(), lr=1e-3, weight_decay=0.1))
    assert {f.place.gate for f in findings} == names
    assert {f.severity for f in findings} == {Severity.WARNING}
    assert all("weight_decay=0" in f.remedy and f.place.gate in f.remedy for f in findings)
    assert found(model, exempt(model, kind)) == []
    assert found(model, kind(model.parameters(), lr=1e-3, weight_decay=0.0)) == []


def test_the_sentence_says_where_it_goes_and_how_fast():
    model = Mixer()
    first = found(model, torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1))[0]
    assert first.message == (
        "A_log has a weight decay of 0.1, which takes A to 1 in every head, half of the way in 6,931 steps at the rate "
        "0.001; its _no_weight_decay is not read by this optimizer"
    )
    assert [f.place.gate for f in found(model, torch.optim.AdamW(model.parameters()))] == ["A_log", "dt_bias"]


def test_half_of_the_way_is_what_adamw_does():
    model = Mixer()
    before = model.A_log.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.2)
    steps = round(math.log(2) / (0.1 * 0.2))
    for _ in range(steps):
        for value in model.parameters():
            value.grad = torch.zeros_like(value)
        optimizer.step()
    # (1 − lr·decay)^t against exp(−lr·decay·t): 1.4 % at this product.
    torch.testing.assert_close(model.A_log.detach(), before / 2, rtol=0.02, atol=0)


def test_a_decay_that_never_moves_is_a_note():
    model = Mixer()
    others = [p for name, p in model.named_parameters() if name != "dt_bias"]
    (finding,) = found(model, torch.optim.AdamW(others, weight_decay=0.0))
    assert (finding.severity, finding.place.gate) == (Severity.NOTE, "dt_bias")
    assert "in no group of the optimizer" in finding.message
    model.dt_bias.requires_grad_(False)
    assert found(model, torch.optim.AdamW(others, weight_decay=0.0)) == []


def test_what_is_no_optimizer_of_the_module_is_refused():
    model = Mixer()
    with pytest.raises(ArgumentError, match="optimizer must be an optimizer of torch, with param_groups"):
        uc.diagnose(model, optimizer="adamw")
    with pytest.raises(ArgumentError, match="must hold parameters of the module"):
        uc.diagnose(model, optimizer=torch.optim.SGD(Mixer().parameters(), lr=0.1))
    with pytest.raises(ArgumentError, match=r"optimizer must be given for a torch\.nn\.Module"):
        uc.diagnose({"A_log": model.A_log}, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    assert not [f for f in uc.diagnose(model).findings if f.code == "UC120"]
