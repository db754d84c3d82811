"""Every other public function that takes an array, a batch or a state answers any, or refuses it in the house's way."""

import inspect
from importlib import import_module

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from tests import test_hostile_arguments
from tests.hostile_values import arrays

from unitcircle import checkpoints, diagnosis, dynamics, ensembles, recurrence, report, spectra
from unitcircle import jax as of_jax
from unitcircle import torch as of_torch

LAW = ensembles.SpectralRadius(4)
CELL, RNN = torch.nn.RNNCell(2, 2), torch.nn.RNN(2, 2, batch_first=True)
DEEP = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 2))
LAYER = recurrence.from_torch(np.eye(2) * 0.5, cell="rnn_tanh")
EYE = np.eye(2)


def step(x, h):
    """A step of JAX."""
    return jnp.tanh(0.5 * h + x)


OF_WEIGHTS = {
    "jordan_chevalley": spectra.jordan_chevalley,
}
OF_FIGURES = {
    "plot_eigenvalues": lambda W: report.plot_eigenvalues(W, ax=Figure().subplots()),
    "plot_power_norms": lambda W: report.plot_power_norms(W, ax=Figure().subplots()),
    "plot_powers": lambda W: report.plot_powers(W, ax=Figure().subplots()),
    "plot_singular_values": lambda W: report.plot_singular_values({"a": W}, ax=Figure().subplots()),
    "plot_pseudospectrum": lambda W: report.plot_pseudospectrum(W, points=3, ax=Figure().subplots()),
    "plot_radius_law samples": lambda x: report.plot_radius_law(LAW, samples=x, ax=Figure().subplots()),
    "radius_figure samples": lambda x: report.radius_figure(LAW, samples=x),
    "radius_summary samples": lambda x: report.radius_summary(LAW, samples=x),
    "radius_view samples": lambda x: report.radius_view(report.radius_summary(LAW), LAW, samples=x),
    "weight_overview": report.weight_overview,
}
OF_WEIGHTS |= {
    "weight_summary": lambda W: report.weight_summary("a", W),
    "describe": report.describe,
    "read": lambda W: checkpoints.read(W) if not isinstance(W, str) else None,
    "read of a mapping": lambda W: checkpoints.read({"rnn.weight_hh_l0": W}),
    "diagnose": lambda W: diagnosis.diagnose(W, steps=4),
    "diagnose data": lambda x: diagnosis.diagnose({"a.weight_hh_l0": EYE / 2, "a.weight_ih_l0": EYE}, data=x),
    "drive data": lambda x: diagnosis.drive(LAYER, steps=3, data=x),
    "difference": lambda x: diagnosis.difference(x, x),
}
OF_PARTS = {
    "from_torch": lambda W: recurrence.from_torch(W, cell="rnn_tanh"),
    "from_torch input": lambda W: recurrence.from_torch(EYE, cell="rnn_tanh", weight_ih=W, bias_ih=W),
    "from_keras": lambda W: recurrence.from_keras(W, cell="rnn_tanh"),
    "from_keras input": lambda W: recurrence.from_keras(EYE, cell="rnn_tanh", kernel=W, bias=W),
    "from_onnx": lambda W: recurrence.from_onnx(W, cell="rnn_tanh"),
    "from_onnx input": lambda W: recurrence.from_onnx(EYE[None], cell="rnn_tanh", W=W, B=W),
    "from_flax": recurrence.from_flax,
    "from_flax kernel": lambda W: recurrence.from_flax({"h": {"kernel": W}, "i": {"kernel": W}}),
    "from_diagonal": recurrence.from_diagonal,
    "from_diagonal input": lambda W: recurrence.from_diagonal(np.full(2, 0.5), B=W),
    "from_linear": lambda W: recurrence.from_linear("Mamba", {"A_log": W, "dt_bias": W}),
    "from_low_rank": lambda W: recurrence.from_low_rank(W, W),
    "from_low_rank leak": lambda W: recurrence.from_low_rank(np.ones((2, 1)), np.ones((2, 1)), leak=W),
    "from_lru": lambda W: recurrence.from_lru(W, W),
    "from_lru input": lambda W: recurrence.from_lru(np.zeros(2), np.zeros(2), B=W),
    "from_mamba": lambda W: recurrence.from_mamba(W, W),
    "from_s4d": lambda W: recurrence.from_s4d(W, W),
    "from_s4d step": lambda W: recurrence.from_s4d(-np.ones((2, 2)), W),
    "lru_gamma_log": recurrence.lru_gamma_log,
    "step": lambda x: recurrence.step(LAYER, x, np.zeros(2)),
    "step state": lambda s: recurrence.step(LAYER, np.zeros(2), s),
    "jacobian": lambda s: recurrence.jacobian(LAYER, None, s),
    "jvp": lambda v: recurrence.jvp(LAYER, None, np.zeros(2), v),
}


