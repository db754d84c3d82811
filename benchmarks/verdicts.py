"""Whether acting on a warning pays: models diagnosed, then trained as they are and with every remedy.

Protocol, fixed before any result was seen. Each pair is a model of 24 units a layer and direction with a linear readout
of the last state, and a task on sequences of noise (standard normal, two features; a second feature of rare ±1 marks in
``adding``):

- ``recent``, ``early``: the mean of the last, the first five inputs; ``first``, ``middle``: the input at the first
  step, at step T/2; ``vote``: the mean sign of all inputs times √T; ``adding``: the sum of the two marked inputs;
  ``product``: the product of the last two inputs, which no linear readout of inputs foretells; ``lagged``, ``hold``,
  ``weighted``, ``late`` and ``noisy``: below, with the parts that they were written for.

Every target has variance near 1, and the score is the squared error on 512 other sequences over that variance, at most
10 (also for a training that diverges). Training: Adam, rate 3e-3 in every arm, 400 steps of 32 sequences, gradients
clipped at norm 1. Seeds 0 to 4 draw model, batches and validation data, the same for every arm of a seed.

Arms: ``as it is``; ``first``, what the diagnosis asks for: what a warning of UC209 or UC210 says about the code, and
what :meth:`Diagnosis.apply_` does; every initialization that ``try_initializers=["remedies"]`` tries (recorded by name,
so that the list of a later version shows); and where a state is cut or padding is read, ``mended``: the state kept, or
the last true step read, by itself and with each of the list. (Before the second held-out part was written, ``mended``
was the first remedy of a pair whose findings had no action and included UC209, and was tried by itself.)

A pair is warned if a finding of at least a warning is there for at least three of five seeds. An arm improves on
another beyond noise if the paired one-sided t test of log scores over the seeds has p < .05 and the mean ratio is below
.95; where the best of k remedies is asked for, p < .05/k (Bonferroni). The first remedy is within noise of the best
where no remedy improves on it beyond noise by that rule. Five seeds have little power: a
rate near its goal is no proof.

Held out: pairs whose SHA-256 of the name is divisible by three. No rule may be tuned on them. They were seen, and rules
changed for what they showed. *Held out, second* are the pairs of ``SECOND``, with tasks, lengths and faults that no
earlier pair has and seeds 5 to 9; the list was committed before any of them was run. These were seen too, and two rules
changed (UC211 from 10 steps on; products of two inputs): of later rules neither part is a test. *Held out, third* are
the pairs of ``THIRD``, seeds 10 to 14, with two tasks that no rule was made with (``lagged``, the input 12 steps back;
``hold``, the input at the last of the marks, of which each step has one with probability 1/10); the list was committed
before any of them was run; then one rule changed (gated cells where every step counts a little). That rule changed
again, from half of the steps beyond reach to two thirds, before *held out, fourth*: the pairs of ``FOURTH``, seeds 15
to 19, votes of gated cells at lengths between and beyond those seen, and three tasks that no rule was made with
(``weighted``, a vote in which a step counts in proportion to its place, the last most; ``late``, a vote over the last
half of the steps; ``noisy``, the input 12 steps back and as much noise as makes a quarter of the target's variance);
the list was committed before any of them was run, and is run in its order as far as time allows. It was run as a whole;
then the share became three quarters, and UC211 asks that less than a tenth of a gradient arrives. *Held out, fifth* are
the pairs of ``FIFTH``, seeds 20 to 24, committed with those rules and before any was run, in its order.

Rates are reported for each part. Finished runs are lines of ``verdicts.jsonl`` in the working directory
(``UNITCIRCLE_VERDICTS`` names another file), and a second start does what is missing. A score belongs to the parameters
that its training began from (their SHA-256), so it outlives a change of the rules; a diagnosis belongs to the source
text of the library. A file belongs to one version of this protocol.
"""

import copy
import hashlib
import json
import math
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

import unitcircle as uc
from benchmarks._stacked_nets import StackedNets, train
from benchmarks._verdict import SEEDS, Verdict, rates
from benchmarks._verdicts_page import page
from unitcircle.diagnosis._remedies import name_of, remedies  # the list itself: trying it costs 25 measurements a net
from unitcircle.diagnosis._remedy import BY_HAND
from unitcircle.torch import initialize_

