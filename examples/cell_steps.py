"""λ at rest of SRU, ConvLSTM, Dreamer's GRU, CfC and LTC against the own step of the packages that train them.

Run as ``python examples/cell_steps.py > docs/results/cell-steps.md`` in an environment with torch, keras, h5py, ncps,
sru and sheeprl (``--no-deps``: one class is taken from its file, since the package imports much more). The weights are
read by their names and shapes, those of Keras from the file of the whole model; the class itself then takes one step
of no input from an empty state, and autograd gives the Jacobian of what it carries. The gates of Dreamer's GRU see its
state: at rest they get nothing but their bias, and its weight is set to zero for the step.
"""

from __future__ import annotations

import ast
import datetime as dt
import os
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

import unitcircle as uc

UNITS, INPUTS, SIDE = 8, 5, 4
Read = tuple[list[uc.recurrence.RecurrentLayer], np.ndarray]
"""What is read of a class, and the Jacobian of its own step."""
HEAD = """# λ at rest of cells by the packages that train them

Printed by `python examples/cell_steps.py` on {date}: λ at rest is read from names and shapes; the last column is its
largest distance from the eigenvalues of the Jacobian of the class's own step (float32), at no input and an empty state.

| package | class | read as | units | distance |
|---|---|---|---|---|"""


def jacobian(step: Callable[[torch.Tensor], torch.Tensor], size: int) -> np.ndarray:
    """Return the Jacobian of a step at an empty state."""
    return torch.autograd.functional.jacobian(lambda state: step(state).reshape(-1), torch.zeros(size)).numpy()


def of_sru() -> Read:
    from sru import SRU  # noqa: PLC0415

    model = SRU(INPUTS, UNITS, num_layers=1).eval()
    model.rnn_lst[0].bias.data.uniform_(-1, 3)
    found = list(uc.read(model.state_dict()))
    return found, jacobian(lambda c: model(torch.zeros(1, 1, INPUTS), c.view(1, 1, UNITS))[1], UNITS)


def saved(*layers: Any) -> list[uc.recurrence.RecurrentLayer]:
    """Return what is read of a model of Keras that was saved whole; its weights are moved from where they started."""
    import keras  # noqa: PLC0415

    model = keras.Sequential([*layers])
    rng = np.random.default_rng(0)
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        moved = value + (value != 0 if "erev" in variable.name else 1) * rng.uniform(-0.3, 0.3, value.shape)
        positive = variable.name in {"w", "sensory_w", "cm", "gleak"}  # ncps keeps them so
        variable.assign((np.abs(moved) if positive else moved).astype(np.float32))
    with tempfile.TemporaryDirectory() as folder:
        model.save(path := Path(folder) / "model.keras")
        return list(uc.read(path))


def of_convlstm(activation: str) -> Read:
    import keras  # noqa: PLC0415

    layer = keras.layers.ConvLSTM2D(UNITS, 3, padding="same", recurrent_activation=activation)
    found = saved(keras.Input((2, SIDE, SIDE, INPUTS)), layer)
    shape, inputs = (1, SIDE, SIDE, UNITS), torch.zeros(1, SIDE, SIDE, INPUTS)
    whole = jacobian(lambda c: layer.cell(inputs, [torch.zeros(shape), c.view(shape)])[1][1], SIDE * SIDE * UNITS)
    return found, whole


def of_ncps(kind: str, *, wired: bool = False, **options: Any) -> Read:
    import keras  # noqa: PLC0415
    from ncps import keras as cells  # noqa: PLC0415
    from ncps.wirings import AutoNCP  # noqa: PLC0415

    layer = getattr(cells, kind)(AutoNCP(2 * UNITS, 3) if wired else UNITS, **options)
    found = saved(keras.Input((2, INPUTS)), layer)
    size = layer.cell.state_size
    return found, jacobian(lambda h: layer.cell(torch.zeros(1, INPUTS), [h.view(1, size)])[1][0], size)


def of_dreamer() -> Read:
    path = Path(str(distribution("sheeprl").locate_file("sheeprl/models/models.py")))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if getattr(node, "name", "") == "LayerNormGRUCell"]
    scope = {"nn": torch.nn, "torch": torch, "Tensor": torch.Tensor}
    exec(compile("from typing import *", "typing", "exec"), scope)
    exec(compile(tree, str(path), "exec"), scope)
    cell = scope["LayerNormGRUCell"](INPUTS, UNITS, bias=False, layer_norm_cls=torch.nn.LayerNorm)
    cell.layer_norm.bias.data.uniform_(-2, 2)
    found = list(uc.read({f"rssm.recurrent_model.rnn.{name}": value for name, value in cell.state_dict().items()}))
    cell.linear.weight.data.zero_()
    return found, jacobian(lambda h: cell(torch.zeros(1, INPUTS), h.view(1, UNITS)), UNITS)


CELLS: dict[tuple[str, str], Callable[[], Read]] = {
    ("sru", "SRU"): of_sru,
    ("sheeprl", "LayerNormGRUCell"): of_dreamer,
    ("keras", "ConvLSTM2D"): lambda: of_convlstm("sigmoid"),
    ("keras", "ConvLSTM2D, hard_sigmoid"): lambda: of_convlstm("hard_sigmoid"),
    ("ncps", "keras.CfC"): lambda: of_ncps("CfC"),
    ("ncps", "keras.CfC, no_gate, three layers of relu"): lambda: of_ncps(
        "CfC", mode="no_gate", activation="relu", backbone_layers=3, backbone_units=16
    ),
    ("ncps", "keras.CfC, pure, gelu"): lambda: of_ncps("CfC", mode="pure", activation="gelu"),
    ("ncps", "keras.LTC"): lambda: of_ncps("LTC"),
    ("ncps", "keras.LTC of an AutoNCP, three steps"): lambda: of_ncps("LTC", wired=True, ode_unfolds=3),
}


def distance(own: np.ndarray, read: np.ndarray) -> float:
    """Return the largest distance of eigenvalues, each paired with one of the others."""
    apart = np.abs(np.linalg.eigvals(own.astype(float))[:, None] - read)
    return float(apart[linear_sum_assignment(apart)].max())


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    print(HEAD.format(date=dt.datetime.now(dt.UTC).date()))
    for (package, name), make in CELLS.items():
        (layer,), own = make()
        read = np.tile(layer.diagonal, len(own) // layer.diagonal.size)
        family = layer.linear.family.name
        print(f"| {package} {version(package)} | {name} | {family} | {layer.linear.size} | {distance(own, read):.0e} |")


if __name__ == "__main__":
    main()
