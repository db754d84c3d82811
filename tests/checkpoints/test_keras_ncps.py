import json

import numpy as np
import pytest
from tests.checkpoints.test_keras import layer, model, write_keras, write_legacy

from unitcircle.checkpoints._hdf5 import Hdf5Process
from unitcircle.checkpoints._keras import read_hdf5, read_keras
from unitcircle.recurrence import from_linear

UNITS, INPUTS, WIDTH = 3, 2, 5
LTC = ("gleak", "vleak", "cm", "sigma", "mu", "w", "erev", "sensory_sigma", "sensory_mu", "sensory_w", "sensory_erev")
RNG = np.random.default_rng(20)
EPS = np.finfo(float).eps


@pytest.fixture(scope="module")
def process():
    with Hdf5Process() as running:
        yield running


def uniform(*shape):
    return RNG.uniform(0.1, 1, shape).astype(np.float32)


def cfc(mode, layers):
    """Return the arrays of a CfC by the names that Keras writes into an HDF5 file of layers, in their order."""
    size = WIDTH if layers else INPUTS + UNITS
    one = {"ff1_weight": uniform(size, UNITS), "ff1_bias": uniform(UNITS)}
    if mode == "pure":
        own = one | {"w_tau": uniform(1, UNITS), "A": uniform(1, UNITS)}
        return own, {}, [(uniform(WIDTH if k else INPUTS + UNITS, WIDTH), uniform(WIDTH)) for k in range(layers)]
    own = one | {"ff2_weight": uniform(size, UNITS), "ff2_bias": uniform(UNITS)}
    times = {f"time_{which}": (uniform(size, UNITS), uniform(UNITS)) for which in "ab"}
    return own, times, [(uniform(WIDTH if k else INPUTS + UNITS, WIDTH), uniform(WIDTH)) for k in range(layers)]


def expected_cfc(own, times, dense, **flags):
    values = {name.replace("_", ".") if name.startswith("ff") else name: value for name, value in own.items()}
    for name, (weight, bias) in {**times, **{f"backbone.{k}": pair for k, pair in enumerate(dense)}}.items():
        values |= {f"{name}.weight": weight, f"{name}.bias": bias}
    values = {name: value.T if name.endswith("weight") else value for name, value in values.items()}
    return from_linear("CfC, pure" if "A" in own else "CfC of Keras", values | flags)


def of_ncps(kind, module, name, *, outer="ncps>CfC", **config):
    cell = {"module": f"ncps.keras.{module}", "class_name": kind, "config": {"name": f"{name}_cell"} | config}
    return layer(outer, name, cell=cell)


def written(process, path, config, name, cell, own, times=(), dense=()):
    """Write one layer in the tree of Keras 3, or as HDF5 by layers, and return what is read of it."""
    layers = [config]
    if path.suffix == ".keras":
        kind = name.rpartition("/")[0] or name
        groups = {f"layers/{kind}/cell": list(own.values())}
        groups |= {f"layers/{kind}/cell/{part}": list(pair) for part, pair in dict(times).items()}
        for k, pair in enumerate(dense):
            groups[f"layers/{kind}/cell/backbone_fn/layers/dense{f'_{k}' if k else ''}"] = list(pair)
        write_keras(path, groups, layers)
        return read_keras(path, process=process)
    place = f"{name}/sequential/{name}/{cell}"
    groups = {place: own} | {f"{place}/{part}": dict(zip(("kernel", "bias"), pair, strict=True))
                             for part, pair in dict(times).items()}  # fmt: skip
    for k, pair in enumerate(dense):
        groups[f"{place}/sequential_1/backbone{k}"] = dict(zip(("kernel", "bias"), pair, strict=True))
    write_legacy(path, groups, under="model_weights", model_config=json.dumps(model(*layers)), keras_version="3.15")
    return read_hdf5(path, process=process)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(("mode", "layers", "function", "ours"), [
    ("default", 1, {"class_name": "function", "config": ">lecun_tanh"}, "scaled_tanh(1.7159, 0.666)"),
    ("default", 11, ">lecun_tanh", "scaled_tanh(1.7159, 0.666)"),
    ("no_gate", 2, "relu", "relu"),
    ("pure", 1, "silu", "silu"),
    ("default", 0, "tanh", "tanh"),
])  # fmt: skip
def test_a_cfc_is_read_by_its_configuration(process, tmp_path, suffix, mode, layers, function, ours):
    own, times, dense = cfc(mode, layers)
    config = of_ncps("CfCCell", "cfc_cell", "cf_c", mode=mode, activation=function, backbone_layers=layers)
    (found,), coverage = written(process, tmp_path / f"a{suffix}", config, "cf_c", "cf_c_cell", own, times, dense)
    flags = {f"activation {ours}": np.ones(1)} | ({"no_gate": np.ones(1)} if mode == "no_gate" else {})
    np.testing.assert_allclose(found.diagonal, expected_cfc(own, times, dense, **flags).diagonal, rtol=64 * EPS)
    assert (found.name, coverage.unread, len(coverage.skipped)) == ("cf_c", (), 0)


