"""Whether acting on a warning pays: models diagnosed, then trained as they are and with every remedy.

Protocol, fixed before any result was seen. Each pair is a model of 24 units a layer and direction with a linear readout
of the last state, and a task on sequences of noise (standard normal, two features; a second feature of rare ±1 marks in
``adding``):

- ``recent``: the mean of the last five inputs; ``first``: the input at the first step; ``vote``: the mean sign of all
  inputs times √T; ``adding``: the sum of the two marked inputs.

Every target has variance near 1, and the score is the squared error on 512 other sequences over that variance, at most
10 (also for a training that diverges). Training: Adam, rate 3e-3 in every arm, 400 steps of 32 sequences, gradients
clipped at norm 1. Seeds 0 to 4 draw model, batches and validation data, the same for every arm of a seed.

Arms: ``as it is``; ``first``, what :meth:`Diagnosis.apply_` does, where a finding has an action; every initialization
that ``try_initializers=["remedies"]`` names (recorded with its options, so that the list of a later version shows); and
where a state is cut or padding is read, ``mended``: the state kept, or the last true step read. ``mended`` is the first
remedy of a pair whose findings have no action and include UC209.

A pair is warned if a finding of at least a warning is there for at least three of five seeds. An arm improves on
another beyond noise if the paired one-sided t test of log scores over the seeds has p < .05 and the mean ratio is below
.95; where the best of k remedies is asked for, p < .05/k (Bonferroni). The first remedy is within noise of the best
where no remedy improves on it beyond noise by that rule. Five seeds have little power: a
rate near its goal is no proof.

Held out: pairs whose SHA-256 of the name is divisible by three. No rule may be tuned on them. Rates are reported for
both parts. Finished runs are lines of ``verdicts.jsonl`` in the working directory (``UNITCIRCLE_VERDICTS`` names
another file), and a second start does what is missing. A file belongs to one version of the library and of
this protocol.
"""

import copy
import hashlib
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.stats import ttest_rel
from torch import nn

import unitcircle as uc
from unitcircle.torch import initialize_

