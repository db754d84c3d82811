"""Recurrences that are written as loops: found by running a model once, and measured by autograd."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from unitcircle._keywords import right_keywords
from unitcircle.dynamics._batch import Batch, call
from unitcircle.dynamics._flow_by_lag import GradientFlow
from unitcircle.dynamics._loop_flow import GraphDerivatives, Outputs, StateLayout, tops
from unitcircle.dynamics._loop_recurrences import FEWEST, LoopRecurrence, loop_recurrences
from unitcircle.dynamics._manner import as_in_training
from unitcircle.dynamics._opaque import opaque
from unitcircle.dynamics._prepared import prepared
from unitcircle.dynamics._program_loops import ProgramLoops
from unitcircle.dynamics._recorded_run import lengths_in
from unitcircle.dynamics._restoration import evaluation_mode
from unitcircle.dynamics._run_graph import RunGraph
from unitcircle.torch import Rng, generator_of

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class HandWrittenLayer:
    """A recurrence that a model computes in a loop of its own, and its measurements.

    Attributes
    ----------
    name
        The module, or the parameter, that acts on the state.
    parameters
        Qualified names of the parameters that act on the state.
    shapes
        Shapes of the tensors of the state after the last step, in the order in which a step makes them.
    state_size
        Entries of the state of one sequence.
    gradient
        ‖∂L/∂s_t‖ by lag.
    jacobian
        ‖∂s_T/∂s_t‖_F by lag, from random cotangents; None if it was not asked for.
    gated
        Whether a step multiplies a value that depends on the state by a gate: one that a bounded function of the input
        or the state computes, all of whose values lie in [0, 1].

    Examples
    --------
    >>> class Half(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.W = nn.Parameter(0.5 * torch.eye(3))
    ...
    ...     def forward(self, xs):
    ...         h = torch.zeros(xs.shape[1], 3)
    ...         for x in xs:
    ...             h = h @ self.W + x
    ...         return h
    >>> from unitcircle.dynamics import hand_written
    >>> (layer,) = hand_written(Half(), torch.ones(20, 4, 3), lambda h: h.sum()).layers
    >>> layer.name, layer.parameters, layer.state_size
    ('W', ('W',), 3)
    """

    name: str
    parameters: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    state_size: int
    gradient: GradientFlow
    jacobian: GradientFlow | None
    gated: bool = False


@dataclass(frozen=True, eq=False)
class HandWritten:
    """The hand-written recurrences of a model.

    Attributes
    ----------
    layers
        In the order in which they begin.
    unrecognised
        Parameter → how often it is applied one after the other, of those that belong to no recurrence found although
        it is three times or more.
    parallel
        Functions that run a linear recurrence as one operation along time, if the model calls them outside of a loop.
    notes
        How the run differs from one in training: dropout, normalization, teacher forcing.
    """

    layers: tuple[HandWrittenLayer, ...] = ()
    unrecognised: dict[str, int] = field(default_factory=dict[str, int])
    parallel: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Run(NamedTuple):
    """One run of a model: what it returned, its graph and the sizes of its inputs."""

    objective: Tensor | None
    graph: RunGraph
    sizes: tuple[int, ...]


@right_keywords
def hand_written(
    model: nn.Module,
    batch: Any,
    /,
    loss: Callable[..., Tensor] | None = None,
    *,
    known: Collection[str] = (),
    probes: int = 0,
    rng: Rng = 0,
    dtype: torch.dtype | None = torch.float64,
) -> HandWritten:
    """Find the recurrences that a model computes in loops of its own, and measure them.

    The model is run once. A recurrence is a loop of the program whose iterations apply the same parameters; its state
    s_t is what the iterations up to t made and later ones read, without running sums that nothing reads and without
    what is a function of the rest and of constants. ∂L/∂s_t is the total derivative, as ``retain_grad`` gives it;
    of a part that a step leaves as it was, that of all that reads it, also of earlier steps.

    Parameters
    ----------
    model
        Any module.
    batch
        Inputs in any form that :func:`prepared` takes.
    loss
        As for :func:`gradient_flow`. Without loss and target L = v·s_T with random signs v.
    known
        Qualified names of parameters whose recurrences are measured otherwise, and left out.
    probes
        Number of random cotangents of the Jacobian; 0 to leave it out. With as many as the last state of a sequence has
        entries the norm is exact, and its standard error 0.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the cotangents.
    dtype
        Precision of the copy of the parameters that is measured; None for the model's own.

    Returns
    -------
    HandWritten
        The recurrences with their measurements, and what was not recognised.

    Examples
    --------
    >>> class Loop(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.linear = nn.Linear(3 + 8, 8)
    ...
    ...     def forward(self, xs):
    ...         h = torch.zeros(xs.shape[1], 8)
    ...         for x in xs:
    ...             h = torch.tanh(self.linear(torch.cat([x, h], -1)))
    ...         return h
    >>> (layer,) = hand_written(Loop(), torch.randn(20, 4, 3), lambda h: h.sum(), dtype=None).layers
    >>> layer.name, layer.shapes, layer.gradient.log_norms.shape
    ('linear', ((4, 8),), (21, 1, 4))
    """
    model, ready, objective_of = prepared(model, batch, loss)
    generator = generator_of(rng)

    def measure(part: nn.Module, names: Mapping[int, str], *, differentiable: bool) -> HandWritten:
        inputs: list[Tensor] = []
        program = ProgramLoops(differentiable=differentiable, dtype=dtype)
        output, target = call(partial(_run, part, program, inputs), ready, dtype)
        objective = objective_of(output, target)
        leaves = [leaf for leaf in pytree.tree_leaves((objective, output)) if isinstance(leaf, Tensor)]
        graph = RunGraph.of(leaves, program, names, dict(part.named_parameters()))
        run = _Run(objective, graph, tuple(inputs[0].shape[:2]) if inputs else ())
        found = loop_recurrences(run.graph)
        unknown = [one for one in found if not set(one.parameters) & set(known)]
        derivatives = GraphDerivatives(run.graph, generator)
        layouts = {one: StateLayout.of(one, run.sizes, derivatives) for one in unknown}
        given = lengths_in(ready)
        if run.objective is not None:
            reference: Outputs = ([run.objective], [None])
        else:
            roots = [leaf for leaf in leaves if leaf.requires_grad] if given is not None else []
            read = roots, [torch.ones_like(root) for root in roots]
            last = {one: layouts[one].flow(one, [derivatives.at(one.values, read)], "gradient", given=given)
                    for one in tops(unknown, run.graph)}  # fmt: skip
            slots = [slot for one, flow in last.items() for slot in layouts[one].ends(one, flow, run.graph)]
            reference = derivatives.signs([end for slot in slots for end in slot])
        layers = tuple(_measured(one, layouts[one], reference, probes, derivatives, given) for one in unknown)
        covered = {name for one in found for name in one.parameters} | set(known)
        chains = run.graph.longest_chains()
        unread = {k: uses for k, uses in chains.items() if uses >= FEWEST and k not in covered}
        return HandWritten(layers, unread, () if found else graph.parallel(), program.notes)

    if known and (nothing := _nothing_else(model, ready, set(known))) is not None:
        return nothing
    with evaluation_mode(model), torch.enable_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True")
        state = torch.random.get_rng_state()
        try:
            found, notes = _with_copies(model, dtype, partial(measure, differentiable=True))
        except Exception:
            torch.random.set_rng_state(state)
            found, notes = _with_copies(model, dtype, partial(measure, differentiable=False))
        return replace(found, notes=_how_run(notes, found.notes))


def _nothing_else(model: nn.Module, batch: Batch, known: set[str]) -> HandWritten | None:
    """Return that no loop and no chain is left if known layers are single nodes: a run in the model's precision."""

    def found(part: nn.Module, names: Mapping[int, str]) -> tuple[bool, tuple[str, ...]]:
        program = ProgramLoops(differentiable=True)
        with opaque(part, known):
            output, _ = call(partial(_run, part, program, []), batch, None)
        leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
        graph = RunGraph.of(leaves, program, names, dict(part.named_parameters()))
        loops = [one for one in loop_recurrences(graph) if not set(one.parameters) & known]
        chained = any(uses >= FEWEST for name, uses in graph.longest_chains().items() if name not in known)
        return bool(loops) or chained or bool(graph.parallel()), program.notes

    with evaluation_mode(model), torch.enable_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True")
        try:
            (other, functional), notes = _with_copies(model, None, found)
        except Exception:  # the run that measures says what is wrong
            return None
    return None if other else HandWritten(notes=_how_run(notes, functional))


def _how_run(notes: list[str], functional: tuple[str, ...]) -> tuple[str, ...]:
    """Return the notes on a run; a layer of dropout calls the function, and one note is enough."""
    return tuple(notes) if any(note.startswith("dropout") for note in notes) else (*notes, *functional)


class _Within(nn.Module):
    """Calls a function on a module, whose parameters are copies as long as the call lasts."""

    def __init__(self, model: nn.Module, function: Callable[[nn.Module], Any]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self) -> Any:
        return self.function(self.model)


def _with_copies(
    model: nn.Module, dtype: torch.dtype | None, measure: Callable[[nn.Module, Mapping[int, str]], Result]
) -> tuple[Result, list[str]]:
    """Measure a model with copies of its parameters and buffers, in the backward pass too, which may run it again."""
    # It is run as in training; how it differs from that is returned too.

    def take(tensor: Tensor, *, gradient: bool = True) -> Tensor:
        tensor = tensor.detach()
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return tensor.clone()
        copy = tensor.to(dtype or tensor.dtype, copy=True) if tensor.is_floating_point() else tensor.clone()
        return copy.requires_grad_(gradient)

    tensors = {name: take(t) for name, t in model.named_parameters()}
    # A fixed recurrent weight is a buffer; running statistics, which are vectors, may not require gradients.
    tensors |= {name: take(t, gradient=t.ndim > 1) for name, t in model.named_buffers()}
    with as_in_training(model, tensors) as notes:
        names = {id(tensor): name for name, tensor in tensors.items()}
        within = _Within(model, lambda part: measure(part, names))
        found = functional_call(within, {f"model.{name}": tensor for name, tensor in tensors.items()}, ())
    return found, notes


def _run(model: nn.Module, program: ProgramLoops, inputs: list[Tensor], /, *args: Any, **kwargs: Any) -> Any:
    args, kwargs = pytree.tree_map(lambda leaf: _input(leaf, inputs, program.differentiable), (args, kwargs))
    with program:
        return model(*args, **kwargs)


def _input(leaf: Any, inputs: list[Tensor], differentiable: bool) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    inputs.append(leaf)
    if not differentiable or not (leaf.is_floating_point() or leaf.is_complex()):
        return leaf
    return leaf.detach().clone().requires_grad_().clone()


def _measured(  # noqa: PLR0917  (what measures, and what is measured)
    one: LoopRecurrence,
    layout: StateLayout,
    reference: Outputs,
    probes: int,
    derivatives: GraphDerivatives,
    given: Tensor | None,
) -> HandWrittenLayer:
    gradient = layout.flow(one, [derivatives.at(one.values, reference)], "gradient", given=given)
    jacobian = layout.jacobian(one, probes, derivatives, gradient) if probes else None
    size = sum(map(prod, layout.shapes)) // layout.batch
    return HandWrittenLayer(one.name, one.parameters, layout.shapes, size, gradient, jacobian, one.gated)
