"""Whether a layer was trained: what its weights and biases give away."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from unitcircle.recurrence import RecurrentLayer

FEW = 64
"""Fewer numbers than this do not show which law they follow."""
ENOUGH = 50_000
"""Of larger blocks this many entries, evenly spaced, are tested."""
DECISIVE = 5_000
"""From so many entries on a sample that may be uniform cannot be Gaussian."""
SIGNIFICANCE = 1e-4
"""A law is refused below this probability, shared by the tests of one layer."""
ORTHOGONAL = 1e-3
"""Columns that are orthogonal to this are so by construction."""
COLUMNS = 32
"""So many columns show that a weight is not orthogonal."""
SPARSE = 0.99
"""Below this share of entries that are not 0 a weight is said to be sparse: rounding makes some zeros too."""
BLOCK = 64
"""A weight of lower rank shows it in so many rows and columns."""
CUT = 2.0
"""Keras and JAX truncate their Gaussians at this many standard deviations."""


@dataclass(frozen=True)
class TrainingEvidence:
    """Whether a layer was trained, and what shows it.

    Attributes
    ----------
    trained
        True, False, or None where the weights do not show it.
    reason
        The evidence, as a clause: "the biases of gate f are neither constant nor uniform on ±1/√n".

    Examples
    --------
    >>> print(TrainingEvidence(None, "there is no bias"))
    trained or not cannot be told: there is no bias
    """

    trained: bool | None
    reason: str

    def __str__(self) -> str:
        head = {True: "trained", False: "as initialized", None: "trained or not cannot be told"}[self.trained]
        return f"{head}: {self.reason}"


def training_evidence(layer: RecurrentLayer, /) -> TrainingEvidence:
    """Judge whether a layer was trained.

    Every initializer in use leaves a law that training destroys: entries uniform up to a sharp bound or Gaussian,
    orthogonal columns, biases of one value or uniform on ±1/√n.

    Parameters
    ----------
    layer
        A layer whose weights are finite.

    Returns
    -------
    TrainingEvidence
        The judgement and its reason.
    """
    if not layer.gates:
        weights = "weights of a hand-written" if layer.units is not None else "eigenvalues of a diagonal"
        return TrainingEvidence(None, f"the {weights} recurrence follow no fixed law")
    if (moved := _moved_bias(layer)) is not None:
        gate = f" of gate {moved}" if layer.cell.gated else ""
        return TrainingEvidence(True, f"the biases{gate} are neither constant nor uniform on ±1/√n")
    blocks = [np.asarray(block, dtype=float) for block in (layer.projected_gates or layer.gates).values()]
    entries = [_drawn(block) for block in blocks]
    fewest = min(map(len, entries))
    law = _structure(blocks)
    if law is None and fewest < FEW:
        return TrainingEvidence(None, f"{fewest} recurrent weights are too few to show a law")
    if law is None and (law := _law_of_entries(entries)):
        share = float(np.mean([np.mean(block != 0) for block in blocks]))
        law += f" where they are not 0 ({100 * share:.3g} % of them)" if share < SPARSE else ""
    if law is None:
        made = _parametrization(blocks)
        why = f"are {made}, which training may have kept" if made else "follow the law of no initializer"
        return TrainingEvidence(None if made else True, f"the recurrent weights {why}")
    if not layer.biases:
        # Trained weights of a small layer may look Gaussian, and only biases would show the difference.
        decided = False if not law.startswith("Gaussian") else None
        return TrainingEvidence(decided, f"the recurrent weights are {law}; there are no biases")
    return TrainingEvidence(False, f"the recurrent weights are {law}, and the biases are as initialized")


def _moved_bias(layer: RecurrentLayer) -> str | None:
    """Return the gate whose biases no initializer in use would give, or None."""
    n = layer.hidden_size
    for blocks in layer.bias_parts.values() or [layer.biases] * bool(layer.biases):
        values = {gate: np.asarray(block, dtype=float) for gate, block in blocks.items()}
        opposite = "f" in values and "i" in values and np.array_equal(values["f"], -values["i"])  # chrono
        # torch draws the biases of its recurrent layers from U(±1/√n), those of a Linear on m inputs from U(±1/√m).
        linear = _is_uniform(np.concatenate(list(values.values())), 1 / math.sqrt(layer.input_size or n))
        for gate, bias in values.items():
            small = np.abs(bias).max() <= 1.01 / math.sqrt(n)
            initial = np.ptp(bias) == 0 or small or linear or (opposite and gate in "fi")
            if not initial:
                return gate
    return None


def _is_uniform(values: np.ndarray, bound: float) -> bool:
    """Return whether values are spread evenly over ±bound, so far as they show it at the 10 % level."""
    if np.abs(values).max() > 1.01 * bound:
        return False
    return p_value_of(np.sort(values), lambda x: np.clip(uniform(bound, x), 0, 1)) >= 0.1


def _structure(blocks: list[np.ndarray]) -> str | None:
    """Return the structure of blocks that an initializer made: constant, or orthogonal one by one or as a stack."""
    # Trained blocks are never exactly a multiple of the identity, nor orthogonal to a thousandth.
    if all(np.array_equal(block, block.flat[0] * np.eye(*block.shape)) for block in blocks):
        return "zero or a multiple of the identity"
    if all(np.ptp(_drawn(block)) == 0 for block in blocks):
        return "of one value, or 0"
    if all(orthogonality_defect(block, enough=ORTHOGONAL) < ORTHOGONAL for block in blocks):
        return "orthogonal"
    stack = np.concatenate(blocks)
    return "orthogonal as a stack" if orthogonality_defect(stack, enough=ORTHOGONAL) < ORTHOGONAL else None


def _drawn(block: np.ndarray) -> np.ndarray:
    """Return the entries that are not 0, in one row, which of a sparse weight are those that were drawn; else all."""
    return block.ravel() if block.all() or not block.any() else block[block != 0]


def _parametrization(blocks: list[np.ndarray]) -> str | None:
    """Return what an initializer makes of every block, and a parametrization keeps: a symmetry, or a low rank."""
    if all(_is_symmetric(block) for block in blocks):
        return "symmetric"
    singular = [np.linalg.svd(block[:BLOCK, :BLOCK], compute_uv=False) for block in blocks]
    return "of low rank" if all(values[-1] < 1e-6 * values[0] for values in singular) else None


def _is_symmetric(block: np.ndarray) -> bool:
    """Return whether a block is its transpose, to a millionth of its largest entry."""
    square = block.shape[0] == block.shape[1]
    return square and np.allclose(block, block.T, rtol=0, atol=1e-6 * np.abs(block).max())


def orthogonality_defect(W: np.ndarray, /, *, enough: float = math.inf) -> float:
    """Return ‖WᵀW/g² − I‖_F / √n with g² the mean square of a column: 0 for a scaled semi-orthogonal W."""
    # Some columns may show that it is more than what is enough: then what they alone make of it is returned.
    n = W.shape[1]
    peak = float(np.abs(W).max())
    if not 0 < peak < math.inf:
        return math.inf
    W = W / peak  # the squares of the largest numbers are none
    g2 = float(np.linalg.norm(W)) ** 2 / n

    def of(some: np.ndarray) -> float:
        return float(np.linalg.norm(some.T @ some / g2 - np.eye(some.shape[1])) / math.sqrt(n))

    part = of(W[:, :COLUMNS])
    return part if part > enough or n <= COLUMNS else of(W)


def _law_of_entries(blocks: list[np.ndarray]) -> str | None:
    """Return the law that the entries of every block follow, each in one row, or None."""
    level = SIGNIFICANCE / len(blocks)
    entries = [np.sort(block[:: max(1, block.size // ENOUGH)]) for block in blocks]
    bound = max(float(np.abs(values).max()) for values in entries)
    flat = f"uniform on ±{bound:.3g}"
    probabilities = {flat: min(p_value_of(values, partial(uniform, bound)) for values in entries)}
    # The two laws are .057 apart: so many numbers do not pass the test of both.
    if probabilities[flat] < level or min(map(len, entries)) < DECISIVE:
        probabilities["Gaussian"] = min(
            max(p_value_of(values, law) for law in _gaussians(values)) for values in entries
        )
    law, probability = max(probabilities.items(), key=lambda item: item[1])
    return law if probability >= level else None


def _gaussians(values: np.ndarray) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Return the distribution functions of the Gaussian, and of the truncated one, that have a sample's spread."""
    from scipy.special import ndtr  # noqa: PLC0415  (0.3 s of start-up)

    std = math.sqrt(float(np.mean(values**2))) or 1.0
    inside = float(ndtr(CUT) - ndtr(-CUT))
    density = math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi)
    wide = std / math.sqrt(1 - 2 * CUT * density / inside)
    return [lambda x: ndtr(x / std), lambda x: np.clip((ndtr(x / wide) - ndtr(-CUT)) / inside, 0, 1)]


def uniform(bound: float, x: np.ndarray, /) -> np.ndarray:
    """Return the distribution function of the uniform law on ±bound, inside these bounds."""
    return (x + bound) / (2 * bound)


def p_value_of(values: np.ndarray, distribution: Callable[[np.ndarray], np.ndarray], /) -> float:
    """Return the Kolmogorov-Smirnov p-value of sorted values, by the limit law."""
    levels, count = distribution(values), len(values)
    steps = np.arange(count + 1) / count
    distance = max(float((steps[1:] - levels).max()), float((levels - steps[:-1]).max()))
    return kolmogorov(math.sqrt(count) * distance)


def kolmogorov(x: float, /) -> float:
    """Return P(K > x) of Kolmogorov's law, without the import of scipy.special, which costs 0.3 s of start-up."""
    # The two series are equal by Jacobi's identity, and each has all digits after a few terms on its side
    # (W. Feller, "On the Kolmogorov-Smirnov limit theorems", Annals of Mathematical Statistics 19, 1948).
    if x < 1:
        odd = [math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * x * x)) for k in range(1, 6)] if x > 0.04 else [0.0]
        return 1 - math.sqrt(2 * math.pi) / max(x, 0.04) * sum(odd)
    return 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 8))