def of_model(name, model):
    """Return a measurement of a model as a function of its inputs."""
    return lambda x: getattr(dynamics, name)(model, x)


def compiled(name):
    return lambda x: getattr(of_jax, name)(step, x, jnp.zeros(2))


OF_CELL = ("eigenvalues_along", "hidden_states", "jacobian_spectrum", "lyapunov_exponents", "mean_log_singular_value")
OF_RNN = ("calibrate_", "driven_layers", "gradient_flow", "hand_written", "measured_layers", "prepared", "token_memory")
OF_INPUTS = {name: of_model(name, CELL) for name in OF_CELL} | {name: of_model(name, RNN) for name in OF_RNN}
OF_INPUTS |= {
    "participation_ratio": dynamics.participation_ratio,
    "hidden_states initial": lambda s: dynamics.hidden_states(CELL, torch.ones(3, 2), initial=s),
    "fixed_points": lambda x: dynamics.fixed_points(CELL, x, starts=4, iterations=5),
    "fixed_points starts": lambda s: dynamics.fixed_points(CELL, starts=s, iterations=5),
    "depth_flow": lambda x: dynamics.depth_flow(DEEP, x),
    "as_recurrence": lambda s: dynamics.as_recurrence(lambda x, h: h, state=s),
    "diagnose batch": lambda x: diagnosis.diagnose(RNN, x, steps=4),
    "soft_orthogonality": of_torch.soft_orthogonality,
    "norm_stabilizer": of_torch.norm_stabilizer,
    "pascanu_omega": lambda s: of_torch.pascanu_omega(s, torch.ones(())),
    "pascanu_omega loss": lambda x: of_torch.pascanu_omega([torch.ones(1, 2)] * 2, x),
    "fill_": lambda W: of_torch.fill_(W, "orthogonal"),
    "gradient_flossing": lambda x: of_torch.gradient_flossing(lambda x, h: torch.tanh(h / 2), x, torch.ones(1, 2)),
    "gradient_flossing state": lambda s: of_torch.gradient_flossing(lambda x, h: torch.tanh(h / 2), 3, s),
    "initialize_": of_torch.initialize_,
    "to_layers": of_torch.to_layers,
    "dense": lambda x: of_torch.dense(x, argument="x"),
    "real": lambda x: of_torch.real(x, argument="x"),
}
OF_JAX = {
    "jacobian": lambda s: of_jax.jacobian(step, None, s) if s is not None else None,
    "jacobian input": lambda x: of_jax.jacobian(step, x, jnp.zeros(2)) if x is not None else None,
    "initialize": lambda x: of_jax.initialize({"a": x}, key=0, recurrent="orthogonal"),
    "initialize of any": lambda x: of_jax.initialize(x, key=0, recurrent="orthogonal"),
    "initialize_": lambda x: of_jax.initialize_(x, key=0, recurrent="orthogonal"),
    "named_leaves": of_jax.named_leaves,
    "to_layers": of_jax.to_layers,
}
COMPILED = {
    name: compiled(name) for name in ("eigenvalues_along", "gradient_flossing", "gradient_flow", "lyapunov_exponents")
}
TABLES = {
    "spectra": OF_WEIGHTS, "report": OF_WEIGHTS | OF_FIGURES, "checkpoints": OF_WEIGHTS, "diagnosis": OF_WEIGHTS,
    "recurrence": OF_PARTS, "dynamics": OF_INPUTS, "torch": OF_INPUTS, "jax": OF_JAX | COMPILED, "ensembles": {},
    "initializers": {},
}  # fmt: skip
TABLE = {
    f"{kind} {name}": call
    for kind, table in (
        ("weight", OF_WEIGHTS),
        ("report", OF_FIGURES),
        ("layer", OF_PARTS),
        ("torch", OF_INPUTS),
        ("jax", OF_JAX),
    )
    for name, call in table.items()
}

