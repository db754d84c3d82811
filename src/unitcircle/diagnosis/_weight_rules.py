"""Rules over the weights themselves: how they were initialized, and what is broken in them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle._array import HALF_EPS
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule

MANY = 8
"""Fewer units than this make no statistics."""


def _orthogonality_defect(W: np.ndarray) -> float:
    """Return ‖WᵀW/g² − I‖_F / √n with g² the mean square of a column: 0 for a scaled semi-orthogonal W."""
    gram = W.T @ W
    g2 = np.trace(gram) / len(gram)
    return float(np.linalg.norm(gram / g2 - np.eye(len(gram))) / math.sqrt(len(gram))) if g2 > 0 else math.inf


def _storage_eps(exam: LayerExamination) -> float:
    return (HALF_EPS | {"float64": 2.0**-52}).get(exam.layer.source.dtype, 2.0**-23)


@rule("UC101", "stacked-orthogonal")
def stacked_orthogonal(exam: Examination) -> Iterator[Finding]:
    """Gates are orthogonal only as a stack: each gate block is a truncated orthogonal matrix with ρ ≈ 1/√k.

    ## What was found
    The k gate blocks of an LSTM (k = 4) or GRU (k = 3) are stored one below the other in one tensor. The whole
    stack has orthonormal columns (SᵀS = g² I), but no block of it is orthogonal. This is what
    `torch.nn.init.orthogonal_(lstm.weight_hh_l0)` and Keras's default `recurrent_initializer="orthogonal"` make.

    ## Why it matters
    A block of a Haar orthogonal stack is a *truncated* orthogonal matrix: its eigenvalues fill a disc of radius
    1/√k (0.5 for an LSTM, 0.577 for a GRU), its singular values reach from 0 to 2√((1/k)(1 − 1/k)), and it keeps
    no norm at all. What was meant, ρ = 1 and all σ = 1 in every gate, was not done; the radius is no better than
    that of the default initialization.

    ## Remedy
    Initialize gate by gate: `initialize_(model, recurrent="orthogonal")` of `unitcircle.torch`, `unitcircle.keras`
    or `unitcircle.jax`, or by hand `for block in weight.chunk(4): torch.nn.init.orthogonal_(block)`.
    """
    for layer in exam.layers:
        k = len(layer.blocks)
        if not layer.finite or k < 2 or layer.layer.hidden_size < 2 or layer.layer.projection is not None:
            continue
        of_stack = _orthogonality_defect(layer.stack)
        of_gates = min(_orthogonality_defect(block) for block in layer.blocks.values())
        # Rounding each entry by a relative u moves the defect by about u, whatever n is.
        if of_stack > max(4 * _storage_eps(layer), 1e-3) or of_gates < 0.1:
            continue
        radii = {gate: float(s.radius) for gate, s in layer.spectra.items()}
        listed = ", ".join(f"{gate} {radius:.2f}" for gate, radius in radii.items())
        yield Finding(
            Severity.WARNING,
            layer.place(),
            f"the {k} gates are orthogonal only as a stack; spectral radii are {listed}, near 1/√{k} = "
            f"{1 / math.sqrt(k):.2f}, not 1",
            "each gate block is a truncated orthogonal matrix that loses norm in every direction",
            f"initialize gate by gate: {initialize_call(layer, recurrent='orthogonal')}",
            {"stack_defect": of_stack, "smallest_gate_defect": of_gates, "radius": radii, "expected": 1 / math.sqrt(k)},
        )


@rule("UC102", "zeroed-gate")
def zeroed_gate(exam: Examination) -> Iterator[Finding]:
    """A gate has no recurrent weight at all, while another gate of the same layer has one.

    ## What was found
    At least one gate block is exactly zero and at least one is not. `torch.nn.init.eye_(lstm.weight_hh_l0)` makes
    this: the identity fits into the first gate's block of the stack, and every other block becomes zero.

    ## Why it matters
    The zeroed gates ignore the hidden state until training moves them; a zeroed candidate gate (`g`, `n`) means
    that nothing of the hidden state is carried into the new one.

    ## Remedy
    Initialize gate by gate: `initialize_(model, recurrent="identity")` of `unitcircle.torch`, `unitcircle.keras` or
    `unitcircle.jax`, or a scaled identity in each block by hand.
    """
    for layer in exam.layers:
        zero = [gate for gate, block in layer.blocks.items() if not block.any()]
        if not zero or len(zero) == len(layer.blocks):
            continue
        others = [gate for gate in layer.blocks if gate not in zero]
        eye = [gate for gate in others if np.array_equal(layer.blocks[gate], np.eye(layer.layer.hidden_size))]
        trace = f"; gate {eye[0]} is the identity, as eye_ on the stack leaves it" if eye else ""
        yield Finding(
            Severity.ERROR,
            layer.place(",".join(zero)),
            f"the recurrent weight of gate{'s' * (len(zero) > 1)} {', '.join(zero)} is exactly zero{trace}",
            "these gates cannot see the hidden state",
            f"initialize gate by gate: {initialize_call(layer, recurrent='identity')}",
            {"zero": zero, "identity": eye},
        )


@rule("UC103", "identical-weights")
def identical_weights(exam: Examination) -> Iterator[Finding]:
    """Two gates, or two layers, hold the same recurrent weight.

    ## What was found
    Two blocks are equal to the last bit and are neither zero nor a multiple of the identity. A reused seeded
    initializer makes this: one Keras `Initializer` instance called twice, or a generator seeded again before
    each layer. Layers that share one tensor on purpose are not reported.

    ## Why it matters
    Identical gates start with the same response to the hidden state, so that the layer begins with fewer
    independent features than it has units; identical layers are correlated for no reason.

    ## Remedy
    Give every gate and layer its own draw: one generator that goes on, never one seed used again.
    """
    seen: dict[bytes, tuple[LayerExamination, str]] = {}
    for layer in exam.layers:
        for gate, block in layer.blocks.items():
            n = layer.layer.hidden_size
            if n < 2 or not layer.finite or np.array_equal(block, block[0, 0] * np.eye(n)):
                continue
            first = seen.setdefault(block.tobytes(), (layer, gate))
            if first == (layer, gate) or _same_tensor(first[0], layer):
                continue
            other = f"gate {first[1]}" if first[0] is layer else f"gate {first[1]} of {first[0].layer.label}"
            yield Finding(
                Severity.WARNING,
                layer.place(gate),
                f"the recurrent weight is the same, to the last bit, as that of {other}",
                "gates and layers that start equal are not independent features",
                "draw each block anew: one generator that goes on, never one seed used again",
                {"same_as": str(first[0].place(first[1]))},
            )


def _same_tensor(a: LayerExamination, b: LayerExamination) -> bool:
    one, two = a.layer.source.tensors, b.layer.source.tensors
    return a is not b and bool(one) and one[:1] == two[:1]


@rule("UC104", "default-uniform")
def default_uniform(exam: Examination) -> Iterator[Finding]:
    """The recurrent weight is the framework's default, uniform on ±1/√n, untouched by training.

    ## What was found
    Every gate block passes a Kolmogorov-Smirnov test for the uniform law on (−1/√n, 1/√n) at the 1 % level, and
    no entry lies outside: what torch gives `nn.RNN`, `nn.GRU` and `nn.LSTM` when nobody initializes them.

    ## Why it matters
    Entries of standard deviation 1/√(3n) give a spectral radius of 1/√3 ≈ 0.577: in a plain RNN a gradient loses
    half a decade every two steps. On our delayed-digits task the default stayed at chance where any orthogonal
    start learned. For an LSTM or GRU it matters less than the bias of the forget gate (UC110), and is a note.

    ## Remedy
    `initialize_(model, recurrent="orthogonal")` of `unitcircle.torch`, `unitcircle.keras` or `unitcircle.jax`; for a
    plain RNN with a long delay, block rotations.
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
        p_value = _uniform_p_value(entries, bound)
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
        )


