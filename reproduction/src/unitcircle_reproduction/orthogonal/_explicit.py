"""Explicit linear-transition networks that solve copying and adding, and transitions with which there are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from unitcircle.experiments.tasks import Adding, Copying
from unitcircle.initializers import Orthogonal
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context

LENGTH, SYMBOLS, MARKER = 10, 8, 9
"""Of the copying task: symbols to remember, their kinds, and the input that asks for them."""
SEQUENCES = 500
EXACT = 1e-8
"""Largest error of a readout that is called a solution; rounding leaves about n·eps·κ."""


def claims(context: Context, /) -> Iterator[Claim]:
    """Construct the networks, and run them on the tasks as the library samples them."""
    rng = np.random.default_rng([context.draws, 6])
    yield _claim(_copying_rows(context, rng), _adding_rows(context, rng))


def copying_readout(V: np.ndarray, U: np.ndarray, delay: int, /) -> tuple[np.ndarray, float]:
    """Return W with W Vᵏ U = I at the lag of the answer and 0 at all others, and the largest error of that."""
    # h_t = Σ_j V^(t−j) U s_j, so that W h_t is the symbol written L = T + 10 steps ago, and nothing while all symbols
    # are younger or there is no answer. Lags run from 0 to L + 9. Solvable where all [Vᵏ U] are independent.
    answer = delay + LENGTH
    power, columns = U, []
    for _ in range(answer + LENGTH):
        columns.append(power)
        power = V @ power
    lags = np.concatenate(columns, 1)
    wanted = np.zeros((SYMBOLS, lags.shape[1]))
    wanted[:, SYMBOLS * answer : SYMBOLS * (answer + 1)] = np.eye(SYMBOLS)
    found: Any = np.linalg.lstsq(lags.T, wanted.T)[0]
    return found.T, float(np.abs(found.T @ lags - wanted).max())


def copy_with(V: np.ndarray, U: np.ndarray, W: np.ndarray, inputs: np.ndarray, /) -> np.ndarray:
    """Return the answers ``(T, B)`` of the linear network to symbols ``(T, B)``; 0, the blank, below one half."""
    embedded = np.zeros((MARKER + 1, len(V)))
    embedded[1 : SYMBOLS + 1] = U.T
    h, answers = np.zeros((inputs.shape[1], len(V))), []
    for symbols in inputs:
        h = h @ V.T + embedded[symbols]
        logits = np.concatenate([np.full((len(h), 1), 0.5), h @ W.T], 1)
        answers.append(logits.argmax(1))
    return np.array(answers)


def shift_register(delay: int, /) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return V, which moves T + 11 slots of eight units round a ring, U, which writes one, and W, which reads one."""
    slots = delay + LENGTH + 1
    V = np.kron(np.roll(np.eye(slots), 1, axis=0), np.eye(SYMBOLS))
    unit = np.eye(slots * SYMBOLS)
    return V, unit[:, :SYMBOLS], unit[-SYMBOLS:]