OF_NO_ARRAY = {
    "report": {
        "axes_or_new", "duration", "factor", "inline_svg", "page", "panel", "progress_bar", "render", "save_figure",
        "style", "table", "to_json", "weight_table", "written_whole",
    },
    "checkpoints": {"config_of", "rewrite", "tensors_of_file"},
    "diagnosis": {
        "check_codes", "diagnosis_page", "diagnosis_text", "diagnosis_view", "drawn_decay", "explain", "initialized",
        "is_live", "load_rules", "merged_action", "rule_of", "rules", "selected_codes",
    },
    "recurrence": {"activation", "activation_like", "is_known_activation", "kind_of", "layer_label"},
    "dynamics": {"input_share", "plot_calibration", "unwrapped"},
    "torch": {
        "copied", "generator_of", "gradient_of", "has_gradient", "has_own_forward", "parametrize_orthogonal",
        "parametrize_schur", "recurrent_tensors", "suspects", "write_weight",
    },
    "jax": {"initializer", "live_scans"},
    "initializers": {"decay_law", "from_dict", "legs_frequencies", "parse", "require"},
    "ensembles": {"critical_gain", "sample_radii", "std_for_radius"},
}  # fmt: skip
"""Functions of names, files, modules, numbers, and of what other functions return."""


@pytest.mark.parametrize("name", TABLE)
def test_any_array(name):
    tried = [key for key in arrays() if key not in SLOW or not name.startswith(("report", "jax"))]
    outcomes = {key: test_hostile_arguments.outcome(TABLE[name], arrays()[key]) for key in tried}
    assert {key: what for key, what in outcomes.items() if what} == {}


SLOW = {
    "zeros", "integers", "booleans", "unsigned", "masked", "read only", "least", "golden at 1e250", "largest float32",
    "torch", "torch negative", "torch conjugate", "torch with gradient", "torch bfloat16", "torch float8", "float16",
}  # fmt: skip
"""What is drawn or compiled as others are, which takes long."""
REFUSED = (
    "empty", "no axes", "rectangular", "objects", "texts", "dates", "records", "big integers", "ragged", "nothing",
    "text", "set", "function", "unconvertible", "sparse", "torch sparse", "torch meta", "torch nested",
)  # fmt: skip
"""What JAX refuses before it compiles anything."""


@pytest.mark.parametrize("name", COMPILED)
def test_arrays_that_jax_does_not_know(name):
    values = arrays()
    outcomes = {key: test_hostile_arguments.outcome(COMPILED[name], values[key]) for key in REFUSED}
    assert {key: what for key, what in outcomes.items() if what} == {}


@pytest.mark.parametrize("package", TABLES)
def test_every_function_of_an_array_is_in_a_table(package):
    module = import_module(f"unitcircle.{package}")
    public = {name for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    tables = (TABLES[package], test_hostile_arguments.OF_AN_ARRAY, test_hostile_arguments.OF_A_NUMBER)
    tried = {name.partition(" ")[0] for table in tables for name in table}
    assert public - tried - OF_NO_ARRAY.get(package, set()) == set()
