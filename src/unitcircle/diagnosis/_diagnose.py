"""Diagnosing a file, layers or a live model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from unitcircle._array import to_numpy
from unitcircle._keywords import right_keywords
from unitcircle._renamed import renamed_arguments
from unitcircle.checkpoints import Coverage
from unitcircle.diagnosis._diagnosis import Diagnosis
from unitcircle.diagnosis._driven import DrivenTogether
from unitcircle.diagnosis._examination import DEFAULT_STEPS, Examination, LayerExamination
from unitcircle.diagnosis._optimizer import regularization_of
from unitcircle.diagnosis._rule import select_rules
from unitcircle.diagnosis._subject import Subject, is_live, is_live_jax, subject_of, without_complex
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.recurrence import RecurrentLayer
from unitcircle.report import Progress

if TYPE_CHECKING:
    from torch import nn

SEEDS = 5
"""Draws of each initializer that is tried, by default."""
MAX_STEPS = 1_000_000
"""The longest length that is judged."""
Rng = int | np.random.Generator


@overload
def diagnose(
    model: Any,
    /,
    *,
    steps: int | None = None,
    data: np.ndarray | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    rng: Rng = 0,
) -> Diagnosis: ...


@overload
def diagnose(
    model: nn.Module,
    /,
    *,
    steps: int | None = None,
    data: np.ndarray | None = None,
    at: Sequence[Any] = (),
    optimizer: Any = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    rng: Rng = 0,
) -> Diagnosis: ...


@overload
def diagnose(
    model: nn.Module,
    batch: Any,
    /,
    *,
    steps: int | None = None,
    loss: Callable[..., Any] | None = None,
    at: Sequence[Any] = (),
    optimizer: Any = None,
    try_initializers: Sequence[Any] = (),
    seeds: int = SEEDS,
    weights: Mapping[str, float] | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    rng: Rng = 0,
) -> Diagnosis: ...


@overload
def diagnose(
    model: Callable[..., Any],
    batch: Any,
    /,
    *,
    params: Any = None,
    steps: int | None = None,
    loss: Callable[..., Any] | None = None,
    try_initializers: Sequence[Any] = (),
    seeds: int = SEEDS,
    weights: Mapping[str, float] | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    rng: Rng = 0,
) -> Diagnosis: ...


@renamed_arguments(seed="rng")
@right_keywords
@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what is not finite is a finding, and no warning
def diagnose(  # noqa: PLR0913  (one door for files and modules; the overloads say which arguments belong together)
    model: Any,
    batch: Any = None,
    /,
    *,
    params: Any = None,
    steps: int | None = None,
    data: np.ndarray | None = None,
    loss: Callable[..., Any] | None = None,
    at: Sequence[Any] = (),
    optimizer: Any = None,
    try_initializers: Sequence[Any] = (),
    seeds: int = SEEDS,
    weights: Mapping[str, float] | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    rng: Rng = 0,
) -> Diagnosis:
    """Measure every recurrent layer and report defects as a linter does.

    The weights of a file, of layers, or of a PyTorch module without a batch are judged by what the rebuilt cells do
    (findings UC1xx). With a batch the module is also run, once forwards and once backwards, and judged by its
    gradients, states and gates (findings UC2xx). Its parameters, training mode and random state are left unchanged.

    Parameters
    ----------
    model
        A file, a state dict, other arrays that :func:`unitcircle.read` reads, or its return value; recurrent layers; a
        ``torch.nn.Module``; or a Keras model, a flax ``nnx`` module or the variables of flax modules, whose weights
        are judged. With a batch also a model of JAX: an ``nnx`` module, a linen module with ``params`` or bound, a
        callable tree of arrays (equinox, ``jax.tree_util.Partial``), or a function of ``params``; its ``lax.scan``
        loops are measured (:func:`unitcircle.jax.live_scans`).
    batch
        Only for a module or a model of JAX: inputs, ``(inputs, target)``, a dictionary of its arguments, of tensors or
        NumPy arrays, or for torch a ``DataLoader``, whose first batch is taken; all forms of
        :func:`unitcircle.dynamics.prepared`.
        Without it the module is not run.
    params
        Only for a model of JAX, with a batch: the variables of a linen module, or the first argument of a function
        ``f(params, *inputs)`` that returns outputs or, as a scalar, the loss. A function ``f(params, batch)`` gets the
        batch whole, by that name.
    steps
        The length T over which the network must carry a signal (steps). With a batch the default, and the maximum, is
        its length. Otherwise the report answers for 64 steps, and no finding is about the length.
    data
        Only without a batch: inputs ``(time, batch, m)`` that drive the layers of input size m; standard-normal
        inputs by default.
    loss
        Only for a module: ``loss(output)`` or ``loss(output, target)``. The default is cross entropy or squared error
        if there is a target, else the loss that the model returns, and a random cotangent otherwise.
    at
        Only for a module: submodules or parameters, by name, or parameters themselves, that act on the state of a loop.
        With a batch such loops are found without it; a name that acts on no state is refused. Without a batch each must
        hold a square weight.
    optimizer
        Only for a module: the ``torch.optim.Optimizer`` that trains it, or another object with its ``param_groups``;
        what it does to the parameters of decays is judged (finding UC120).
    try_initializers
        Only for a module and a batch: initializers to try on copies of it. Each is a text such as ``"orthogonal"``,
        ``"orthogonal + chrono(max_steps=64)"`` or ``"identity + bias=zeros"``, an initializer, or a mapping of
        arguments of :func:`unitcircle.torch.initialize_`; ``"remedies"`` stands for those that fit the cells and the
        length.
    seeds
        Only with ``try_initializers``: draws of each, at least 5.
    weights
        Only with ``try_initializers``: weights of the ranking, criterion (``"flow"``, ``"typical_direction"``,
        ``"effective_dimension"``) → weight. The defaults are the rank correlations of the criteria with trained scores
        in the shipped study ``prediction``.
    select, ignore
        Codes, or beginnings of codes, to run or to leave out; ``ignore`` applies to what is selected.
    rng
        Seed or NumPy generator of inputs, probes and draws: the same seed gives the same diagnosis.

    Returns
    -------
    Diagnosis
        Findings, measurements, coverage.

    Raises
    ------
    ArgumentError
        ``steps`` is not positive or exceeds the batch, or an argument is not for this kind of model.
    CheckpointError
        The file cannot be read, or is refused.
    UnknownNameError
        A code matches no rule.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.recurrence import from_torch
    >>> weight = np.vstack([np.eye(4), np.zeros((12, 4))])
    >>> diagnosis = diagnose([from_torch(weight, cell="lstm", bias_ih=np.zeros(16), name="lstm")], steps=20)
    >>> diagnosis.answer.sentence
    'lstm: carries a signal over 20 steps? no: 1/1000 is left after 10 steps'
    >>> [finding.code for finding in diagnosis.findings]
    ['UC102', 'UC106', 'UC110']
    """
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise ArgumentError("steps", f"must be a positive number of steps, at most {MAX_STEPS:,}", repr(steps))
    rules = list(select_rules(select, ignore))
    seed = _seed_of(rng)
    if optimizer is not None and not is_live(model):
        raise ArgumentError("optimizer", "must be given for a torch.nn.Module", type(model).__name__)
    if params is not None and (batch is None or not is_live_jax(model, params)):
        rule, remedy = (
            "must be given with a batch, for a model of JAX",
            "Pass diagnose(function, batch, params=params).",
        )
        raise ArgumentError("params", rule, type(model).__name__, remedy)
    if is_live(model) and batch is not None:
        if data is not None:
            raise ArgumentError("data", "must not be given beside a batch, on which a module is run", "both")
        # They import torch, which is loaded already because the model is a module.
        from unitcircle.diagnosis import _live_examination as live  # noqa: PLC0415
        from unitcircle.dynamics import prepared  # noqa: PLC0415

        model, batch, loss = prepared(model, batch, loss)
        execution = live.Execution(batch, loss, tuple(at), seed)
        examination, coverage = live.examine(
            model, execution, steps=steps, initializers=try_initializers, seeds=seeds, weights=weights
        )
        subject = Subject((), coverage, type(model).__name__, "live")
    elif batch is not None and is_live_jax(model, params):
        if data is not None or at:
            rule = "must not be given for a model of JAX on a batch, whose scans are found without names"
            raise ArgumentError("at" if at else "data", rule, "both")
        from unitcircle.diagnosis import _jax_examination as live_jax  # noqa: PLC0415  (JAX is loaded already)

        examination, coverage, name = live_jax.examine(
            model, batch, params, loss, steps=steps, initializers=try_initializers, seeds=seeds, weights=weights,
            seed=seed,
        )  # fmt: skip
        subject = Subject((), coverage, name, "live")
    else:
        run_options = (loss, try_initializers, weights, seeds != SEEDS)
        if is_live(model):
            if any(map(bool, run_options)):
                rule = "must be given for loss, try_initializers, seeds and weights"
                raise ArgumentError("batch", rule, "none", "Pass diagnose(model, batch).")
        elif batch is not None or at or any(map(bool, run_options)):
            rule = (
                "must be a torch.nn.Module, or a model of JAX, for batch, loss, at, try_initializers, seeds and weights"
            )
            remedy = "Without them the weights of others are judged, and data= drives their layers."
            raise ArgumentError("model", rule, type(model).__name__, remedy)
        subject = without_complex(subject_of(model, at))
        trained = any("optimizer" in entry.reason for entry in (subject.coverage or Coverage()).skipped)
        examination = _examine(subject.layers, steps, data, seed, optimizer=trained)
        _measure_in_sight(examination.layers, rules)
    if optimizer is not None:
        examination = replace(examination, optimizer=regularization_of(optimizer, model))
    findings = [finding for rule in rules for finding in rule.findings(examination)]
    findings.sort(key=lambda finding: -finding.severity)  # stable: within a severity by code, then by place
    return Diagnosis(subject.name, subject.format, examination, tuple(findings), subject.coverage)


def _seed_of(rng: Rng) -> int:
    """Return the seed itself, or one drawn from the generator."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**31))
    if isinstance(rng, Integral) and rng >= 0:
        return int(rng)
    raise ArgumentError("rng", "must be a seed, 0 or more, or a numpy.random.Generator", repr(rng))


