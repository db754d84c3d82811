import inspect
import json
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcircle import initializers as uci
from unitcircle.errors import ArgumentError, ShapeError, SpecificationError, UnknownNameError

CLASSES = sorted(set(uci.Initializer.registry.values()), key=lambda cls: cls.name)

positive = st.floats(min_value=1e-9, max_value=1e9)
any_number = st.floats(allow_nan=False, allow_infinity=False)
angle_lists = st.lists(any_number, max_size=5).map(tuple)


def one_or_none(first, second):
    return st.one_of(st.just({}), positive.map(lambda x: {first: x}), positive.map(lambda x: {second: x}))


PARAMETERS = {
    "gaussian": one_or_none("std", "radius"),
    "uniform": one_or_none("limit", "std"),
    "constant": st.fixed_dictionaries({"value": any_number}),
    "forget_bias": st.fixed_dictionaries({"value": any_number}),
    "identity": st.fixed_dictionaries({"scale": any_number}),
    "chrono": st.fixed_dictionaries({"max_steps": st.integers(3, 10**6)}),
    "critical": st.fixed_dictionaries(
        {"input_std": st.floats(0, 1e3), "activation": st.sampled_from(["tanh", "gelu"]), "bias_std": st.floats(0, 1)}
    ),
    "eigen": st.fixed_dictionaries(
        {"modulus": positive, "angles": st.one_of(st.sampled_from(["haar", "uniform"]), any_number, angle_lists)}
    ),
    "block_rotation": st.fixed_dictionaries(
        {"modulus": positive, "phases": st.one_of(st.sampled_from(["uniform", "cayley"]), any_number, angle_lists)}
    ),
    "chain": st.fixed_dictionaries({"gain": positive, "feedback": st.floats(0, 10)}),
    "antisymmetric": st.fixed_dictionaries({"step": positive, "damping": st.floats(0, 10), "std": positive}),
    "ring": st.fixed_dictionaries({"r_min": st.floats(0, 1), "r_max": st.floats(1.5, 2), "max_phase": positive}),
    "sparse": st.fixed_dictionaries({"density": st.floats(1e-9, 1), "radius": positive}),
    "low_rank": st.fixed_dictionaries({"rank": st.integers(1, 99), "gain": positive}),
}
GAIN = st.fixed_dictionaries({"gain": positive})


def of(cls):
    has_gain = "gain" in {field.name for field in fields(cls)}
    return PARAMETERS.get(cls.name, GAIN if has_gain else st.just({})).map(lambda parameters: cls(**parameters))


every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.name)


@given(st.sampled_from(CLASSES).flatmap(of))
def test_text_dictionary_and_json_give_the_same_initializer(init):
    assert uci.parse(str(init)) == init
    assert uci.from_dict(json.loads(json.dumps(init.to_dict()))) == init
    assert type(init).from_dict(init.to_dict()) == init
    assert hash(uci.parse(str(init))) == hash(init)


@every_class
def test_every_class_has_a_name_a_docstring_and_a_reader(cls):
    assert uci.parse(cls.name) == cls()
    assert uci.parse(f" {cls.name} ( ) ") == cls()
    assert uci.parse(cls()) == cls()
    assert inspect.getdoc(cls)
    assert all(uci.parse(alias) == cls() for alias in cls.aliases)


@every_class
def test_specifications_are_frozen(cls):
    with pytest.raises(FrozenInstanceError):
        cls().name = "other"


@pytest.mark.parametrize(
    ("text", "init"),
    [
        ("eigen(modulus=0.95, angles=haar)", uci.Eigen()),
        ("eigen(angles='uniform')", uci.Eigen(angles="uniform")),
        ("eigen(angles=0.5)", uci.Eigen(angles=0.5)),
        ("eigen(angles=[0.1, -2e-3])", uci.Eigen(angles=(0.1, -0.002))),
        ("eigen(angles=[])", uci.Eigen(angles=())),
        ("gaussian(std=none, radius=1)", uci.Gaussian(radius=1.0)),
        ("glorot(gain=2)", uci.XavierNormal(gain=2.0)),
        ("xavier_uniform", uci.XavierUniform()),
        ("he_normal", uci.KaimingNormal()),
        ("chrono(max_steps=784)", uci.Chrono(max_steps=784)),
    ],
)
def test_texts_people_write(text, init):
    assert uci.parse(text) == init


@pytest.mark.parametrize(
    "text",
    [
        "",
        "eigen(",
        "eigen(0.95)",
        "eigen(modulus=f())",
        "1eigen",
        "a b",
        "eigen(**x)",
        "eigen)(",
        "eigen(modulus=)",
        "eigen()()",
        "eigen(), f()",
    ],
)
def test_texts_that_do_not_follow_the_grammar(text):
    with pytest.raises(SpecificationError, match="cannot read"):
        uci.parse(text)