UNITS, STEPS, BATCH, RATE, WORST = 24, 400, 32, 3e-3, 10.0
PARTS = "tuned", "held out", "held out, second", "held out, third", "held out, fourth", "held out, fifth"
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
    held: int = 0  # Of which later part held out it is: 2 to 5; 0 for none

    @property
    def name(self) -> str:
        parts = [self.cell, self.task, f"T={self.length}", self.start]
        parts += [f"{self.layers} layers" * (self.layers > 1), "bidirectional" * self.both]
        parts += [f"cut {self.cut}" * (self.cut > 0), f"padding {self.padding}" * (self.padding > 0)]
        return ", ".join(filter(None, parts))

    @property
    def part(self) -> str:
        if self.held:
            return PARTS[self.held]
        return PARTS[int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % 3 == 0]

    @property
    def seeds(self) -> range:
        first = SEEDS * max(self.held - 1, 0)
        return range(first, first + SEEDS)


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
SECOND = tuple(
    replace(pair, held=2)
    for pair in (
        *(Pair(cell, "early", 30) for cell in ("tanh", "gru", "lstm")),
        Pair("relu", "early", 25, start="gain 1.4"),
        *(Pair(cell, "product", 20) for cell in ("tanh", "gru")),
        Pair("tanh", "middle", 24),
        Pair("relu", "vote", 25, start="dead -2"),
        Pair("relu", "first", 25, start="dead -2"),
        Pair("tanh", "first", 16, cut=5),
        Pair("lstm", "first", 25, cut=6),
        Pair("lstm", "recent", 25, cut=8),
        *(Pair(cell, "recent", 15, padding=20) for cell in ("tanh", "relu", "gru")),
        Pair("gru", "first", 25, padding=15),
        Pair("tanh", "vote", 30, start="gain 3"),
        Pair("lstm", "early", 30, start="stacked"),
    )
)
THIRD = tuple(
    replace(pair, held=3)
    for pair in (
        *(Pair(cell, "lagged", 30) for cell in ("tanh", "gru")),
        *(Pair(cell, "hold", 30) for cell in ("tanh", "lstm")),
        *(Pair(cell, "vote", 25) for cell in ("gru", "lstm")),
        Pair("relu", "recent", 30),
        Pair("lstm", "recent", 12),
        Pair("gru", "product", 12),
        Pair("relu", "first", 20, start="gain 1.2"),
        Pair("tanh", "early", 15, start="orthogonal"),
        Pair("gru", "first", 14),
    )
)
FOURTH = tuple(
    replace(pair, held=4)
    for pair in (
        *(Pair("tanh", task, 30) for task in ("noisy", "weighted")),
        Pair("gru", "early", 20, cut=6),
        *(Pair(cell, "vote", 30) for cell in ("gru", "lstm")),
        Pair("lstm", "first", 30, start="forget 2"),
        Pair("lstm", "noisy", 30),
        Pair("lstm", "vote", 20, padding=15),
        *(Pair(cell, "vote", 50) for cell in ("gru", "lstm")),
        Pair("lstm", "weighted", 50),
        Pair("lstm", "vote", 40, start="forget 2"),
        Pair("gru", "late", 50),
        Pair("gru", "vote", 30, layers=2),
        Pair("gru", "weighted", 50),
        *(Pair(cell, "vote", 80) for cell in ("gru", "lstm")),
    )
)
FIFTH = tuple(
    replace(pair, held=5)
    for pair in (
        *(Pair("gru", task, 45) for task in ("hold", "vote")),
        Pair("lstm", "adding", 50),
        Pair("lstm", "late", 70),
        *(Pair("gru", task, 70) for task in ("weighted", "vote")),
        Pair("lstm", "vote", 70),
    )
)
EVERY = PAIRS + SECOND + THIRD + FOURTH + FIFTH


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
                weight.fill_(float(value or -3))
            elif kind == "stacked" and "weight_hh" in name:
                nn.init.orthogonal_(weight)  # of the stacked gates at once, as is often done
            elif kind == "forget" and "bias" in name:
                weight[UNITS : 2 * UNITS] = float(value) / 2  # two biases are added
    if pair.start == "orthogonal":
        initialize_(net, recurrent="orthogonal", rng=seed)
    return net