def ltc(wired=True):
    signs = RNG.choice([-1.0, 0.0, 1.0] if wired else [-1.0, 1.0], (UNITS + INPUTS, UNITS)).astype(np.float32)
    shapes = dict.fromkeys(LTC[:3], (UNITS,)) | dict.fromkeys(LTC[3:7], (UNITS, UNITS))
    shapes |= dict.fromkeys(LTC[7:], (INPUTS, UNITS))
    values = {name: uniform(*shape) for name, shape in shapes.items()}
    return values | {"erev": signs[:UNITS], "sensory_erev": signs[UNITS:]}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(("unfolds", "mapping"), [(6, "affine"), (3, "linear"), (1, None)])
def test_an_ltc_is_read_and_its_wiring_is_where_its_potentials_are(process, tmp_path, suffix, unfolds, mapping):
    own = ltc()
    ends = {"affine": ("w", "b"), "linear": ("w",), None: ()}[mapping]
    own |= {f"{side}_{end}": uniform(INPUTS if side == "input" else UNITS) for side in ("input", "output")
            for end in ends}  # fmt: skip
    config = of_ncps("LTCCell", "ltc_cell", "ltc", outer="ncps>LTC", ode_unfolds=unfolds, epsilon=1e-8,
                     input_mapping=mapping, output_mapping=mapping)  # fmt: skip
    (found,), coverage = written(process, tmp_path / f"a{suffix}", config, "ltc", "ltc_cell", own)
    values = {name: own[name] for name in (*LTC, *(["input_b"] if mapping == "affine" else []))}
    values |= {f"{kind}sparsity_mask": (own[f"{kind}erev"] != 0) * 1.0 for kind in ("", "sensory_")}
    np.testing.assert_allclose(found.diagonal, from_linear("LTC", values | {"unfolds": np.array(unfolds)}).diagonal)
    assert (found.name, coverage.unread) == ("ltc", ())


CFC = {"mode": "default", "activation": "tanh", "backbone_layers": 1}
SOLVER = {"ode_unfolds": 6, "epsilon": 1e-8, "input_mapping": None, "output_mapping": None}


@pytest.mark.parametrize(("kind", "module", "config", "reason"), [
    ("MixedMemoryRNN", "mm_rnn", {}, "the memory in front of it (mixed_memory) is a second state"),
    ("WiredCfCCell", "wired_cfc_cell", {}, "the mask of its wiring is drawn by its program, and the file holds its se"),
    ("CfCCell", "cfc_cell", CFC | {"mode": "odd"}, "its mode is 'odd'"),
    ("CfCCell", "cfc_cell", CFC | {"sparsity_mask": [[1]]}, "its sparsity mask is an argument, which is not read"),
    ("CfCCell", "cfc_cell", CFC | {"backbone_layers": 2}, "its arrays are not those of a CfC with 2 layers in its ba"),
    ("CfCCell", "cfc_cell", CFC | {"activation": "my_own"}, "the activation of its backbone is my_own"),
    ("LTCCell", "ltc_cell", SOLVER | {"ode_unfolds": 10**9}, "its solver makes 1000000000 steps a token"),
    ("LTCCell", "ltc_cell", SOLVER | {"epsilon": None}, "the epsilon of its solver is None"),
    ("LTCCell", "ltc_cell", SOLVER, "it has no vleak"),
    ("OtherCell", "other_cell", {}, "its class is not known"),
])  # fmt: skip
def test_a_cell_of_ncps_that_is_not_read_has_a_reason(process, tmp_path, kind, module, config, reason):
    own, times, dense = cfc("default", 1)
    config = of_ncps(kind, module, "cf_c", **config)
    if kind == "LTCCell":
        own, times, dense = {"gleak": np.ones(3)}, {}, []
    found, coverage = written(process, tmp_path / "a.keras", config, "cf_c", "cf_c_cell", own, times, dense)
    assert not found
    assert f"not read ({reason}" in coverage.unread[0]


def test_a_cfc_of_another_library_is_named_with_what_is_missing(process, tmp_path):
    own, times, dense = cfc("default", 1)
    found, coverage = written(
        process, tmp_path / "a.keras", layer("ncps>CfC", "cf_c"), "cf_c", "cf_c_cell", own, times, dense
    )
    assert not found
    assert coverage.unread[0].endswith("a whole model of ncps.keras does")
