"""``Diagnosis.apply_``: the remedies of a diagnosis, applied to the model that was diagnosed."""

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
    return {(finding.place.layer.split(" ")[0], finding.code) for finding in uc.diagnose(model).findings}


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
