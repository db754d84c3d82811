"""Goals of the performance table: commands as processes, byte code cached, their processor time and memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks._goal import Goal, child, least_time

IMPORTS = "NumPy, SciPy's LAPACK that draws a weight to check its law, and the command line are imported"
PLAN = "every run of the plan is described and hashed, every record checked"
MATCHED = "every line is matched against a pattern, and ten of its numbers are parsed"
KEPT = "of every record its place and the numbers that are drawn, some 250 bytes"
COMMAND = (sys.executable, "-m", "unitcircle")


def commands(folder: Path) -> Iterator[Goal]:
    """Yield the goals of all commands."""
    bare = child([sys.executable, "-c", "pass"])[0]
    imports = child([sys.executable, "-c", "import scipy.linalg, rich.console, tyro"])[0]
    yield Goal("unitcircle --help", child([*COMMAND, "--help"])[0], 0.15, "s", f"bare interpreter {bare:.2g} s")
    yield from diagnoses(folder, imports)
    yield from studies(folder)
    yield from watching(folder, imports)


def diagnoses(folder: Path, imports: float) -> Iterator[Goal]:
    """Files of three sizes; the other formats of the smallest and of an LSTM(1024)."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    files = {
        "4 MB": (nn.LSTM(354, 354), folder / "4.safetensors", 1.2),
        "40 MB": (nn.LSTM(1118, 1118), folder / "40.safetensors", 6.0),
        "400 GRU layers of 64": (nn.GRU(64, 64, num_layers=400), folder / "400.safetensors", 6.0),
        "LSTM(1024)": (nn.LSTM(1024, 1024), folder / "1024.safetensors", None),
    }
    text: dict[str, float] = {}
    for name, (module, path, goal) in files.items():
        save_file(module.state_dict(), path)
        seconds, memory = child(
            [*COMMAND, "diagnose", str(path)], rounds=2 if name == "4 MB" else 1, warm=name == "4 MB"
        )
        text[name] = seconds
        if goal is None:
            continue
        blocks = [w.chunk(len(w) // w.shape[1]) for k, w in module.state_dict().items() if "weight_hh" in k]
        eigenvalues = least_time(1, lambda blocks=blocks: [np.linalg.eigvals(b.numpy()) for w in blocks for b in w])[0]
        limit = f"eigenvalues of all blocks {eigenvalues:.2g} s, imports {imports:.2g} s; {memory:.0f} MiB"
        reason = "eigenvalues, norms and 64 driven steps beyond the limit"
        yield Goal(f"diagnose, {name}, cold", seconds, goal, "s", limit, reason)
    path = files["4 MB"][1]
    # In turns, because they differ by less than two measurements of the same command some minutes apart.
    turns = [[child([*COMMAND, "diagnose", str(path), *words], rounds=1, warm=False)[0] for words in ((), ("--json",))]
             for _ in range(6)]  # fmt: skip
    as_text, as_json = (min(turn[k] for turn in turns) for k in range(2))
    yield Goal("--json over text, 4 MB", as_json / as_text, 1.05, "times", "1", "‖W⁶⁴‖ of four gates")
    for name, n, goal in (("4 MB", 354, 1.0), ("LSTM(1024)", 1024, 12.0)):
        path = files[name][1]
        page = child([*COMMAND, "diagnose", str(path), "--html", str(folder / "page.html")], rounds=1, warm=n < 1000)[0]
        W = np.random.default_rng(0).standard_normal((n, n))
        product = least_time(2, lambda W=W: W @ W)[0]
        limit = f"256 products of n³ {256 * product:.2g} s"
        reason = "importing Matplotlib takes half a second, six figures and 64 powers of four gates as long"
        yield Goal(f"--html over text, {name}", page - text[name], goal, "s", limit, reason)


def studies(folder: Path) -> Iterator[Goal]:
    """Show and compare studies of 100 and of 10,000 records."""
    imports = child([sys.executable, "-c", "import numpy, rich.console, tyro"])[0]
    for count, sizes, initializers, goal in ((100, 1, 1, 0.8), (10_000, 10, 10, 6.0)):
        file, lines = write_study(folder, f"of-{count}", sizes, initializers)
        parsed = least_time(1, lambda lines=lines: [json.loads(line) for line in lines])[0] * count / len(lines)
        for command in ("show", "compare"):
            seconds, memory = child(
                [*COMMAND, "study", command, str(file), "--out", str(folder)], rounds=1, warm=count < 1000
            )
            limit = f"json.loads of every record {parsed:.2g} s, imports {imports:.2g} s; {memory:.0f} MiB"
            reason = IMPORTS if count < 1000 else PLAN if command == "show" else f"{PLAN}; 9,999 resamples a row"
            yield Goal(f"study {command}, {count:,} records", seconds, goal, "s", limit, reason)


def write_study(folder: Path, name: str, sizes: int, initializers: int) -> tuple[Path, list[str]]:
    """Write a study of 100 runs for each size and initializer, with records; return its file and some records."""
    from unitcircle.experiments.studies import Store, Study
    from unitcircle.experiments.training import Record, Status

    gains = ", ".join(f'"orthogonal(gain={1 + k / 100})"' for k in range(initializers))
    file = folder / f"{name}.toml"
    file.write_text(
        f"initializers = [{gains}]\nseeds = 40\ntuning_seeds = 20\ntwin = false\n[[experiment]]\ncells = ['lstm']\n"
        f"sizes = {[8 + k for k in range(sizes)]}\nlearning_rates = [1e-3, 3e-3, 1e-2]\nsteps = 1000\n"
    )
    study, store, rng = Study.load(file), Store(folder / name), np.random.default_rng(0)
    metrics = [f"{metric}[{gate}]" for metric in ("radius", "norm", "orthogonality", "drift") for gate in "ifgo"]
    curves = ["step", "train_loss", "validation_loss", "validation_score", *metrics]
    lines: list[str] = []
    for experiment in study.experiments:
        for setting in experiment.settings():
            for label in study.labels_in(setting):
                for run in [*study.tuning_runs(experiment, setting, label), *study.reported_runs(setting, label, 1e-3)]:
                    drawn = {curve: rng.random(11).tolist() for curve in curves} | {
                        "step": [100.0 * k for k in range(11)]
                    }
                    scores = ("validation_score", "test_score", "test_loss", "final_test_score", "final_train_loss")
                    # The rate 1e-3 is the best one.
                    values = {s: float(rng.random() + (run.learning_rate == 1e-3) * 10) for s in scores}
                    summary = values | {"steps": 1000.0, "steps_to_threshold": float("inf"), "solved": 0.0}
                    path = Record(run, Status.FINISHED, summary, drawn, ({"step": 0}, {"step": 1000})).write(
                        store.folder
                    )
                    if len(lines) < 100:
                        lines.append(path.read_text())
    return file, lines


def watching(folder: Path, imports: float) -> Iterator[Goal]:
    """Watch files of a monitor with eight blocks, once."""
    run = folder / "run.jsonl"
    for count, goal, most in ((100_000, 2.0, 150), (1_000_000, 15.0, 300)):
        write_run(run, count)
        seconds, memory = child([*COMMAND, "watch", str(run), "--once"], rounds=1, warm=False)
        with run.open("rb") as file:
            lines = [next(file) for _ in range(2000)]
        parsed = least_time(1, lambda lines=lines: [json.loads(line) for line in lines])[0] * count / 2000
        limit = f"json.loads of every line {parsed:.2g} s, imports {imports:.2g} s"
        work = f"watch --once, {count:,} records of 1.9 kB"
        yield Goal(work, seconds, goal, "s", limit, MATCHED)
        yield Goal(f"{work}: memory", memory, most, "MiB", "a line", KEPT)
    run.unlink()


def write_run(path: Path, count: int, distinct: int = 1000) -> None:
    """Write a run of a monitor with eight blocks; after so many records their numbers repeat."""
    rng = np.random.default_rng(0)
    metrics = ("radius", "norm", "orthogonality", "drift", "update", "gradient", "transient")
    names = [f"rnn.weight_hh_l{k}[{gate}]/{metric}" for k in range(2) for gate in "ifgo" for metric in metrics]
    drawn = rng.random((distinct, len(names))).round(7).tolist()
    measured = [json.dumps(dict(zip(names, numbers, strict=True)))[1:] for numbers in drawn]
    with path.open("w") as file:
        for step in range(count):
            head = f'{{"run": "a", "step": {10 * step}, "loss": {1.0 / (1 + step)!r}, '
            file.write(f"{head}{measured[step % distinct]}\n")
