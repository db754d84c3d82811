"""Rules over the weights themselves: how they were initialized, and what is broken in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from unitcircle._array import HALF_EPS
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._lost_decay import law_of
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis._training import orthogonality_defect, p_value_of, uniform
from unitcircle.recurrence import LinearRecurrence

ROUNDED_MEMORY = 0.1
"""A memory that the storage may have moved by more than this share is not the one that was trained."""
MANY = 8
"""Fewer units than this are too few for a statistical test."""


def _storage_eps(exam: LayerExamination) -> float:
    return (HALF_EPS | {"float64": 2.0**-52}).get(exam.layer.source.dtype, 2.0**-23)


@rule("UC101", "stacked-orthogonal")
def stacked_orthogonal(exam: Examination) -> Iterator[Finding]:
    """Gates are orthogonal only as a stack: each gate block is a truncated orthogonal matrix with ρ ≈ 1/√k.

    ## What was found
    The k gate blocks of an LSTM (k = 4) or GRU (k = 3) are stored one below the other in one tensor. The whole
    stack has orthogonal columns of equal norm (SᵀS = g² I), but none of its blocks is orthogonal. This is the result of
    `torch.nn.init.orthogonal_(lstm.weight_hh_l0)` and of Keras's default `recurrent_initializer="orthogonal"`.

    ## Why it matters
    A block of a Haar orthogonal stack is a *truncated* orthogonal matrix: its eigenvalues fill a disc of radius
    1/√k (0.5 for an LSTM, 0.577 for a GRU), its singular values range from 0 to 2√((1/k)(1 − 1/k)), and it does not
    preserve norms. The intended property, ρ = 1 and all σ = 1 in every gate, does not hold, and the radius is no
    better than that of the default initialization.

    ## Remedy
    Initialize gate by gate: `initialize_(model, recurrent="orthogonal")` of `unitcircle.torch`, `unitcircle.keras`
    or `unitcircle.jax`, or by hand: `for block in weight.chunk(4): torch.nn.init.orthogonal_(block)`.
    """
    for layer in exam.layers:
        k = len(layer.blocks)
        if not layer.finite or k < 2 or layer.layer.hidden_size < 2 or layer.layer.projection is not None:
            continue
        of_stack = orthogonality_defect(layer.stack)
        of_gates = min(orthogonality_defect(block) for block in layer.blocks.values())
        # Rounding each entry by a relative u moves the defect by about u, whatever n is.
        if of_stack > max(4 * _storage_eps(layer), 1e-3) or of_gates < 0.1:
            continue
        radii = {gate: float(s.radius) for gate, s in layer.spectra.items()}
        radii_text = ", ".join(f"{gate} {radius:.2f}" for gate, radius in radii.items())
        yield Finding(
            Severity.WARNING,
            layer.place(),
            f"the {k} gates are orthogonal only as a stack; spectral radii are {radii_text}, near 1/√{k} = "
            f"{1 / math.sqrt(k):.2f}, not 1",
            "each gate block is a truncated orthogonal matrix that loses norm in every direction",
            f"initialize gate by gate: {initialize_call(layer, recurrent='orthogonal')}",
            {"stack_defect": of_stack, "smallest_gate_defect": of_gates, "radius": radii, "expected": 1 / math.sqrt(k)},
            action={"recurrent": "orthogonal"},
        )


@rule("UC102", "zeroed-gate")
def zeroed_gate(exam: Examination) -> Iterator[Finding]:
    """A gate has no recurrent weight, while another gate of the same layer has one.

    ## What was found
    At least one gate block is exactly zero and at least one is not. `torch.nn.init.eye_(lstm.weight_hh_l0)` does
    this: the identity fits into the block of the first gate, and every other block of the stack becomes zero.

    ## Why it matters
    The zeroed gates ignore the hidden state until training changes their weights. With a zeroed candidate (`g`, `n`),
    no part of the hidden state enters the new candidate state.

    ## Remedy
    Initialize gate by gate: `initialize_(model, recurrent="identity")` of `unitcircle.torch`, `unitcircle.keras` or
    `unitcircle.jax`, or by hand with a scaled identity in each block.
    """
    for layer in exam.layers:
        zero = [gate for gate, block in layer.blocks.items() if not block.any()]
        if not zero or len(zero) == len(layer.blocks):
            continue
        others = [gate for gate in layer.blocks if gate not in zero]
        eye = [gate for gate in others if np.array_equal(layer.blocks[gate], np.eye(layer.layer.hidden_size))]
        trace = f"; gate {eye[0]} is the identity, which is the result of eye_ on the stack" if eye else ""
        yield Finding(
            Severity.ERROR,
            layer.place(",".join(zero)),
            f"the recurrent weight of gate{'s' * (len(zero) > 1)} {', '.join(zero)} is exactly zero{trace}",
            "these gates cannot see the hidden state",
            f"initialize gate by gate: {initialize_call(layer, recurrent='identity')}",
            {"zero": zero, "identity": eye},
            action={"recurrent": "identity"},
        )


@rule("UC103", "identical-weights")
def identical_weights(exam: Examination) -> Iterator[Finding]:
    """Two gates, or two layers, hold the same recurrent weight.

    ## What was found
    Two blocks are equal to the last bit and are neither zero nor a multiple of the identity. The usual cause is a
    reused seed: one Keras `Initializer` instance that is called twice, or a generator that is seeded again before each
    layer. Layers that share one tensor on purpose are not reported.

    ## Why it matters
    Identical gates start with the same response to the hidden state, so the layer starts with fewer independent
    features than it has units. Identical layers are correlated without need.

    ## Remedy
    Draw every gate and layer independently: use one generator throughout, and never the same seed twice.
    """
    owners: dict[bytes, tuple[LayerExamination, str]] = {}
    for layer in exam.layers:
        for gate, block in layer.blocks.items():
            n = layer.layer.hidden_size
            if n < 2 or not layer.finite or np.array_equal(block, block[0, 0] * np.eye(n)):
                continue
            first = owners.setdefault(block.tobytes(), (layer, gate))
            if first == (layer, gate) or _same_tensor(first[0], layer):
                continue
            other = f"gate {first[1]}" if first[0] is layer else f"gate {first[1]} of {first[0].layer.label}"
            yield Finding(
                Severity.WARNING,
                layer.place(gate),
                f"the recurrent weight is the same, to the last bit, as that of {other}",
                "gates and layers that start equal are not independent features",
                "draw each block independently: one generator throughout, never the same seed twice",
                {"same_as": str(first[0].place(first[1]))},
            )


def _same_tensor(a: LayerExamination, b: LayerExamination) -> bool:
    one, two = a.layer.source.tensors, b.layer.source.tensors
    return a is not b and bool(one) and one[:1] == two[:1]


@rule("UC104", "default-uniform")
def default_uniform(exam: Examination) -> Iterator[Finding]:
    """The recurrent weight is the framework's default, uniform on ±1/√n, unchanged by training.

    ## What was found
    Every gate block passes a Kolmogorov-Smirnov test for the uniform law on (−1/√n, 1/√n) at the 1 % level, and
    no entry lies outside. This is torch's initialization of `nn.RNN`, `nn.GRU` and `nn.LSTM`.

    ## Why it matters
    Entries of standard deviation 1/√(3n) give a spectral radius of 1/√3 ≈ 0.577: in a plain RNN a gradient loses
    half a decade every two steps. On our delayed-digits task the default stayed at chance, and every orthogonal
    initialization learned. For an LSTM or GRU it matters less than the bias of the forget gate (UC110), and the finding
    is a note.

    ## Remedy
    Use `initialize_(model, recurrent="orthogonal")` of `unitcircle.torch`, `unitcircle.keras` or `unitcircle.jax`; for
    a plain RNN with a long delay, block rotations.
    """
    for layer in exam.layers:
        n = layer.layer.hidden_size
        if not layer.finite or n < MANY or not layer.blocks:
            continue
        bound = 1 / math.sqrt(n)
        entries = layer.stack.ravel()
        reach = float(np.abs(entries).max())
        if reach > bound * (1 + 4 * _storage_eps(layer)) or reach < bound * (1 - 12 / entries.size):
            continue
        p_value = p_value_of(np.sort(entries), partial(uniform, bound))
        if p_value < 0.01:
            continue
        radii = {gate: float(s.radius) for gate, s in layer.spectra.items()}
        yield Finding(
            Severity.NOTE if layer.layer.cell.gated else Severity.WARNING,
            layer.place(),
            f"recurrent weights are still the default U(±1/√{n}): spectral radius {max(radii.values()):.2f}, near "
            "1/√3 = 0.58",
            "a signal through such a weight alone loses 42 % a step",
            initialize_call(layer, recurrent="orthogonal"),
            {"bound": bound, "largest_entry": reach, "ks_p_value": p_value, "radius": radii},
            action={"recurrent": "orthogonal"},
        )


@rule("UC105", "not-finite")
def not_finite(exam: Examination) -> Iterator[Finding]:
    """A weight or bias holds NaN or infinity.

    ## What was found
    At least one stored number of the layer is not finite. No other measurement was made on this layer.

    ## Why it matters
    One NaN in a recurrent weight makes every hidden state NaN after one step. The training run that wrote this
    file diverged before it was saved. In a linear recurrence an `A_log` of −inf leaves a finite λ = 1: the head never
    decays, and never learns to, because the derivative of exp(A_log) is 0 there.

    ## Remedy
    Go back to an earlier checkpoint, lower the learning rate or clip the gradient, and stop training when the loss is
    not finite.
    """
    for layer in exam.layers:
        if layer.finite:
            continue
        linear = layer.layer.linear
        counts = ", ".join(f"{count} in {name}" for name, count in layer.not_finite.items())
        yield Finding(
            Severity.ERROR,
            layer.place(),
            f"entries that are NaN or infinite: {counts}",
            *_damage(linear),
            {"not_finite": dict(layer.not_finite)},
        )


def _damage(linear: LinearRecurrence | None) -> tuple[str, str]:
    """Return why entries that are not finite matter, and what to do."""
    bad = [] if linear is None else [name for name, x in linear.parameters.items() if not np.isfinite(x).all()]
    if linear is None or not bad:
        remedy = "go back to an earlier checkpoint; clip the gradient or lower the learning rate"
        return "one of them makes every hidden state NaN", remedy
    return "such a head neither decays nor learns to", "; ".join(law_of(linear, name) for name in bad)


@rule("UC109", "dead-units")
def dead_units(exam: Examination) -> Iterator[Finding]:
    """The recurrent weight is rank-deficient, or some units take no part in the recurrence.

    ## What was found
    Either the rows or the columns of some units are zero in every gate block, or a gate block has singular values at
    the level of rounding in the stored type. A low-rank RNN, whose rank is intended, is not reported; neither is a
    block that is entirely zero (UC102).

    ## Why it matters
    A unit whose column is zero has no effect on the recurrence; a unit whose row is zero receives nothing from it. A
    direction that the weight maps to zero stores nothing, and no gradient passes through it.

    ## Remedy
    If the network was not pruned, look for a mask, a dead activation, or a part of the tensor that was never
    initialized. Otherwise make the layer smaller.
    """
    for layer in exam.layers:
        n = layer.layer.hidden_size
        if not layer.finite or n < 2 or not layer.blocks or layer.layer.factors is not None or not layer.stack.any():
            continue
        silent = np.flatnonzero(~layer.stack.any(axis=0))
        deaf = np.flatnonzero(~np.concatenate(list(layer.blocks.values()), axis=1).any(axis=1))
        for units, what in ((silent, "are never read: their columns"), (deaf, "receive nothing: their rows")):
            if units.size:
                yield Finding(
                    Severity.WARNING,
                    layer.place(),
                    f"{units.size} of {n} units {what} are zero in every gate (first: unit {units[0]})",
                    "they take no part in the recurrence",
                    "look for a mask or an uninitialized part of the tensor, or make the layer smaller",
                    {"units": units.tolist()},
                )
        if silent.size or deaf.size:
            continue
        full = min(n, layer.layer.output_size)
        ranks = {}
        for gate, s in layer.spectra.items():
            sigma = np.asarray(s.singular_values)
            rank = int((sigma > _rounding_level(layer, sigma)).sum()) if sigma[0] > 0 else full
            # One tiny singular value is chance: P(σ_n √n < y) ≈ y for a random weight.
            if rank < full - 1:
                ranks[gate] = rank
        if ranks:
            ranks_text = ", ".join(f"{gate} {rank}" for gate, rank in ranks.items())
            yield Finding(
                Severity.NOTE,
                layer.place(",".join(ranks)),
                f"gate blocks of {n} units have rank {ranks_text}",
                "in the missing directions nothing is remembered",
                "look for a mask or collapsed units; if the rank is intended, store the factors",
                {"rank": ranks, "units": n},
            )


def _rounding_level(layer: LayerExamination, sigma: np.ndarray) -> float:
    """Return the size to which rounding raises a singular value 0, in float32 arithmetic and in coarser storage."""
    # Storage rounds every entry independently: the error is a random matrix of norm 2·u·‖W‖_F/√n, not n·u·σ₁.
    n, eps = layer.layer.hidden_size, _storage_eps(layer)
    stored = 2 * eps * float(np.linalg.norm(sigma)) / math.sqrt(n)
    return max(n * min(eps, 2.0**-23) * float(sigma[0]), stored)


@rule("UC111", "low-precision-spectrum")
def low_precision_spectrum(exam: Examination) -> Iterator[Finding]:
    """Storage in half precision has damaged a spectrum that sits close to the unit circle.

    ## What was found
    The weight is stored in bfloat16 or float16, or was at an earlier time: every entry is a half-precision number. Its
    leading modulus is closer to 1 than this precision resolves, so the longest time scale is an artefact.

    ## Why it matters
    For a memory of 1/(1 − |λ|) steps, |λ| must be resolved to much better than 1 − |λ|. bfloat16 resolves numbers just
    below 1 to 0.4 %: of all memories longer than 200 steps it can represent only "256 steps" and "forever".

    ## Remedy
    Keep recurrent weights with long memory in float32 (or store log(1 − |λ|), as LRU and Mamba do), and cast the rest.
    Where a logarithm of the rate is stored already, rounding moves the memory itself, which is reported from 10 % on.
    """
    for layer in exam.layers:
        if not layer.finite or layer.layer.units is not None:
            continue
        if layer.layer.linear is not None:
            yield from _rounded_memory(layer, layer.layer.linear)
            continue
        stored = layer.layer.source.dtype
        values = layer.layer.diagonal if layer.layer.diagonal is not None else layer.stack
        unit = {"bfloat16": 2.0**-8, "float16": 2.0**-11}.get(stored) or _hidden_half_precision(values)
        if unit is None or layer.layer.cell.gated:
            continue
        if layer.layer.diagonal is not None:
            radius, condition = float(np.abs(layer.layer.diagonal).max()), 1.0
            shift = unit * radius
        else:
            s = next(iter(layer.spectra.values()))
            radius, condition = float(s.radius), float(s.eigenvector_condition)
            # Bauer-Fike, with the spectral norm of a random rounding of relative size u/√3: 2u‖W‖_F/√(3n).
            size = float(np.linalg.norm(layer.stack)) / math.sqrt(3 * layer.stack.shape[-1])
            shift = min(condition, 1e6) * 2 * unit * size
        gap = abs(1 - radius)
        if gap > shift or radius == 0:
            continue
        memory = math.inf if gap == 0 else 1 / gap
        yield Finding(
            Severity.WARNING,
            layer.place(),
            f"ρ = {radius:.5f} is within the rounding of its storage (±{shift:.1e}): a memory of {memory:,.0f} steps "
            "is not the value that was trained or requested",
            "half precision cannot resolve moduli this close to 1",
            "keep this weight in float32, or store log(1 − |λ|)",
            {"radius": radius, "rounding": shift, "stored": stored, "eigenvector_condition": condition},
        )


def _rounded_memory(layer: LayerExamination, linear: LinearRecurrence) -> Iterator[Finding]:
    """Yield the finding about a stored decay whose rounding moves the memory of a head by more than a tenth."""
    error = linear.rounding.ravel()
    worst = int(error.argmax())
    if error[worst] <= ROUNDED_MEMORY:
        return
    memory, head = float(linear.memory.ravel()[worst]), worst * linear.units // error.size
    stored = linear.in_half_precision
    names, types = ", ".join(stored), ", ".join(sorted(set(stored.values())))
    yield Finding(
        Severity.WARNING,
        layer.place(next(iter(stored))),
        f"the memory of {linear.family.unit} {head}, {memory:,.0f} tokens, is known to ±{error[worst]:.0%} only: "
        f"{names} {'is' if len(stored) == 1 else 'are'} stored as {types}",
        "half precision cannot resolve moduli this close to 1",
        f"keep {names} in float32",
        {"memory": memory, "relative_error": float(error[worst]), "stored": stored},
    )


def _hidden_half_precision(values: np.ndarray) -> float | None:
    """Return the unit roundoff of the half precision that holds every entry exactly, or None."""
    # A copy in float32 of half-precision weights is as coarse as they are.
    parts = np.stack([np.real(values), np.imag(values)]) if np.iscomplexobj(values) else np.asarray(values)
    single = parts.astype(np.float32)
    if single.size < MANY * MANY or not (np.abs(single) * 2 % 1).any():
        return None  # multiples of 1/2 (identity, permutation, masks) are exact in every precision
    if not (single.view(np.uint32) & 0xFFFF).any() and (single == parts).all():
        return 2.0**-8
    with np.errstate(over="ignore"):
        return 2.0**-11 if (parts.astype(np.float16) == parts).all() else None
