"""Rule UC111, low-precision-spectrum."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import MANY
from unitcircle.recurrence import LinearRecurrence

ROUNDED_MEMORY = 0.1
"""A memory that the storage may have moved by more than this share is not the one that was trained."""


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
    # What is gone within a token is gone, by whatever rate.
    error = np.where(linear.memory < 1, 0.0, linear.rounding).ravel()
    worst = int(error.argmax())
    if error[worst] <= ROUNDED_MEMORY:
        return
    memory, head = float(linear.memory.ravel()[worst]), worst * linear.units // error.size
    stored = linear.in_half_precision
    names, types = ", ".join(stored), ", ".join(sorted(set(stored.values())))
    # What a cell that is not linear keeps depends on its inputs too.
    yield Finding(
        Severity.NOTE if linear.family.nonlinear else Severity.WARNING,
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
