"""The norm stabilizer, at lengths beyond the training horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional

from unitcircle.experiments.comparison import median_interval, paired_p, rank_differences
from unitcircle.experiments.models import Network, TrainableCell
from unitcircle.experiments.tasks import CharacterLanguageModel
from unitcircle.experiments.training import Run, initial_parameters, loss_and_penalty, stack_batches
from unitcircle.report import COLORS, CYCLE, DASHES, written_whole
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows, significant, with_interval

LONGEST = 1000
"""Steps of a test window."""
WEIGHTS = (0.0, 1.0, 50.0)
"""β: none, a weak one, and the smallest of the source (50 to 500)."""
CELLS = {"IRNN": ("relu", "identity")}
LEARNED = 1.5
"""Bits per character within the horizon up to which a network has learned the language; others count for nothing."""
UNITS, SEEDS, CHARACTERS = 64, 10, 400_000
_NUMERALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
_UNDER_TWENTY, _TENS = (_NUMERALS.split(" ")[part] for part in (slice(20), slice(20, None)))


@dataclass(frozen=True, eq=False)
class Lengths:
    """What trained networks do over a long window from the zero state."""

    horizon: int  # Steps of a training window
    bits: np.ndarray  # Bits per character at every step, (seeds, T), of a window at most what a uniform guess costs
    norms: np.ndarray  # ‖h_t‖/√n, (seeds, T): the median over the windows, inf where it overflows

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was measured, by name, for a file."""
        return {"bits": self.bits, "norms": self.norms}

    @property
    def within(self) -> np.ndarray:
        """Bits per character up to the training horizon, one a seed."""
        return self.bits[:, : self.horizon].mean(1)

    @property
    def after(self) -> np.ndarray:
        """Bits per character over the last half of the window, one a seed."""
        return self.bits[:, self.bits.shape[1] // 2 :].mean(1)

    @property
    def drift(self) -> np.ndarray:
        """|log(‖h_T‖/‖h_horizon‖)|, one a seed."""
        return np.abs(np.log(self.norms[:, -1]) - np.log(self.norms[:, self.horizon - 1]))


def number_words(characters: int, seed: int, /) -> str:
    """Return random numbers below a million in English words, one after the other."""
    rng, words, length = np.random.default_rng(seed), list[str](), 0
    while length < characters:
        words.append(_in_words(int(10 ** rng.uniform(0, 6))))
        length += len(words[-1]) + 2
    return ", ".join(words)


def _in_words(n: int) -> str:
    if n < 20:
        return _UNDER_TWENTY[n]
    if n < 100:
        return _TENS[n // 10 - 2] + (f"-{_UNDER_TWENTY[n % 10]}" if n % 10 else "")
    unit, word = (100, "hundred") if n < 1000 else (1000, "thousand")
    return f"{_in_words(n // unit)} {word}" + (f" {_in_words(n % unit)}" if n % unit else "")


def beyond(runs: Sequence[Run], /, *, longest: int = LONGEST) -> Lengths:
    """Train runs on windows of a text and let them read windows that are far longer."""
    shared = runs[0]
    task, cell = CharacterLanguageModel.parse(shared.task), TrainableCell.parse(shared.cell)
    assert isinstance(task, CharacterLanguageModel), "there is no other text"
    network, cpu = Network(cell, task.inputs, task.outputs, every_step=True), torch.device("cpu")
    drawn = initial_parameters(network.parameters(), runs, cell=cell, dtype=torch.float32, device=cpu)
    parameters = {name: value.requires_grad_() for name, value in drawn.items()}
    optimizer = torch.optim.Adam(parameters.values(), lr=shared.learning_rate)
    streams = [np.random.default_rng([run.seed, 1]) for run in runs]
    for _ in range(shared.steps):
        batches = [task.sample(rng, shared.batch_size) for rng in streams]
        inputs, targets, _ = stack_batches(batches, cpu)
        optimizer.zero_grad()
        loss, added = loss_and_penalty(network, parameters, inputs, partial(_loss, task, targets), shared)
        (loss + added).sum().backward()
        _clip(parameters, shared.clip or np.inf)
        optimizer.step()
    bits, norms = _read(network, parameters, replace(task, length=longest))
    return Lengths(task.length, bits, norms)


def _loss(task: CharacterLanguageModel, targets: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    return task.losses(outputs, targets, None)


@torch.no_grad()
def _clip(parameters: Mapping[str, torch.Tensor], largest: float) -> None:
    """Scale the gradient of each run down to a norm."""
    gradients = [p.grad for p in parameters.values() if p.grad is not None]
    norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
    for g in gradients:
        g.mul_((largest / norm).clamp(max=1.0).reshape(-1, *[1] * (g.ndim - 1)))


@torch.no_grad()
def _read(
    network: Network, parameters: Mapping[str, torch.Tensor], task: CharacterLanguageModel
) -> tuple[np.ndarray, np.ndarray]:
    batch = next(iter(task.held_out("test")))
    runs = len(next(iter(parameters.values())))
    inputs, targets, _ = stack_batches([batch] * runs, torch.device("cpu"))
    hidden = network.hidden(parameters, inputs)
    outputs = network.read(parameters, hidden)
    nats = functional.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none").view_as(targets)
    # A state that overflows has no answer, which is worth what guessing is worth.
    guess = float(np.log(task.outputs))
    bits = nats.nan_to_num(guess).clamp(max=guess).mean(-1) / np.log(2)
    norms = (hidden.norm(dim=-1) / network.cell.features**0.5).nan_to_num(torch.inf).median(-1).values
    return bits.double().numpy(), norms.double().numpy()


def claim(context: Context, /) -> Claim:
    """Train with and without the norm stabilizer, and look at steps that no training window had."""
    text = context.studies / "orthogonal-numbers.txt"
    with written_whole(text) as file:
        file.write(number_words(CHARACTERS, context.draws).encode())
    lengths = {
        f"{name}, trained on {horizon}": _measure(context, text, cell, horizon)
        for name, cell in CELLS.items()
        for horizon in context.pick((10, 50), (50,))
    }
    evidence = _evidence(lengths)
    signs = {each.name: each.sign for each in evidence}
    verdict, condition = follows(evidence)
    return Claim(
        "norm-stabilizer",
        "The norm stabilizer beyond the training horizon",
        "Asking successive hidden states to have the same norm (Krueger and Memisevic) lets a network work on "
        "sequences longer than those it was trained on, where the norm of an ordinary one grows and its predictions "
        "get worse.",
        f"A character language model of numbers in English words, n = {UNITS}, one learning rate, "
        f"{SEEDS} seeds, tested over {LONGEST} characters from the zero state; told is only who learned, "
        f"{LEARNED:g} bits within the horizon. "
        + " ".join(_sentence(name, group, signs) for name, group in lengths.items()),
        verdict,
        [
            _row(name, weight, measured)
            for name, group in lengths.items()
            for weight, measured in zip(WEIGHTS, group, strict=True)
        ],
        {
            f"{name}: beyond the training horizon (grey line); median and range over the seeds": partial(_figure, group)
            for name, group in lengths.items()
        },
        condition=condition,
    )


def _measure(context: Context, text: Path, cell: tuple[str, str], horizon: int) -> list[Lengths]:
    """Return what the networks do, one entry a weight of the stabilizer."""
    kind, init = cell
    task = str(CharacterLanguageModel(str(text), horizon))
    options: dict[str, Any] = {"steps": context.pick(400, 2000), "learning_rate": 2e-3}
    runs = [Run(task, f"{kind}(size={UNITS})", init, seed=context.first_seed + k, **options) for k in range(SEEDS)]
    lengths: list[Lengths] = []
    for weight in WEIGHTS:
        stable = [replace(run, norm_stabilizer=weight) for run in runs]
        key = (kind, init, horizon, weight, len(runs), options)
        arrays = context.kept("orthogonal-stabilizer", key, lambda stable=stable: beyond(stable).arrays())
        lengths.append(Lengths(horizon, **arrays))
    return lengths


def _evidence(lengths: Mapping[str, Sequence[Lengths]]) -> list[Evidence]:
    """Return whether the stabilizer's numbers are smaller, for drift and loss, every weight and network."""
    names, tests = list[str](), list[tuple[int, float]]()
    for name, (plain, *others) in lengths.items():
        for weight, stable in zip(WEIGHTS[1:], others, strict=True):
            for what, a, b in (("drift", plain.drift, stable.drift), ("loss", plain.after, stable.after)):
                names.append(_name(what, name, weight))
                # Beside a network that has not learned, a smaller number is no remedy.
                learned = _has_learned(plain) and _has_learned(stable)
                tests.append(_smaller(a, b) if learned else (0, 1.0))
    signs, p_values = zip(*tests, strict=True)
    return [Evidence(name, sign) for name, sign in zip(names, significant(signs, p_values), strict=True)]


def _has_learned(lengths: Lengths) -> bool:
    return float(np.median(lengths.within)) <= LEARNED


def _name(what: str, network: str, weight: float) -> str:
    return f"{what} of the {network}, β = {weight:g}"


def _smaller(plain: np.ndarray, stable: np.ndarray) -> tuple[int, float]:
    """Return 1 where the stabilizer's numbers are smaller, −1 where larger, and the p-value of the paired test."""
    # By ranks, since an overflow is infinite.
    ranks = rank_differences(stable.tolist(), plain.tolist())
    return -int(np.sign(ranks.mean())), paired_p(ranks.tolist())


def _median(values: np.ndarray) -> str:
    return with_interval(float(np.median(values)), median_interval(values.tolist(), CONFIDENCE))


def _sentence(name: str, group: Sequence[Lengths], signs: Mapping[str, int]) -> str:
    plain, *others = group
    words = {1: "better", -1: "worse", 0: "not told apart"}
    text = (
        f"{name} characters: without it the norm changes by a factor of {_median(np.exp(plain.drift))} beyond the "
        f"horizon, and {_median(plain.within)} bits per character become {_median(plain.after)} in the last half"
    )
    for weight, lengths in zip(WEIGHTS[1:], others, strict=True):
        drift, loss = (words[signs[_name(what, name, weight)]] for what in ("drift", "loss"))
        text += (
            f"; with β = {weight:g} by {_median(np.exp(lengths.drift))} ({drift}), and {_median(lengths.within)} bits "
            f"become {_median(lengths.after)} ({loss})"
        )
    return text + "."


def _row(name: str, weight: float, lengths: Lengths) -> dict[str, Any]:
    return {
        "network": name,
        "β": f"{weight:g}",
        "bits/character, up to the horizon": _median(lengths.within),
        "learned": "yes" if _has_learned(lengths) else "no",
        "in the last half": _median(lengths.after),
        "‖h‖/√n at the horizon": _median(lengths.norms[:, lengths.horizon - 1]),
        f"at {LONGEST}": _median(lengths.norms[:, -1]),
    }


def _figure(group: Sequence[Lengths]) -> Figure:
    figure = Figure(figsize=(8.2, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, (weight, lengths) in enumerate(zip(WEIGHTS, group, strict=True)):
        label = f"β = {weight:g}" if weight else "without"
        for ax, values in ((left, np.where(lengths.norms < 1e12, lengths.norms, 1e12)), (right, lengths.bits)):
            # Over ten steps, so that single characters do not hide the course.
            smooth = np.median(values.reshape(len(values), -1, 10), -1)
            t = 10 * np.arange(smooth.shape[1]) + 5
            ax.plot(t, np.median(smooth, 0), DASHES[k], color=CYCLE[k], label=label)
            ax.fill_between(t, smooth.min(0), smooth.max(0), color=CYCLE[k], alpha=0.15, lw=0)
    for ax in (left, right):
        ax.axvline(group[0].horizon, color=COLORS["grey"], lw=0.9)
        ax.set(xscale="log", xlabel="step of the window", xlim=(5, LONGEST))
    left.set(ylabel=r"$\Vert h_t\Vert/\sqrt{n}$", yscale="log")
    right.set(ylabel="bits per character")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(WEIGHTS))
    return figure