def _examine(
    layers: Sequence[RecurrentLayer], steps: int | None, data: np.ndarray | None, seed: int, *, optimizer: bool
) -> Examination:
    """Return the examination of layers without their model."""
    if data is not None:
        _check_data(data, layers)
    length = DEFAULT_STEPS if steps is None else steps
    together = DrivenTogether(layers, length, seed)
    examined = [LayerExamination(layer, length, data, seed, together=together) for layer in layers]
    return Examination(examined, length, steps_given=steps is not None, optimizer_state=optimizer)


def _measure_in_sight(layers: Sequence[LayerExamination], rules: Sequence[object]) -> None:
    """Measure layer by layer with a display, on a terminal; elsewhere each measurement waits until it is asked for."""
    with Progress("layers") as progress:
        if len(rules) == 1 or not progress.is_shown:
            return
        progress.expect(len(layers))
        for layer in layers:
            layer.measure()
            progress.advance()


def _check_data(data: np.ndarray, layers: Sequence[RecurrentLayer]) -> None:
    data = to_numpy(data, argument="data")
    sizes = sorted({layer.input_size for layer in layers if layer.input_size})
    if data.ndim != 3 or not data.size or data.shape[-1] not in sizes:
        fits = " or ".join(map(str, sizes)) or "m; no layer here has input weights to drive"
        raise ShapeError("data", f"must have shape (time, batch, m) with m = {fits}", f"shape {data.shape}")