UNITS, STEPS, BATCH, RATE, SEEDS = 24, 400, 32, 3e-3, 5
LEVEL, MARGIN, WORST = 0.05, math.log(0.95), 10.0
CELLS = {"tanh": nn.RNN, "relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True)
class Pair:
    """A model and its task."""

    cell: str
    task: str
    length: int
    layers: int = 1
    both: bool = False
    start: str = ""  # "gain 1.5", "forget -2", "dead", "stacked" or an initializer's specification
    cut: int = 0  # The state is detached before the last this many steps
    padding: int = 0  # This many zero steps follow each sequence and are read

    @property
    def name(self) -> str:
        parts = [self.cell, self.task, f"T={self.length}", self.start]
        parts += [f"{self.layers} layers" * (self.layers > 1), "bidirectional" * self.both]
        parts += [f"cut {self.cut}" * (self.cut > 0), f"padding {self.padding}" * (self.padding > 0)]
        return ", ".join(filter(None, parts))

    @property
    def held_out(self) -> bool:
        return int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % 3 == 0


PAIRS = (
    *(Pair(cell, "recent", length) for cell in CELLS for length in (20, 60)),
    *(Pair(cell, "first", length) for cell in CELLS for length in (10, 40)),
    *(Pair(cell, "vote", 60) for cell in CELLS),
    *(Pair(cell, "adding", 30) for cell in CELLS),
    Pair("tanh", "recent", 100),
    Pair("gru", "first", 100),
    *(Pair(cell, "vote", 60, both=True) for cell in ("tanh", "gru", "lstm")),
    *(Pair(cell, "vote", 40, layers=2) for cell in ("tanh", "gru", "lstm")),
    *(Pair("tanh", task, 40, start=f"gain {gain}") for task in ("recent", "vote") for gain in (1.5, 2.5)),
    *(Pair("relu", task, 40, start="gain 1.5") for task in ("recent", "first")),
    *(Pair("relu", task, 30, start="dead") for task in ("recent", "vote")),
    *(Pair("lstm", task, 40, start=f"forget {b}") for task in ("recent", "first") for b in (0, -2)),
    *(Pair(cell, "vote", 40, start="stacked") for cell in ("gru", "lstm")),
    *(Pair(cell, "first", 40, start="orthogonal") for cell in ("tanh", "lstm")),
    *(Pair(cell, "first", 20, cut=8) for cell in ("tanh", "gru")),
    *(Pair(cell, "recent", 20, cut=8) for cell in ("tanh", "gru")),
    *(Pair(cell, "recent", 20, padding=30) for cell in ("tanh", "gru", "lstm")),
)


class Net(nn.Module):
    """A recurrent layer and a readout of its last step; its wrong state, if it has one, is in the forward pass."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        options = {"nonlinearity": pair.cell} if pair.cell in {"tanh", "relu"} else {}
        self.rnn = CELLS[pair.cell](2, UNITS, pair.layers, batch_first=True, bidirectional=pair.both, **options)
        self.readout = nn.Linear(UNITS * (1 + pair.both), 1)
        self.cut, self.padding, self.both = pair.cut, pair.padding, pair.both

    def forward(self, x):
        if self.padding:
            x = torch.cat([x, x.new_zeros(len(x), self.padding, x.shape[2])], 1)
        state = None
        if self.cut:
            _, state = self.rnn(x[:, : -self.cut])
            state = state.detach() if isinstance(state, torch.Tensor) else tuple(s.detach() for s in state)
            x = x[:, -self.cut :]
        h, _ = self.rnn(x, state)
        # The last state of the backward direction is at the first step.
        last = torch.cat([h[:, -1, :UNITS], h[:, 0, UNITS:]], 1) if self.both else h[:, -1]
        return self.readout(last)

    def mended(self) -> "Net":
        twin = copy.deepcopy(self)
        twin.cut = twin.padding = 0
        return twin


def built(pair: Pair, seed: int) -> Net:
    """The net of a pair as it is."""
    torch.manual_seed(seed)
    net = Net(pair)
    kind, _, value = pair.start.partition(" ")
    with torch.no_grad():
        for name, weight in net.rnn.named_parameters():
            if kind == "gain" and "weight_hh" in name:
                weight.normal_(std=float(value) / math.sqrt(UNITS))
            elif kind == "dead" and "bias_ih" in name:
                weight.fill_(-3.0)
            elif kind == "stacked" and "weight_hh" in name:
                nn.init.orthogonal_(weight)  # of the stacked gates at once, as is often done
            elif kind == "forget" and "bias" in name:
                weight[UNITS : 2 * UNITS] = float(value) / 2  # two biases are added
    if pair.start == "orthogonal":
        initialize_(net, recurrent="orthogonal", rng=seed)
    return net


def drawn(pair: Pair, count: int, rng: np.random.Generator):
    """Sequences and targets ``(count, T, 2)``, ``(count, 1)``."""
    x = rng.standard_normal((count, pair.length, 2))
    if pair.task == "recent":
        y = x[:, -5:, 0].mean(1) * math.sqrt(5)
    elif pair.task == "first":
        y = x[:, 0, 0].copy()
    elif pair.task == "vote":
        y = np.sign(x[:, :, 0]).mean(1) * math.sqrt(pair.length)
    else:
        half = pair.length // 2
        marks = rng.integers(half, size=count), half + rng.integers(pair.length - half, size=count)
        x[:, :, 1] = 0
        for places in marks:
            x[np.arange(count), places, 1] = 1
        y = (x[:, :, 0] * x[:, :, 1]).sum(1) / math.sqrt(2)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)


def score(pair: Pair, net: Net, seed: int) -> float:
    """The relative squared error after training."""
    rng = np.random.default_rng([seed, 1])
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    for _ in range(STEPS):
        x, y = drawn(pair, BATCH, rng)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        if not torch.isfinite(loss):
            return WORST
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    x, y = drawn(pair, 512, np.random.default_rng([seed, 2]))
    with torch.no_grad():
        value = float(nn.functional.mse_loss(net(x), y) / y.var())
    return min(value, WORST) if math.isfinite(value) else WORST


def options_of(name: str) -> dict[str, str]:
    """The arguments of ``initialize_`` that a specification of a trial stands for."""
    return {"bias" if part.startswith(("chrono", "forget_bias")) else "recurrent": part for part in name.split(" + ")}


def arms(pair: Pair, seed: int):
    """What the diagnosis said, and arm → net."""
    net = built(pair, seed)
    batch = drawn(pair, BATCH, np.random.default_rng([seed, 3]))
    found = uc.diagnose(net, batch, loss=nn.functional.mse_loss, rng=seed)
    severities = {f.code: str(f.severity) for f in reversed(found.findings)}
    nets = {"as it is": net}
    if any(f.action for f in found.findings):
        nets["first"] = copy.deepcopy(net)
        found.apply_(nets["first"], trained=True, rng=seed)
    tried = uc.diagnose(net, batch, loss=nn.functional.mse_loss, try_initializers=["remedies"], rng=seed)
    for trial in tried.examination.trials.ranking:
        if trial.name != "as it is":
            nets[trial.name] = copy.deepcopy(net)
            initialize_(nets[trial.name], **options_of(trial.name), rng=seed)
    if pair.cut or pair.padding:
        nets["mended"] = net.mended()
    return severities, nets


def path() -> Path:
    """The file of finished runs."""
    return Path(os.environ.get("UNITCIRCLE_VERDICTS", "verdicts.jsonl"))


def finished() -> list[dict]:
    """The finished runs; a last line that was cut off is not one."""
    text = path().read_text() if path().exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n") and line.strip()]


def append(row: dict) -> None:
    """Write a finished run durably, on a line of its own."""
    with path().open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # an interrupted write: drop what it left
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def run(pairs=PAIRS) -> None:
    """Do every run that is missing."""
    done = {(row["pair"], row["seed"], row["arm"]) for row in finished()}
    for pair in pairs:
        for seed in range(SEEDS):
            if (pair.name, seed, "end") in done:
                continue
            severities, nets = arms(pair, seed)
            for arm, net in nets.items():
                if (pair.name, seed, arm) not in done:
                    append({"pair": pair.name, "seed": seed, "arm": arm, "score": score(pair, net, seed)})
            append({"pair": pair.name, "seed": seed, "arm": "end", "findings": severities})


def improves(before: np.ndarray, after: np.ndarray, among: int = 1) -> bool:
    """Whether scores after are lower beyond noise, of the best of ``among`` choices."""
    change = np.log(after) - np.log(before)
    if change.mean() >= MARGIN:
        return False
    if np.ptp(change) == 0:  # the test has no variance to divide by
        return True
    return bool(ttest_rel(np.log(after), np.log(before), alternative="less").pvalue < LEVEL / among)


@dataclass(frozen=True)
class Verdict:
    """A pair, judged."""

    pair: Pair
    warned: bool
    scores: dict[str, np.ndarray] = field(repr=False)
    first: str

    @property
    def remedies(self) -> list[str]:
        return [arm for arm in self.scores if arm != "as it is"]

    @property
    def best(self) -> str:
        return min(self.remedies, key=lambda arm: np.log(self.scores[arm]).mean())

    @property
    def pays(self) -> bool:
        """Whether the first remedy improves the model."""
        return bool(self.first) and improves(self.scores["as it is"], self.scores[self.first])

    @property
    def curable(self) -> bool:
        """Whether some remedy improves the model."""
        base, k = self.scores["as it is"], len(self.remedies)
        return any(improves(base, self.scores[arm], k) for arm in self.remedies)

    @property
    def near_best(self) -> bool:
        k = len(self.remedies)
        return not any(improves(self.scores[self.first], self.scores[arm], k) for arm in self.remedies)

    @property
    def harms(self) -> bool:
        return bool(self.first) and improves(self.scores[self.first], self.scores["as it is"])


def judged() -> list[Verdict]:
    """The pairs whose five seeds are all finished."""
    table = finished()
    verdicts = []
    for pair in PAIRS:
        rows = [row for row in table if row["pair"] == pair.name]
        ends = [row["findings"] for row in rows if row["arm"] == "end"]
        if len(ends) < SEEDS:
            continue
        warned = sum(bool({"warning", "error"} & set(found.values())) for found in ends) > SEEDS / 2
        scores: dict[str, dict[int, float]] = {}
        for row in rows:
            if row["arm"] != "end":
                scores.setdefault(row["arm"], {})[row["seed"]] = row["score"]
        base = scores["as it is"]
        # A seed without a finding has nothing to act on: its first remedy is the model as it is.
        if "first" in scores:
            scores["first"] = base | scores["first"]
        arrays = {arm: np.array([by[s] for s in range(SEEDS)]) for arm, by in scores.items() if len(by) == SEEDS}
        detached = sum("UC209" in found for found in ends) > SEEDS / 2
        first = "first" if "first" in arrays else "mended" if detached and "mended" in arrays else ""
        verdicts.append(Verdict(pair, warned, arrays, first))
    return verdicts


@dataclass(frozen=True)
class Rate:
    """A goal over pairs."""

    claim: str
    hits: int
    total: int
    goal: float
    at_most: bool = False

    @property
    def holds(self) -> bool:
        # A goal of no pairs is not met.
        return self.total > 0 and (
            self.hits <= self.goal * self.total if self.at_most else self.hits >= self.goal * self.total
        )

    def __str__(self) -> str:
        sign = "at most" if self.at_most else "at least"
        held = "holds" if self.holds else "MISSED"
        return f"  {self.claim}: {self.hits} of {self.total} ({sign} {self.goal:.0%}, {held})"


def rates(verdicts: list[Verdict], part: str) -> list[Rate]:
    """The five goals of issue 15."""
    warned = [v for v in verdicts if v.warned]
    curable = [v for v in verdicts if v.curable]
    others = [v for v in verdicts if not v.curable]
    acted = [v for v in verdicts if v.first]
    return [
        Rate(f"{part}: warned pairs that the first remedy improves", sum(v.pays for v in warned), len(warned), 0.9),
        Rate(f"{part}: warned, of pairs that none improves", sum(v.warned for v in others), len(others), 0.05, True),
        Rate(f"{part}: warned, of pairs that some improves", sum(v.warned for v in curable), len(curable), 0.9),
        Rate(f"{part}: first remedy within noise of the best", sum(v.near_best for v in acted), len(acted), 0.8),
        Rate(f"{part}: made worse by the first remedy", sum(v.harms for v in acted), len(acted), 0.0, True),
    ]


def rows():
    """Do the runs that are missing, and judge the pairs."""
    torch.set_num_threads(1)
    run()
    verdicts = judged()
    for held_out, part in ((False, "tuned"), (True, "held out")):
        yield from rates([v for v in verdicts if v.pair.held_out == held_out], part)
