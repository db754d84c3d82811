"""Gradient flow: the norm of the gradient at every time step, layer and batch element."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle._keywords import right_keywords
from unitcircle.dynamics._batch import refusing
from unitcircle.dynamics._flow_by_lag import GradientFlow, Norm, joined
from unitcircle.dynamics._hand_written import HandWritten, hand_written
from unitcircle.dynamics._lag_curves import LagCurves, lag_curves
from unitcircle.dynamics._objective import Objective
from unitcircle.dynamics._prepared import prepared
from unitcircle.dynamics._recorded_run import NoLayerError, RecordedRun, check_recorded, recorded
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._scans import scan
from unitcircle.dynamics._stack import StackRecurrence
from unitcircle.dynamics._state_gradients import ScanGradients, StateGradients
from unitcircle.dynamics._trajectories import Point, StateRecord, Trajectory
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.torch import Rng, generator_of

_DIFFERENTIABLE = "must be differentiable from its states to its output"


@right_keywords
def gradient_flow(
    model: nn.Module | Recurrence,
    batch: Any,
    /,
    loss: Callable[..., Tensor] | None = None,
    *,
    norm: Norm = "gradient",
    probes: int = 8,
    at: Sequence[str] = (),
    rng: Rng = 0,
    dtype: torch.dtype | None = torch.float64,
) -> GradientFlow:
    """Measure how the norm of the gradient changes with the lag, in one forward and one backward pass.

    ::

        gradient   ‖∂L/∂s_t‖ for the loss, or for L = v·h_T with a random v, ‖v‖² ≈ n
        jacobian   ‖∂h_T/∂s_t‖_F, from E ‖vᵀ ∂h_T/∂s_t‖² over random signs v, or exact (``probes``)
        spectral   ‖∂h_T/∂s_t‖_2, exact, at the cost of n cotangents

    ``s_t`` is a layer's full state (of an LSTM h and c together; ``parts`` has each), ``h_T`` the last output of the
    last recurrent layer. Of a loss, the gradient of each part is total, as ``retain_grad`` gives it at the tensors that
    a cell returns: that of c includes what flows through the h of its own step. In the Jacobians, and of a
    :class:`Recurrence`, whose state is one vector, h and c are independent coordinates.

    States are followed by identity through chunks and loops of calls; where the model changes a state between two
    calls, by a mask or steps of a solver, s_t is the one that the next call gets. Each sequence is counted back from
    its end: of a ``PackedSequence`` its length, else the argument ``lengths`` of the model, or the last state that the
    loss reads.
    Fused layers are run in plain operations. The model is left as found; dropout is off.

    Parameters
    ----------
    model
        Any module with nn.RNN, nn.GRU, nn.LSTM or their Cells inside, or a :class:`Recurrence`. Of a module that calls
        none of them, the loops that it computes itself are measured, as :func:`hand_written` does, except for
        ``norm="spectral"``.
    batch
        Inputs, ``(inputs, target)``, a dictionary of the model's arguments, or another form that :func:`prepared`
        takes.
    loss
        ``loss(output)`` or ``loss(output, target)``, a scalar. None: the usual loss of the target, else the one that
        the model returns (see :func:`prepared`), else a random cotangent.
    norm
        The norm to measure.
    probes
        Number of random cotangents for ``norm="jacobian"``. With as many as the last outputs have entries the norm is
        exact, and its standard error 0.
    at
        Names of submodules that a hand-written recurrence calls once per step with its state as first argument, such
        as ``("h2h",)``. Their states are counted from the first call.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the cotangents.
    dtype
        Precision of the copy of the parameters that is measured; None for the model's own.

    Returns
    -------
    GradientFlow
        Log-norms by lag, with growth rate, horizon and the worst step.

    Raises
    ------
    ArgumentError
        No recurrent layer was found, or the model mixes precisions.
    UnknownNameError
        No such norm, or no such submodule.

    References
    ----------
    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks (2013), eqs. 3-5.

    Examples
    --------
    >>> flow = gradient_flow(nn.LSTM(3, 16), torch.randn(50, 4, 3))
    >>> flow.layers, flow.log_norms.shape
    (('l0',), (51, 1, 4))
    """
    if norm not in {"gradient", "jacobian", "spectral"}:
        raise UnknownNameError("norm", norm, ("gradient", "jacobian", "spectral"))
    if isinstance(model, Recurrence):
        with model.as_found(), torch.enable_grad():
            run = _run_recurrence(model, batch)
            value = Objective(loss)(run.output, None)
            with refusing("model", _DIFFERENTIABLE):
                return flow_of(run, value, "gradient" if value is not None else norm, probes=probes, rng=rng)
    module, ready, objective_of = prepared(model, batch, loss)

    def objective(run: RecordedRun) -> Tensor | None:
        check_recorded(run, module)
        return objective_of(run.output, run.target, optional=norm != "gradient")

    try:
        with recorded(module, ready, at=at, dtype=dtype, objective=objective) as (run, value):
            return flow_of(run, value, norm, probes=probes, rng=rng)
    except NoLayerError as error:
        measure = None
        if norm != "spectral" and not at:
            measure = partial(hand_written, module, ready, loss, rng=rng, dtype=dtype)
        return _of_loops(measure, norm, probes, error)


def _of_loops(
    measure: Callable[..., HandWritten] | None, norm: Norm, probes: int, error: ArgumentError
) -> GradientFlow:
    """Return the flow of the loops that a model computes itself, or raise the error that it calls no layer."""
    loops = () if measure is None else measure(probes=probes if norm == "jacobian" else 0).layers
    if not loops:
        raise error
    return joined([loop.jacobian or loop.gradient for loop in loops], norm)


def flow_of(run: RecordedRun, objective: Tensor | None, norm: Norm, /, *, probes: int, rng: Rng) -> GradientFlow:
    """Return the norms of the gradient of a scalar, or of the Jacobian up to where it reads each sequence."""
    record = run.record
    source = run.gradients
    trajectories = record.trajectories
    given = {name: run.lengths_of(trajectory) for name, trajectory in trajectories.items()}
    with refusing("model", _DIFFERENTIABLE):
        if objective is not None and norm == "gradient":
            return _flow(run, source.of_loss(objective, given), norm)
        if objective is not None and any(trajectory.batch > 1 for trajectory in trajectories.values()):
            # The loss says after which step each sequence is read.
            read = source.of_loss(objective, given)
            given = {name: _read_after(t, read[name], given[name]) for name, t in trajectories.items()}
        draw = partial(_cotangents, norm=norm, probes=probes, generator=generator_of(rng))
        gradients, count, exact = _of_ends(source, record, given, draw)
        curves: dict[str, LagCurves] = {}
        for name, t in trajectories.items():
            curve = lag_curves(t, gradients, count, norm == "spectral", given[name])
            known = any(id(part) in exact for part in t.tensors)
            curves[name] = replace(curve, error=np.zeros_like(curve.error)) if known else curve
    return _flow(run, curves, norm)


def _run_recurrence(recurrence: Recurrence, inputs: Any) -> RecordedRun:
    xs = recurrence.sequence(inputs)
    steps: Sequence[Tensor | None] = [None] * xs if isinstance(xs, int) else xs.unbind(0)
    batch = 1 if isinstance(xs, int) else xs.shape[1]
    if isinstance(recurrence, StackRecurrence) and len(recurrence.cells) == 1 and not isinstance(xs, int):
        return _run_scan(recurrence, xs)
    states = [recurrence.initial(batch).detach().requires_grad_()]
    for x in steps:
        states.append(recurrence.step(x, states[-1]))
    record = StateRecord()
    points = [Point((state,)) for state in states]
    record.add(recurrence.name, Trajectory(recurrence.name, 0, 0, points, end=points[-1].parts))
    record.last = (recurrence.name, 0)
    return RecordedRun(record, states[-1], None, None, ())


def _run_scan(recurrence: StackRecurrence, xs: Tensor) -> RecordedRun:
    """Run one standard cell by its scan: a sixth to a half of the time of its steps in a graph."""
    (cell,), (start,) = recurrence.cells, recurrence.split(recurrence.initial(xs.shape[1]), -1)
    ran = scan(cell, xs, start)
    states = recurrence.join([ran.states], -1)
    end = states[-1].clone().requires_grad_()
    record = StateRecord()
    points = [Point((state,)) for state in states.unbind(0)]
    record.add(recurrence.name, Trajectory(recurrence.name, 0, 0, points, end=(end,), stacked=(states,)))
    record.last = (recurrence.name, 0)
    return RecordedRun(record, end, None, None, (), scanned=ScanGradients(record, ran, cell.sizes))


def _read_after(trajectory: Trajectory, read: LagCurves, given: Tensor | None) -> Tensor | None:
    """Return after how many steps the loss reads each sequence; None where each is read at its last step."""
    if trajectory.lengths is not None or trajectory.changed:
        return given
    lengths = torch.from_numpy(read.lengths)
    return None if bool((lengths == trajectory.steps).all()) else lengths


def _of_ends(
    source: StateGradients,
    record: StateRecord,
    given: Mapping[str, Tensor | None],
    draw: Callable[[Sequence[Tensor]], tuple[list[Tensor], bool]],
) -> tuple[dict[int, Tensor], int, set[int]]:
    """Return the products of cotangents of the last outputs with ∂h_T/∂s_t, and how many cotangents there are."""
    # And of which tensors the mean square over the cotangents is that of the Jacobian, not an estimate.
    remaining = dict(record.trajectories)
    top = {id(t) for t in record.top}
    first = {name: t for name, t in remaining.items() if id(t) in top}
    gradients: dict[int, Tensor] = {}
    count, exact = 1, set[int]()
    while remaining:
        ends = source.differentiable({name: t.at_ends(given[name]) for name, t in first.items()})
        if ends:
            cotangents, complete = draw(list(ends.values()))
            count = len(cotangents[0])
            found = source.of_ends(ends, cotangents, given, gradients)
            exact |= found.keys() if complete else set()
            gradients |= found
        # A layer that the outputs do not depend on, such as another encoder, is measured up to its own.
        remaining = {
            name: t
            for name, t in remaining.items()
            if name not in first and not any(id(part) in gradients for part in t.tensors)
        }
        first = dict([next(reversed(remaining.items()))]) if remaining else {}
    return gradients, count, exact


def _cotangents(
    ends: Sequence[Tensor], norm: Norm, probes: int, generator: torch.Generator
) -> tuple[list[Tensor], bool]:
    """Return cotangents ``(K, B, p)`` of the last outputs, and whether their mean square is that of all directions."""
    if probes < 2 and norm == "jacobian":
        raise ArgumentError("probes", "must be at least 2, since their scatter gives the error", f"{probes}")
    count = probes if norm == "jacobian" else 1
    sizes = [end.shape[-1] for end in ends]
    if norm == "spectral" or (norm == "jacobian" and count >= sum(sizes)):
        units = torch.eye(sum(sizes), dtype=ends[0].dtype, device=ends[0].device)
        if norm == "jacobian":
            # Rows of zeros, since the layers below may need more cotangents; the mean is over all rows.
            units = torch.cat([units, units.new_zeros(count - len(units), len(units))]) * count**0.5
        blocks = units.split(sizes, 1)
        return [block.unsqueeze(1).expand(-1, len(end), -1) for block, end in zip(blocks, ends, strict=True)], True
    signs = [torch.randint(0, 2, (count, *end.shape), generator=generator, device=generator.device) for end in ends]
    return [(2 * s - 1).to(end.dtype).to(end.device) for s, end in zip(signs, ends, strict=True)], False


def _flow(run: RecordedRun, curves: Mapping[str, LagCurves], norm: Norm) -> GradientFlow:
    length = max(len(curve.whole) for curve in curves.values())
    batch = max(len(curve.lengths) for curve in curves.values())

    def together(columns: Sequence[np.ndarray | None]) -> np.ndarray:
        values = np.full((length, len(columns), batch), np.nan)
        for k, column in enumerate(columns):
            if column is not None:
                values[: len(column), k, : column.shape[1]] = column
        return values

    kinds = max(len(curve.parts) for curve in curves.values())
    parts = {
        name: together([curve.parts[j] if j < len(curve.parts) else None for curve in curves.values()])
        for j, name in enumerate("hc"[:kinds])
    }
    trajectories = run.record.trajectories
    return GradientFlow(
        tuple(curves),
        together([curve.whole for curve in curves.values()]),
        parts,
        together([curve.error for curve in curves.values()]),
        norm,
        tuple(curve.lengths for curve in curves.values()),
        tuple(
            tuple(sorted(int(curves[name].lengths.max()) - cut for cut in t.cuts)) for name, t in trajectories.items()
        ),
        tuple(t.calls for t in trajectories.values()),
        run.notes,
    )
