"""``Diagnosis.apply_``: the remedies of a diagnosis, applied to the model that was diagnosed."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle.errors import ArgumentError


def model(seed=0):
    torch.manual_seed(seed)
    model = nn.ModuleDict({"bad": nn.LSTM(3, 8, 2, bidirectional=True), "good": nn.LSTM(3, 8), "head": nn.Linear(8, 2)})
    for name, weight in model["bad"].named_parameters():
        if "weight_hh" in name:
            nn.init.orthogonal_(weight)
    uc.torch.initialize_(model["good"], recurrent="orthogonal", bias="chrono(max_steps=64)", rng=1)
    return model


def codes(model):
    findings = uc.diagnose(model, ignore=["UC115"]).findings
    return {(finding.place.layer.split(" ")[0], finding.code) for finding in findings}


def test_only_the_modules_with_findings_are_filled():
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert ("bad", "UC101") in codes(net)
    filled = uc.diagnose(net).apply_(net, rng=0)
    assert all(each.certificate is None or each.certificate.holds for result in filled for each in result.filled)
    assert codes(net) == set()
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.startswith("bad") or "weight_ih" in name)


def test_a_layer_that_is_the_whole_model():
    lstm = nn.LSTM(3, 8)
    nn.init.eye_(lstm.weight_hh_l0)
    uc.diagnose(lstm).apply_(lstm, rng=0)
    assert not any(code == "UC102" for _, code in codes(lstm))


def test_without_findings_nothing_is_done():
    net = model()["good"]
    before = net.weight_hh_l0.clone()
    assert uc.diagnose(net).apply_(net) == ()
    assert torch.equal(net.weight_hh_l0, before)


def test_trained_layers_are_refused_unless_asked_for():
    torch.manual_seed(0)
    net = nn.LSTM(3, 8)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(30):
        loss = net(torch.randn(5, 2, 3))[0].pow(2).sum() - net.bias_hh_l0.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        net.weight_hh_l0[:8] = 0
    diagnosis = uc.diagnose(net)
    assert diagnosis.findings[0].code == "UC102"
    with pytest.raises(ArgumentError, match="a trained lstm"):
        diagnosis.apply_(net)
    diagnosis.apply_(net, trained=True, rng=0)
    assert "UC102" not in {code for _, code in codes(net)}


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_a_keras_model_with_one_remedy():
    import keras

    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(8)])
    diagnosis = uc.diagnose(net)
    assert "UC101" in {finding.code for finding in diagnosis.findings}
    diagnosis.apply_(net, rng=0)
    assert "UC101" not in {finding.code for finding in uc.diagnose(net).findings}


def test_what_cannot_be_filled_is_refused_with_the_remedy():
    net = model()
    with pytest.raises(ArgumentError, match=r"initialize_\(model"):
        uc.diagnose(net).apply_("model.pt")


def test_a_trained_layer_beside_one_with_findings_keeps_every_bit():
    torch.manual_seed(0)
    net = nn.LSTM(3, 16, 2)
    nn.init.orthogonal_(net.weight_hh_l0)
    with torch.no_grad():
        net.bias_ih_l1.normal_()
        net.weight_hh_l1.mul_(torch.rand(64, 16))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    uc.diagnose(net).apply_(net, rng=0)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}


def test_layers_of_different_findings_get_different_draws():
    torch.manual_seed(0)
    net = nn.ModuleList([nn.GRU(3, 8), nn.LSTM(3, 8)])
    nn.init.orthogonal_(net[0].weight_hh_l0)
    nn.init.orthogonal_(net[1].weight_hh_l0)
    uc.diagnose(net).apply_(net, rng=0)
    assert not any(torch.equal(a, b) for a in net[0].weight_hh_l0.chunk(3) for b in net[1].weight_hh_l0.chunk(4))


def test_what_may_be_trained_is_refused():
    net = nn.RNN(2, 4, bias=False)
    with torch.no_grad():
        net.weight_hh_l0.copy_(torch.arange(16).view(4, 4) / 16)
    diagnosis = uc.diagnose(net, select=["UC104", "UC109"])
    finding = replace(diagnosis.findings[0], action={"recurrent": "orthogonal"})
    with pytest.raises(ArgumentError, match="cannot be told"):
        replace(diagnosis, findings=(finding,)).apply_(net)


def test_another_model_is_refused():
    with pytest.raises(ArgumentError, match="the module that was diagnosed; got Linear without"):
        uc.diagnose(model()).apply_(nn.Linear(3, 3))


@pytest.mark.parametrize("change", ["eval", "frozen", "tied", "weight_norm"])
def test_a_model_stays_what_it_is(change):
    torch.manual_seed(0)
    net = nn.LSTM(8, 8, 2)
    nn.init.orthogonal_(net.weight_hh_l0)
    if change == "eval":
        net.eval()
    elif change == "frozen":
        net.requires_grad_(requires_grad=False)
    elif change == "tied":
        net.weight_hh_l1 = net.weight_hh_l0
    else:
        nn.utils.parametrizations.weight_norm(net, "weight_hh_l0")
    uc.diagnose(net).apply_(net, rng=0)
    assert "UC101" not in {code for _, code in codes(net)}
    assert net.training == (change != "eval")
    assert all(p.requires_grad == (change != "frozen") for p in net.parameters())
    assert (net.weight_hh_l1 is net.weight_hh_l0) == (change == "tied")


def test_a_lost_decay_is_drawn_from_the_law_of_its_authors():
    net = nn.Module()
    net.attn = nn.Module()
    net.attn.A_log = nn.Parameter(torch.log(torch.linspace(2, 16, 8)))
    net.attn.dt_bias = nn.Parameter(torch.ones(8))
    diagnosis = uc.diagnose(net)
    assert {finding.code for finding in diagnosis.findings if finding.kind == "defect"} == {"UC114"}
    (drawn,) = diagnosis.apply_(net, rng=0)
    assert str(drawn) == "attn.dt_bias <- inverse softplus of log-uniform(.001, .1)"
    step = nn.functional.softplus(net.attn.dt_bias.double())
    assert 0.0009 < step.min() < step.max() < 0.11
    assert codes(net) == set()


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_keras_layers_with_different_findings():
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    cells = layers.StackedRNNCells([layers.LSTMCell(8), layers.GRUCell(8)])
    net = keras.Sequential(
        [keras.Input((5, 3)), layers.Bidirectional(layers.LSTM(8, return_sequences=True)), layers.RNN(cells)]
    )
    assert "UC101" in {code for _, code in codes(net)}
    uc.diagnose(net).apply_(net, rng=0)
    assert "UC101" not in {code for _, code in codes(net)}


def test_an_nnx_module():
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.a = nnx.RNN(nnx.OptimizedLSTMCell(3, 16, rngs=rngs))
            self.b = nnx.RNN(nnx.GRUCell(16, 16, rngs=rngs))

    net = Net(nnx.Rngs(0))
    found = {(finding.place.layer, finding.code) for finding in uc.diagnose(net).findings}
    assert {("a.cell", "UC101"), ("b.cell", "UC101")} <= found
    assert all(each.certificate.holds for result in uc.diagnose(net).apply_(net, rng=0) for each in result.filled)
    assert codes(net) == set()


@pytest.mark.parametrize("copied", [lambda d: pickle.loads(pickle.dumps(d)), copy.deepcopy, copy.copy])
def test_diagnoses_can_be_pickled_and_copied(copied):
    decay = {"layers.0.attn.A_log": np.log(np.linspace(2, 16, 8)), "layers.0.attn.dt_bias": np.ones(8)}
    for subject in ((model(),), (decay,), (nn.LSTM(3, 8), torch.randn(6, 2, 3))):
        diagnosis = uc.diagnose(*subject)
        assert copied(diagnosis).to_json() == diagnosis.to_json()
