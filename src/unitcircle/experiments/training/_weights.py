"""The initial weights of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from unitcircle.errors import ArgumentError
from unitcircle.experiments.models import Parameter, Role, TrainableCell
from unitcircle.experiments.training._run import Run
from unitcircle.initializers import GateBias, Initializer


def initial_parameters(
    parameters: Mapping[str, Parameter],
    runs: Sequence[Run],
    /,
    *,
    cell: TrainableCell,
    dtype: torch.dtype,
    device: torch.device,
) -> dict[str, Tensor]:
    """Draw the parameters of many runs, each from its own seed, in double precision, and stack them.

    Every parameter has its own random stream, given by its name and the seed: two runs that differ only in the
    recurrent initializer have the same input weights, readout and data. A twin has another stream for its recurrent
    weights and the same streams for all else.

    Parameters
    ----------
    parameters
        Shapes and roles.
    runs
        The runs, one seed each.
    cell
        The cell, whose gates a forget bias sets.
    dtype, device
        Of the result.

    Returns
    -------
    dict
        Name → ``(R, ...)``.

    Raises
    ------
    ArgumentError
        An initializer is complex where the weight is real, or a forget bias is named for a cell without gates.

    Examples
    --------
    Two runs that differ in the recurrent initializer only have the same input weights:

    >>> import torch
    >>> from unitcircle.experiments.models import Tanh
    >>> runs = [Run("adding(length=10)", "tanh(size=8)", recurrent) for recurrent in ("orthogonal", "identity")]
    >>> where = {"dtype": torch.float32, "device": torch.device("cpu")}
    >>> drawn = initial_parameters(Tanh(size=8).parameters(2), runs, cell=Tanh(size=8), **where)
    >>> drawn["recurrent"].shape, bool((drawn["input"][0] == drawn["input"][1]).all())
    (torch.Size([2, 8, 8]), True)
    """
    weights = {name: np.stack([_draw(name, p, run, cell) for run in runs]) for name, p in parameters.items()}
    return {name: torch.as_tensor(value).to(device, dtype) for name, value in weights.items()}


def _draw(name: str, parameter: Parameter, run: Run, cell: TrainableCell) -> np.ndarray:
    twin = run.twin if parameter.role is Role.RECURRENT else 0
    rng = np.random.default_rng([crc32(name.encode()), run.seed, twin])
    if parameter.role is Role.OWN:
        return _real(parameter.own, rng.standard_normal(parameter.shape))
    if parameter.role is Role.READOUT:
        return _real(Initializer.parse(run.readout), rng.standard_normal(parameter.shape))
    block = (parameter.shape[0] // len(parameter.gates), *parameter.shape[1:])
    draws = {gate: rng.standard_normal(block) for gate in parameter.gates}
    if parameter.role is Role.BIAS:
        return np.concatenate(list(_biases(Initializer.parse(run.bias), draws, cell).values()))
    init = Initializer.parse(run.recurrent if parameter.role is Role.RECURRENT else run.input)
    scale = 1.0 if parameter.role is Role.RECURRENT else run.input_scale
    return scale * np.concatenate([_real(init, z) for z in draws.values()])


def _real(init: Initializer | None, z: np.ndarray) -> np.ndarray:
    assert init is not None, "a parameter with the role OWN has its initializer"
    weight = init(z)
    if np.iscomplexobj(weight):
        raise ArgumentError("initializer", "must be real for a real weight", str(init))
    return weight


def _biases(init: Initializer, draws: dict[str, np.ndarray], cell: TrainableCell) -> dict[str, np.ndarray]:
    if not isinstance(init, GateBias):
        return {gate: _real(init, z) for gate, z in draws.items()}
    if cell.gated is None:
        raise ArgumentError("bias", f"must be zeros or constant for {cell.name}, which has no gates", str(init))
    # One draw decides all gates: an LSTM's input gate is closed where its forget gate is open.
    decided = init.gates(next(iter(draws.values())), cell=cell.gated)
    return {gate: decided.get(gate, np.zeros_like(z)) for gate, z in draws.items()}