def _uniform_p_value(entries: np.ndarray, bound: float) -> float:
    """Return the Kolmogorov-Smirnov p-value for U(−bound, bound), by the limit law: there are hundreds of entries."""
    from scipy.special import kolmogorov  # noqa: PLC0415  (0.3 s of start-up, for one rule)

    levels = (np.sort(entries) + bound) / (2 * bound)
    count = levels.size
    steps = np.arange(count + 1) / count
    distance = max(float((steps[1:] - levels).max()), float((levels - steps[:-1]).max()))
    return float(kolmogorov(math.sqrt(count) * distance))


@rule("UC105", "not-finite")
def not_finite(exam: Examination) -> Iterator[Finding]:
    """A weight or bias holds NaN or infinity.

    ## What was found
    At least one stored number of the layer is not finite. Nothing else was measured on this layer.

    ## Why it matters
    One NaN in a recurrent weight makes every hidden state NaN after one step. The training run that wrote this
    file diverged before it was saved.

    ## Remedy
    Go back to an earlier checkpoint, lower the learning rate or clip the gradient, and stop on a loss that is not
    finite.
    """
    for layer in exam.layers:
        if layer.finite:
            continue
        listed = ", ".join(f"{count} in {name}" for name, count in layer.not_finite.items())
        yield Finding(
            Severity.ERROR,
            layer.place(),
            f"entries that are NaN or infinite: {listed}",
            "one of them makes every hidden state NaN",
            "go back to an earlier checkpoint; clip the gradient or lower the learning rate",
            {"not_finite": dict(layer.not_finite)},
        )


