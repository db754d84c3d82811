"""λ at rest of SRU, ConvLSTM and Dreamer's GRU against the own step of the packages that train them.

Run as ``python examples/cell_steps.py > docs/results/cell-steps.md`` in an environment with torch, keras, sru and
sheeprl (``--no-deps``: one class is taken from its file, since the package imports much more). The weights are read
by their names and shapes, those of Keras by their names in a dict; the class itself then takes one step of no input
from an empty state, and autograd gives the Jacobian of what it carries. The gates of Dreamer's GRU see its state:
at rest they get nothing but their bias, and its weight is set to zero for the step.
"""

from __future__ import annotations

import ast
import datetime as dt
import os
import warnings
from collections.abc import Callable
from importlib.metadata import distribution, version
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch

import unitcircle as uc

UNITS, INPUTS, SIDE = 8, 5, 4
HEAD = """# λ at rest of cells by the packages that train them

Printed by `python examples/cell_steps.py` on {date}: λ at rest is read from names and shapes; the last column is its
largest distance from the eigenvalues of the Jacobian of the class's own step (float32), at no input and an empty state.

| package | class | read as | units | distance |
|---|---|---|---|---|"""


def jacobian(step: Callable[[torch.Tensor], torch.Tensor], size: int) -> np.ndarray:
    """Return the Jacobian of a step at an empty state."""
    return torch.autograd.functional.jacobian(lambda state: step(state).reshape(-1), torch.zeros(size)).numpy()


def of_sru() -> tuple[list[uc.recurrence.RecurrentLayer], np.ndarray]:
    from sru import SRU  # noqa: PLC0415

    model = SRU(INPUTS, UNITS, num_layers=1).eval()
    model.rnn_lst[0].bias.data.uniform_(-1, 3)
    found = list(uc.read(model.state_dict()))
    return found, jacobian(lambda c: model(torch.zeros(1, 1, INPUTS), c.view(1, 1, UNITS))[1], UNITS)


def of_convlstm() -> tuple[list[uc.recurrence.RecurrentLayer], np.ndarray]:
    import keras  # noqa: PLC0415

    layer = keras.layers.ConvLSTM2D(UNITS, 3, padding="same", recurrent_activation="sigmoid")
    layer.build((1, 1, SIDE, SIDE, INPUTS))
    kernel, recurrent, bias = layer.get_weights()
    bias = np.random.default_rng(0).uniform(-1, 2, bias.shape).astype(np.float32)
    layer.set_weights([kernel, recurrent, bias])
    names = ("kernel:0", "recurrent_kernel:0", "bias:0")
    found = list(uc.read({f"conv_lstm2d/{name}": w for name, w in zip(names, layer.get_weights(), strict=True)}))
    shape, inputs = (1, SIDE, SIDE, UNITS), torch.zeros(1, SIDE, SIDE, INPUTS)
    whole = jacobian(lambda c: layer.cell(inputs, [torch.zeros(shape), c.view(shape)])[1][1], SIDE * SIDE * UNITS)
    return found, whole


def of_dreamer() -> tuple[list[uc.recurrence.RecurrentLayer], np.ndarray]:
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


CELLS = {
    ("sru", "SRU"): of_sru,
    ("keras", "ConvLSTM2D"): of_convlstm,
    ("sheeprl", "LayerNormGRUCell"): of_dreamer,
}


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    print(HEAD.format(date=dt.datetime.now(dt.UTC).date()))
    for (package, name), make in CELLS.items():
        (layer,), own = make()
        read = np.tile(np.real(layer.diagonal), len(own) // layer.linear.units)
        distance = np.abs(np.sort(np.linalg.eigvals(own).real) - np.sort(read)).max()
        family = layer.linear.family.name
        print(f"| {package} {version(package)} | {name} | {family} | {layer.linear.size} | {distance:.0e} |")


if __name__ == "__main__":
    main()
