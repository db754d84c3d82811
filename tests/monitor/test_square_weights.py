"""Square weights that no recurrent layer owns: which are watched, and as what."""

import numpy as np
import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.monitor import Monitor, UnitcircleWarning
from unitcircle.monitor._square_weights import square_weights
from unitcircle.monitor._weights import ENTRIES, WeightRole, spread

N = 12
EPS32 = torch.finfo(torch.float32).eps


class CTRNN(nn.Module):
    """What computational neuroscience writes: the recurrence is an nn.Linear."""

    def __init__(self):
        super().__init__()
        self.h2h, self.out = nn.Linear(N, N), nn.Linear(N, 1)


class Raw(nn.Module):
    """A recurrence of one's own."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.eye(N))


def _record(model, **options):
    records = []
    Monitor(model, overhead=1.0, sinks=lambda record, step: records.append(record), **options).step()
    return records[0]


def _watched(model, **options):
    return {name.rpartition("/")[0] for name in _record(model, **options) if name.endswith("/drift")}


def test_unnamed_squares_are_watched_beside_recurrent_layers_and_without():
    head = nn.Sequential(nn.Linear(N, N), nn.ReLU(), nn.Linear(N, 3))
    assert _watched(head) == {"0.weight"}
    assert _watched(nn.ModuleDict({"rnn": nn.RNN(N, N, num_layers=2), "head": head})) == {
        "rnn.weight_hh_l0",
        "rnn.weight_hh_l1",
        "head.0.weight",
    }
    assert _watched(nn.Sequential(nn.Embedding(N, N), head)) == {"1.0.weight"}
    with torch.no_grad():
        head[0].weight.copy_(2 * torch.eye(N))
    record = _record(head)
    assert record["0.weight/norm"] == pytest.approx(2.0, rel=8 * EPS32)
    # Powers of a weight that is applied once are no dynamics.
    assert "0.weight/transient" not in record


def test_its_gradient_and_movement_are_measured():
    model, records = nn.Linear(N, N), []
    monitor = Monitor(model, every=1, overhead=1.0, sinks=lambda record, step: records.append(record))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.ones(3, N)).square().mean().backward()
        monitor.step()
        optimizer.step()
    first, second = records
    assert first["weight/gradient"] > 0
    assert second["weight/update"] > 0
    assert second["weight/drift"] == pytest.approx(second["weight/update"], rel=8 * EPS32)


def test_a_name_makes_it_recurrent():
    model = CTRNN()
    for name in ("h2h", "h2h.weight"):
        assert "h2h.weight/transient" in _record(model, names=[name])
    nested = nn.ModuleDict({"cell": CTRNN()})
    assert "cell.h2h.weight/transient" in _record(nested, names="h2h")
    assert "W/transient" in _record(Raw(), names="W")
    assert "W/transient" not in _record(Raw())
    with pytest.warns(UnitcircleWarning, match=r"h2h: recurrent by its name.*names=\['h2h'\]") as caught:
        record = _record(model)
    assert "h2h.weight/radius" in record
    assert caught[0].filename == __file__


def test_a_wrong_name_is_told_what_arrived_and_what_is_there():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'h2h'\? names must be one of h2h; got 'h2x'"):
        Monitor(CTRNN(), names=["h2x"])
    with pytest.raises(ArgumentError, match=r"names must name square weights .*; got 'out' of shape \(1, 12\)"):
        Monitor(CTRNN(), names=["out"])
    with pytest.raises(ArgumentError, match="names must be empty for a model without square weights; got 'h2h'"):
        Monitor(nn.LSTM(2, N), names=["h2h"])
    with pytest.raises(ArgumentError, match=r"'weight_hh_l0' of shape \(48, 12\)"):
        Monitor(nn.LSTM(2, N), names=["weight_hh_l0"])


def test_what_cannot_change_is_watched_only_if_it_is_named():
    model = nn.Sequential(nn.Linear(N, N), nn.Linear(N, N))
    model[0].weight.requires_grad_(False)
    assert _watched(model) == {"1.weight"}
    assert _watched(model, names="0") == {"0.weight", "1.weight"}


def test_a_shared_weight_is_watched_once():
    model = nn.Sequential(nn.Linear(N, N), nn.Linear(N, N))
    model[1].weight = model[0].weight
    assert _watched(model) == {"0.weight"}


@pytest.mark.filterwarnings("ignore:.*so no gradient of it is recorded")
def test_a_parametrized_weight_is_watched_as_what_is_applied():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(N, N))
    nn.utils.parametrizations.spectral_norm(model[0], n_power_iterations=100)
    assert _watched(model) == {"0.weight"}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    # What 100 steps of torch's power iteration leave of the second singular value, and rounding: 0.8 eps measured.
    largest, second = torch.linalg.svdvals(model[0].parametrizations.weight.original.detach())[:2].tolist()
    assert _record(model)["0.weight/norm"] == pytest.approx(1.0, rel=(second / largest) ** 200 + N * EPS32)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[0].parametrizations.weight.training
    rnn = nn.RNN(2, N)
    uc.torch.parametrize_orthogonal(rnn, "weight_hh_l0")
    assert _watched(rnn) == {"weight_hh_l0"}


def test_of_a_transformer_some_are_watched_evenly_spread():
    layer = nn.TransformerEncoderLayer(N, 2, dim_feedforward=N)
    model = nn.TransformerEncoder(layer, 20, enable_nested_tensor=False)
    # Two square Linears of a feed-forward block and the projection of the attention, twenty times.
    whole = [weight.name for weight in square_weights(model, (), 1000)]
    assert len(whole) == 60
    chosen = [weight.name for weight in square_weights(model, (), 16)]
    assert len(chosen) == 16
    assert _watched(model) == set(chosen)
    places = [whole.index(name) for name in chosen]
    assert (places[0], places[-1]) == (0, 59)
    assert set(np.diff(places)) <= {3, 4}
    # What is named comes besides.
    assert _watched(model, square_limit=0, names=["layers.3.linear1"]) == {"layers.3.linear1.weight"}
    assert len(_watched(model, names=["layers.3.linear1"])) == 17


@pytest.mark.parametrize(("size", "count", "chosen"), [(1, 5, 5), (4096**2, 40, 1), (2048**2, 40, 4), (5000**2, 3, 0)])
def test_their_entries_are_bounded(size, count, chosen):
    found = spread([size] * count, 16)
    assert len(found) == len(set(found)) == chosen
    assert size * len(found) <= ENTRIES


def test_only_recurrent_weights_wait_for_all_their_eigenvalues():
    n = 150  # above what is measured directly
    record = _record(nn.ModuleDict({"rnn": nn.RNN(1, n), "out": nn.Linear(n, n)}))
    assert set(record["eigenvalues"]) == {"rnn.weight_hh_l0"}
    assert record["out.weight/radius"] > 0


def test_roles():
    model = nn.ModuleDict({"gru": nn.GRU(2, N), "rnn": nn.RNN(2, N), "cell": CTRNN(), "out": nn.Linear(N, N)})
    monitor = Monitor(model, names="h2h", sinks=[])
    roles = {name: block.role for name, block in monitor._weights.blocks().items()}
    assert roles == {f"gru.weight_hh_l0.{gate}": WeightRole.GATE for gate in "rzn"} | {
        "rnn.weight_hh_l0": WeightRole.PLAIN,
        "cell.h2h.weight": WeightRole.PLAIN,
        "out.weight": WeightRole.SQUARE,
    }