@rule("UC109", "dead-units")
def dead_units(exam: Examination) -> Iterator[Finding]:
    """The recurrent weight is rank-deficient, or some units take no part in the recurrence.

    ## What was found
    Either some units have only zeros in their rows or in their columns of every gate block, or a gate block has
    singular values at the level of rounding in the stored type. A low-rank RNN has its rank on purpose and
    is not reported; neither is a block that is zero altogether (UC102).

    ## Why it matters
    A unit whose column is zero is never read by the recurrence; one whose row is zero never hears it. In a
    direction that the weight maps to zero nothing is remembered, and no gradient comes back through it.

    ## Remedy
    If nobody pruned the network, look for a mask, a dead activation or a part of the tensor that was never
    initialized; otherwise shrink the layer.
    """
    for layer in exam.layers:
        n = layer.layer.hidden_size
        if not layer.finite or n < 2 or not layer.blocks or layer.layer.factors is not None or not layer.stack.any():
            continue
        silent = np.flatnonzero(~layer.stack.any(axis=0))
        deaf = np.flatnonzero(~np.concatenate(list(layer.blocks.values()), axis=1).any(axis=1))
        for units, what in ((silent, "are never read: their columns"), (deaf, "hear nothing: their rows")):
            if units.size:
                yield Finding(
                    Severity.WARNING,
                    layer.place(),
                    f"{units.size} of {n} units {what} are zero in every gate (first: unit {units[0]})",
                    "they take no part in the recurrence",
                    "look for a mask or an uninitialized part of the tensor, or shrink the layer",
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
            listed = ", ".join(f"{gate} {rank}" for gate, rank in ranks.items())
            yield Finding(
                Severity.NOTE,
                layer.place(",".join(ranks)),
                f"gate blocks of {n} units have rank {listed}",
                "in the missing directions nothing is remembered",
                "look for a mask or collapsed units; if the rank is meant, store the factors",
                {"rank": ranks, "units": n},
            )


def _rounding_level(layer: LayerExamination, sigma: np.ndarray) -> float:
    """Return the singular value that rounding makes of 0: of arithmetic in float32, and of coarser storage."""
    # Storage rounds every entry on its own: a random matrix of norm 2·u·‖W‖_F/√n, not n·u·σ₁.
    n, eps = layer.layer.hidden_size, _storage_eps(layer)
    stored = 2 * eps * float(np.linalg.norm(sigma)) / math.sqrt(n)
    return max(n * min(eps, 2.0**-23) * float(sigma[0]), stored)


@rule("UC111", "low-precision-spectrum")
def low_precision_spectrum(exam: Examination) -> Iterator[Finding]:
    """Storage in half precision has damaged a spectrum that sits close to the unit circle.

    ## What was found
    The weight is stored in bfloat16 or float16, or was once: every entry is a half-precision number. Its leading
    modulus is closer to 1 than the rounding of the storage resolves, so the longest time scale is an artefact.

    ## Why it matters
    A memory of 1/(1 − |λ|) steps needs |λ| resolved to much better than 1 − |λ|. bfloat16 resolves numbers just
    below 1 to 0.4 %: of all memories longer than 200 steps it keeps only "256 steps" and "forever".

    ## Remedy
    Keep recurrent weights with long memory in float32 (or store log(1 − |λ|), as LRU and Mamba do), and cast the rest.
    """
    for layer in exam.layers:
        if not layer.finite:
            continue
        stored = layer.layer.source.dtype
        values = layer.layer.diagonal if layer.layer.diagonal is not None else layer.stack
        unit = {"bfloat16": 2.0**-8, "float16": 2.0**-11}.get(stored) or _hidden_half_precision(values)
        if unit is None or layer.layer.cell.gated:
            continue
        if layer.layer.diagonal is not None:
            radius, condition = float(np.abs(layer.layer.diagonal).max()), 1.0
            moved = unit * radius
        else:
            s = next(iter(layer.spectra.values()))
            radius, condition = float(s.radius), float(s.eigenvector_condition)
            # Bauer-Fike, with the spectral norm of a random rounding of relative size u/√3: 2u‖W‖_F/√(3n).
            size = float(np.linalg.norm(layer.stack)) / math.sqrt(3 * layer.stack.shape[-1])
            moved = min(condition, 1e6) * 2 * unit * size
        gap = abs(1 - radius)
        if gap > moved or radius == 0:
            continue
        memory = math.inf if gap == 0 else 1 / gap
        yield Finding(
            Severity.WARNING,
            layer.place(),
            f"ρ = {radius:.5f} is within the rounding of its storage (±{moved:.1e}): a memory of {memory:,.0f} steps "
            "is not what was trained or asked",
            "half precision cannot resolve moduli this close to 1",
            "keep this weight in float32, or store log(1 − |λ|)",
            {"radius": radius, "rounding": moved, "stored": stored, "eigenvector_condition": condition},
        )


def _hidden_half_precision(values: np.ndarray) -> float | None:
    """Return the roundoff of the half precision that every entry fits in, or None: a copy cast up stays damaged."""
    parts = np.stack([np.real(values), np.imag(values)]) if np.iscomplexobj(values) else np.asarray(values)
    single = parts.astype(np.float32)
    if single.size < MANY * MANY or not (np.abs(single) * 2 % 1).any():
        return None  # whole and half numbers (identity, permutation, masks) fit everywhere and say nothing
    if not (single.view(np.uint32) & 0xFFFF).any() and (single == parts).all():
        return 2.0**-8
    with np.errstate(over="ignore"):
        return 2.0**-11 if (parts.astype(np.float16) == parts).all() else None