def test_unknown_names_list_the_choices():
    with pytest.raises(
        UnknownNameError, match=r"Did you mean 'orthogonal'\? initializer must be one of antisymmetric, "
    ):
        uci.parse("ortogonal")
    with pytest.raises(UnknownNameError, match=r"parameter of eigen must be one of angles, modulus; got 'radius'"):
        uci.parse("eigen(radius=1)")
    with pytest.raises(UnknownNameError, match="none: it takes no parameter"):
        uci.parse("zeros(value=1)")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'haar'\? angles must be one of haar, uniform; got"):
        uci.Eigen(angles="harr")
    with pytest.raises(SpecificationError, match="needs a name"):
        uci.from_dict({"modulus": 1.0})
    with pytest.raises(SpecificationError, match="of 'eigen'; got that of 'zeros'"):
        uci.Eigen.from_dict({"name": "zeros"})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uci.Eigen(modulus=0), "modulus must be positive; got 0"),
        (lambda: uci.Eigen(modulus=float("nan")), "modulus must be positive; got nan"),
        (lambda: uci.Eigen(modulus="1"), "modulus must be positive; got '1'"),
        (lambda: uci.Eigen(modulus=True), "modulus must be positive; got True"),
        (lambda: uci.Eigen(angles=None), "angles must be one of haar, uniform, an angle in radians, or a list"),
        (lambda: uci.Eigen(angles=[1.0, "x"]), "angles must be one of"),
        (lambda: uci.Eigen(angles=[[1.0]]), "angles must be one of"),
        (lambda: uci.Eigen(angles=float("inf")), "angles must be one of"),
        (lambda: uci.BlockRotation(modulus=-1), "modulus must be positive"),
        (lambda: uci.Gaussian(std=1, radius=1), "std and radius must not both be given"),
        (lambda: uci.Gaussian(std=0), "std must be positive"),
        (lambda: uci.Uniform(limit=1, std=1), "limit and std must not both be given"),
        (lambda: uci.XavierNormal(gain=-1), "gain must be positive"),
        (lambda: uci.KaimingUniform(gain=0), "gain must be positive"),
        (lambda: uci.Orthogonal(gain=0), "gain must be positive"),
        (lambda: uci.Constant(float("inf")), "value must be a finite number"),
        (lambda: uci.Identity(scale=None), "scale must be a finite number; got None"),
        (lambda: uci.Chain(gain=0), "gain must be positive"),
        (lambda: uci.Chain(feedback=-1), "feedback must not be negative"),
        (lambda: uci.Critical(input_std=-1), "input_std must not be negative"),
        (lambda: uci.Critical(leak=0), "leak must be above 0"),
        (lambda: uci.Antisymmetric(step=0), "step must be positive"),
        (lambda: uci.Antisymmetric(damping=-1), "damping must not be negative"),
        (lambda: uci.Antisymmetric(std=0), "std must be positive"),
        (lambda: uci.Ring(r_min=1, r_max=1), "r_min must be below r_max; got r_min=1.0, r_max=1.0"),
        (lambda: uci.Ring(r_min=-1), "r_min must not be negative"),
        (lambda: uci.Ring(max_phase=0), "max_phase must be positive"),
        (lambda: uci.Sparse(density=0), "density must be in"),
        (lambda: uci.Sparse(density=1.1), "density must be in"),
        (lambda: uci.Sparse(radius=0), "radius must be positive"),
        (lambda: uci.LowRank(rank=0), "rank must be a whole number, at least 1; got 0"),
        (lambda: uci.LowRank(rank=1.0), "rank must be a whole number"),
        (lambda: uci.LowRank(rank=True), "rank must be a whole number"),
        (lambda: uci.Chrono(max_steps=2), "max_steps must be more than 2 steps"),
        (lambda: uci.ForgetBias("x"), "value must be a finite number"),
        (lambda: uci.parse("sparse(density=haar)"), "density must be a number; got 'haar'"),
    ],
)
def test_parameters_that_break_a_rule(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_parameters_become_plain_numbers():
    init = uci.Eigen(modulus=np.float32(0.5), angles=np.array([1, 2]))
    assert str(init) == "eigen(modulus=0.5, angles=[1.0, 2.0])"
    assert repr(uci.LowRank(rank=np.int64(2), gain=1)) == "LowRank(rank=2, gain=1.0)"


@pytest.mark.parametrize("n", [0, -1, (3, 0), (1, 2, 3), ()])
def test_sizes_that_are_not_positive(n):
    with pytest.raises(ShapeError, match=r"n must be a (whole )?number"):
        uci.Zeros().sample(n)


def test_a_bias_has_one_size():
    with pytest.raises(ShapeError, match="n must be one number for a bias"):
        uci.Chrono().sample((3, 3))
    assert uci.Chrono().sample(5, size=(2, 3)).shape == (2, 3, 5)


def test_rectangles_are_fan_out_by_fan_in():
    assert uci.Orthogonal().sample((5, 3), size=2).shape == (2, 5, 3)