def _voted(task: str, signs: np.ndarray) -> np.ndarray:
    """The vote of signs ``(count, T)``: over all steps, over the last half, or of weights that rise in proportion."""
    if task == "weighted":
        weight = np.arange(1, signs.shape[1] + 1)
        return signs @ weight / math.sqrt(np.square(weight).sum())
    heard = signs[:, -(signs.shape[1] // 2) :] if task == "late" else signs
    return heard.mean(1) * math.sqrt(heard.shape[1])


def drawn(pair: Pair, count: int, rng: np.random.Generator):
    """Sequences and targets ``(count, T, 2)``, ``(count, 1)``."""
    x = rng.standard_normal((count, pair.length, 2))
    if pair.task == "recent":
        y = x[:, -5:, 0].mean(1) * math.sqrt(5)
    elif pair.task == "first":
        y = x[:, 0, 0].copy()
    elif pair.task == "early":
        y = x[:, :5, 0].mean(1) * math.sqrt(5)
    elif pair.task == "middle":
        y = x[:, pair.length // 2, 0].copy()
    elif pair.task == "lagged":
        y = x[:, -13, 0].copy()
    elif pair.task == "hold":
        marked = rng.random((count, pair.length)) < 1 / 10
        marked[:, 0] |= ~marked.any(1)
        x[:, :, 1] = marked
        last = pair.length - 1 - np.argmax(marked[:, ::-1], 1)
        y = x[np.arange(count), last, 0].copy()
    elif pair.task == "product":
        y = x[:, -1, 0] * x[:, -2, 0]
    elif pair.task in {"vote", "weighted", "late"}:
        y = _voted(pair.task, np.sign(x[:, :, 0]))
    elif pair.task == "noisy":
        y = math.sqrt(3 / 4) * x[:, -13, 0] + rng.standard_normal(count) / 2
    else:
        half = pair.length // 2
        marks = rng.integers(half, size=count), half + rng.integers(pair.length - half, size=count)
        x[:, :, 1] = 0
        for places in marks:
            x[np.arange(count), places, 1] = 1
        y = (x[:, :, 0] * x[:, :, 1]).sum(1) / math.sqrt(2)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)


def scores(pair: Pair, nets: list[Net], seeds: list[int]) -> list[float]:
    """The relative squared error of nets after training, each on the data of its seed."""
    stack = StackedNets(nets, pair.cell)
    place = [sorted(set(seeds)).index(seed) for seed in seeds]

    def of_each(count: int, rngs: list[np.random.Generator]):
        data = [drawn(pair, count, rng) for rng in rngs]
        return (torch.stack(parts)[place] for parts in zip(*data, strict=True))

    rngs = [np.random.default_rng([seed, 1]) for seed in sorted(set(seeds))]
    train(stack, lambda: tuple(of_each(BATCH, rngs)), steps=STEPS, rate=RATE)
    x, y = of_each(512, [np.random.default_rng([seed, 2]) for seed in sorted(set(seeds))])
    with torch.no_grad():
        values = (stack(x) - y).square().mean((1, 2)) / y.var((1, 2))
    return [min(value, WORST) if math.isfinite(value) else WORST for value in values.tolist()]


def arms(pair: Pair, seed: int):
    """What the diagnosis said, and arm → net."""
    net = built(pair, seed)
    batch = drawn(pair, BATCH, np.random.default_rng([seed, 3]))
    found = uc.diagnose(net, batch, loss=nn.functional.mse_loss, rng=seed)
    severities = {f.code: str(f.severity) for f in reversed(found.findings)}  # the worst of a code
    nets = {"as it is": net}
    by_hand = any(severities.get(code) == "warning" for code in BY_HAND)
    actions = any(f.action for f in found.findings)
    if by_hand or actions:
        nets["first"] = net.mended() if by_hand else copy.deepcopy(net)
    if actions:
        found.apply_(nets["first"], trained=True, rng=seed)
    for action in [action for one in found.layers for action in remedies(one.layer, found.examination.steps, one.live)]:
        # What is fitted to the inputs of a batch has their numbers in its name.
        nets[name := re.sub(r"(critical|constant)\(.*?\)", r"\1", name_of(action))] = copy.deepcopy(net)
        initialize_(nets[name], **action, rng=seed)
    if pair.cut or pair.padding:
        nets |= {f"mended + {arm}": one.mended() for arm, one in nets.items() if arm not in {"as it is", "first"}}
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


def library() -> str:
    """The SHA-256 of the library's source text, which the diagnoses of a file belong to."""
    root = Path(uc.__file__).parent
    sources = (file.read_bytes() for file in sorted(root.rglob("*.py")))
    return hashlib.sha256(b"".join(sources)).hexdigest()[:16]


def fingerprint(net: Net) -> str:
    """The SHA-256 of what the outcome of a training depends on: the parameters, and which state is read."""
    digest = hashlib.sha256(repr((net.cut, net.padding)).encode())
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()[:16]


def run(pairs=EVERY) -> None:
    """Do every run that is missing, the trainings of a pair as one program."""
    version, table = library(), finished()
    judged = {(row["pair"], row["seed"]) for row in table if row.get("library") == version}
    scored = {(row["pair"], row["seed"], row["net"]) for row in table if "score" in row}
    for pair in pairs:
        missing, ends = {}, []
        for seed in pair.seeds:
            if (pair.name, seed) in judged:
                continue
            severities, nets = arms(pair, seed)
            prints = {arm: fingerprint(net) for arm, net in nets.items()}
            missing |= {(pair.name, seed, prints[arm]): net for arm, net in nets.items()}
            ends.append({"pair": pair.name, "seed": seed, "library": version, "findings": severities, "arms": prints})
        missing = {key: net for key, net in missing.items() if key not in scored}
        # Nets that read other states are other programs.
        for reads in {(net.cut, net.padding) for net in missing.values()}:
            group = {key: net for key, net in missing.items() if (net.cut, net.padding) == reads}
            for key, value in zip(group, scores(pair, list(group.values()), [key[1] for key in group]), strict=True):
                append({"pair": key[0], "seed": key[1], "net": key[2], "score": value})
        for end in ends:
            append(end)


def judged() -> list[Verdict]:
    """The pairs whose five seeds are all finished."""
    table, version = finished(), library()
    scored = {(row["pair"], row["seed"], row["net"]): row["score"] for row in table if "score" in row}
    verdicts = []
    for pair in EVERY:
        rows = [row for row in table if row["pair"] == pair.name and row.get("library") == version]
        ends = [row["findings"] for row in rows]
        if len(ends) < SEEDS:
            continue
        warnings = sum(bool({"warning", "error"} & set(found.values())) for found in ends)
        counts = Counter((code, severity) for found in ends for code, severity in found.items())
        findings = {code: severity for (code, severity), count in sorted(counts.items()) if count > SEEDS / 2}
        scores: dict[str, dict[int, float]] = {}
        for row in rows:
            for arm, net in row["arms"].items():
                scores.setdefault(arm, {})[row["seed"]] = scored[pair.name, row["seed"], net]
        base = scores["as it is"]
        # A seed without a finding has nothing to act on: its first remedy is the model as it is.
        if "first" in scores:
            scores["first"] = base | scores["first"]
        arrays = {arm: np.array([by[s] for s in pair.seeds]) for arm, by in scores.items() if len(by) == SEEDS}
        first = "first" if "first" in arrays else ""
        alike = (arm for arm in rows[0]["arms"] if all(r["arms"].get(arm) == r["arms"].get(first, "") for r in rows))
        same = next((arm for arm in alike if arm != first), "")
        verdicts.append(Verdict(pair, warnings, findings, arrays, first, same))
    return verdicts


def rows():
    """Do the runs that are missing, and judge the pairs."""
    torch.set_num_threads(1)
    run()
    for part, verdicts in parts().items():
        yield from rates(verdicts, part)


def parts() -> dict[str, list[Verdict]]:
    """The verdicts of the pairs that rules were tuned on, and of those held out."""
    verdicts = judged()
    return {part: [v for v in verdicts if v.pair.part == part] for part in PARTS}


if __name__ == "__main__":
    torch.set_num_threads(1)
    wanted = sys.argv[1:]  # parts to run before the page is printed, or pairs by name; nothing for what is there
    run([pair for pair in EVERY if {pair.part, pair.name} & set(wanted)])
    print(page(parts(), [pair for pair in EVERY if pair not in {v.pair for part in parts().values() for v in part}]))