def _copying_rows(context: Context, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for delay in context.pick((20,), (20, 50)):
        task, steps = Copying(delay), delay + 2 * LENGTH
        batch = task.sample(rng, SEQUENCES)
        enough = steps * SYMBOLS
        weights = {
            "shift register, a permutation": (*shift_register(delay), 0.0),
            "Haar, n = steps × kinds": _solved(Orthogonal().sample(enough, rng=rng), delay, rng),
            "Haar, half as many units": _solved(Orthogonal().sample(enough // 2, rng=rng), delay, rng),
            "identity, n = steps × kinds": _solved(np.eye(enough), delay, rng),
        }
        for name, (V, U, W, error) in weights.items():
            right = copy_with(V, U, W, batch.inputs) == batch.targets
            rows.append({
                "task": f"copying({delay})", "transition": name, "units": len(V), "largest error of the readout": error,
                "answers right": float(right[-LENGTH:].mean()), "all steps right": float(right.mean()),
            })  # fmt: skip
    return rows


def _solved(V: np.ndarray, delay: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    U = rng.standard_normal((len(V), SYMBOLS)) / len(V) ** 0.5
    return V, U, *copying_readout(V, U, delay)


def add_with(V: np.ndarray, inputs: np.ndarray, /) -> np.ndarray:
    """Return the last states ``(B, n)`` of h ← V h + u·ReLU(x + m − 1), u = e₁, for numbers and marks ``(T, B, 2)``."""
    # ReLU(x + m − 1) is x where m = 1, and 0 where m = 0 and x ≤ 1.
    pulses = np.maximum(inputs.sum(-1) - 1, 0.0)
    h = np.zeros((inputs.shape[1], len(V)))
    for pulse in pulses:
        h = h @ V.T
        h[:, 0] += pulse
    return h


def _adding_rows(context: Context, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    length = 100
    task = Adding(length)
    train, test = (task.sample(rng, size) for size in (context.pick(2000, 5000), SEQUENCES))
    for name, V in {
        "identity, one unit": np.eye(1),
        # A rotation of an odd number of dimensions has an axis, one of an even number has none.
        "Haar, with an eigenvalue 1": _rotation(rng, length // 4),
        "Haar, without": _rotation(rng, length // 4 - 1),
        "Haar, without, n = T": _rotation(rng, length),
    }.items():
        states = add_with(V, train.inputs.astype(float))
        # The best readout there is; of the identity the state itself.
        weights: Any = np.linalg.lstsq(np.c_[states, np.ones(len(states))], train.targets[:, 0])[0]
        found = np.c_[add_with(V, test.inputs.astype(float)), np.ones(SEQUENCES)] @ weights
        rows.append({
            "task": f"adding({length})", "transition": name, "units": len(V),
            "mean squared error": float(np.square(found - test.targets[:, 0]).mean()), "baseline": task.baseline,
        })  # fmt: skip
    return rows


def _rotation(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return a Haar weight of determinant 1."""
    V = Orthogonal().sample(n, rng=rng)
    V[0] *= np.linalg.det(V).round()
    return V


def _claim(copying: list[dict[str, Any]], adding: list[dict[str, Any]]) -> Claim:
    solved = [row["all steps right"] == 1 and row["largest error of the readout"] < EXACT for row in copying]
    register, haar, fewer, identity = copying[-4:]
    one, axis, few, many = adding
    # Single precision of the task's numbers leaves 1e-14.
    adds = [row["mean squared error"] < EXACT for row in adding]
    holds = solved == [True, True, False, False] * (len(copying) // 4) and adds == [True, True, False, True]
    return Claim(
        "explicit",
        "Explicit solutions for copying and adding",
        "There are explicit solutions of the copying and adding tasks by recurrent networks with a linear transition "
        "(Henaff, Szlam and LeCun).",
        f"Constructed, not trained, and run on {SEQUENCES} sequences of the library's tasks. Copying: a permutation "
        f"that moves {register['units']} units round a ring answers every step of {register['task']} right; so does a "
        f"Haar weight of {haar['units']} units with the readout that solves W Vᵏ U = δ(k = T + 10) I, with an error of "
        f"at most {haar['largest error of the readout']:.0e}. With half as many units that has no exact solution "
        f"({fewer['answers right']:.0%} of the answers right by least squares), and with the identity none at any "
        f"size, since Vᵏ is the same for all k ({identity['answers right']:.0%}). Adding over 100 steps: one unit with "
        f"the identity and the input ReLU(x + m − 1) has a mean squared error of {one['mean squared error']:.0e}, and "
        f"so has a Haar weight with an eigenvalue 1 ({axis['mean squared error']:.0e} with {axis['units']} units); one "
        f"without needs as many units as steps ({many['mean squared error']:.0e} with {many['units']}, "
        f"{few['mean squared error']:.2g} with {few['units']}, baseline {few['baseline']:.3f}).",
        Verdict.HOLDS if holds else Verdict.FAILS,
        [
            {
                "task": row["task"],
                "transition": row["transition"],
                "units": row["units"],
                "error": f"{row.get('mean squared error', row.get('largest error of the readout')):.1e}",
                "answers right": f"{row['answers right']:.1%}" if "answers right" in row else "",
            }
            for row in (*copying, *adding)
        ],
    )
