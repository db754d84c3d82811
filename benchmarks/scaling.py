"""How time and memory grow: ``python -m benchmarks scaling`` prints slopes on log axes, and draws docs/scaling.svg."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks._row import least_time
from unitcircle import checkpoints
from unitcircle.diagnosis import drive
from unitcircle.diagnosis._driven import drive_together
from unitcircle.monitor import read_run
from unitcircle.recurrence import RecurrentLayer, from_torch
from unitcircle.spectra import power_norms, pseudospectrum, spectrum

FIGURE = Path(__file__).parent.parent / "docs" / "scaling.svg"


@dataclass(frozen=True)
class Growth:
    """Processor time (s) and the most memory allocated (MiB) of one work by its size."""

    work: str
    size: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    memory: tuple[float, ...]
    at_most: float

    @property
    def slope(self) -> float:
        """Exponent of the time between the last two sizes, where fixed costs weigh least."""
        return float(np.log(self.seconds[-1] / self.seconds[-2]) / np.log(self.sizes[-1] / self.sizes[-2]))

    @property
    def memory_slope(self) -> float:
        """Exponent of the memory between the last two sizes."""
        return float(np.log(self.memory[-1] / self.memory[-2]) / np.log(self.sizes[-1] / self.sizes[-2]))

    @property
    def holds(self) -> bool:
        return self.slope <= self.at_most

    def __str__(self) -> str:
        times = ", ".join(f"{1e3 * s:.3g}" for s in self.seconds)
        room = ", ".join(f"{m:.2g}" for m in self.memory)
        sizes = ", ".join(f"{s:,}" for s in self.sizes)
        cells = (self.work, f"{self.size} = {sizes}", times, f"{self.slope:.2f} (≤ {self.at_most:g})", room)
        return f"| {' | '.join(cells)} | {self.memory_slope:.2f} |"


def grow(
    work: str, size: str, sizes: Sequence[int], of: Callable[[int], Callable[[], object]], at_most: float
) -> Growth:
    """Measure a work at several sizes."""
    seconds, memory = [], []
    for value in sizes:
        call = of(value)
        seconds.append(least_time(1, call)[0])
        tracemalloc.start()
        call()
        memory.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    return Growth(work, size, tuple(sizes), tuple(seconds), tuple(memory), at_most)


def layer(n: int, seed: int = 0) -> RecurrentLayer:
    rng = np.random.default_rng(seed)
    blocks = {name: rng.uniform(-1, 1, shape) / n**0.5 for name, shape in (("W", (4 * n, n)), ("U", (4 * n, n)))}
    bias = rng.uniform(-1, 1, 4 * n) / n**0.5
    return from_torch(blocks["W"], cell="lstm", weight_ih=blocks["U"], bias_ih=bias, bias_hh=bias)


def departure(W: np.ndarray) -> float:
    """Return radius and departure, of which the second uses the eigenvalues of the first."""
    measured_ = spectrum(W)
    return measured_.radius + measured_.departure_from_normality


def gaussian(n: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, n)) / n**0.5


def rows() -> Iterator[Growth]:
    """Yield the growth of time and memory by n, T, layers, records and file size; draw them."""
    found: list[Growth] = []
    for growth in measured():
        found.append(growth)
        yield growth
    draw(found)


def measured() -> Iterator[Growth]:
    yield grow(
        "radius and departure of a weight", "n", (64, 128, 256, 512), lambda n: partial(departure, gaussian(n)), 3.3
    )
    yield grow("norms of 64 powers", "n", (64, 128, 256, 512), lambda n: partial(power_norms, gaussian(n), 64), 3.3)
    yield grow("pseudospectrum, 30²", "n", (32, 64, 128), lambda n: partial(pseudospectrum, gaussian(n), 30), 3.0)
    yield grow("an LSTM driven 64 steps", "n", (32, 64, 128, 256), lambda n: partial(drive, layer(n), steps=64), 2.5)
    yield grow("an LSTM(32) driven", "T", (64, 256, 1024), lambda steps: partial(drive, layer(32), steps=steps), 1.2)

    def together(count: int) -> Callable[[], object]:
        layers = [layer(32, k) for k in range(count)]
        return lambda: drive_together(layers, steps=64)

    yield grow("LSTM(32) driven together", "layers", (4, 16, 64), together, 1.2)
    with TemporaryDirectory() as folder:

        def records(count: int) -> Callable[[], object]:
            path = Path(folder, f"{count}.jsonl")
            record = {f"rnn.weight_hh_l0[{gate}]/{metric}": 0.5 for gate in "ifgo" for metric in ("radius", "norm")}
            with path.open("w") as file:
                file.writelines(json.dumps({"run": "a", "step": step} | record) + "\n" for step in range(count))
            return lambda: read_run(path)

        yield grow("reading a monitor's file", "records", (1_000, 4_000, 16_000), records, 1.1)

        def file_of(mebibytes: int) -> Callable[[], object]:
            from safetensors.numpy import save_file

            n = int((mebibytes * 2**20 / 32) ** 0.5)
            path = Path(folder, f"{mebibytes}.safetensors")
            save_file(
                {"rnn.weight_hh_l0": np.zeros((4 * n, n), "f4"), "rnn.weight_ih_l0": np.zeros((4 * n, n), "f4")}, path
            )
            return lambda: [block.sum() for each in checkpoints.read(path) for block in each.gates.values()]

        yield grow("reading a file of weights and adding up the recurrent ones", "MiB", (4, 16, 64, 256), file_of, 1.1)


def draw(found: Sequence[Growth]) -> None:
    """Draw time and memory on log axes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from unitcircle.report import FIGURE_RC, style

    with style(), rc_context(FIGURE_RC | {"svg.hashsalt": "scaling"}):
        figure = Figure(figsize=(7.2, 6.4), layout="constrained")
        axes = figure.subplots(2, 2, sharex="col")
        for column, by_n in enumerate((True, False)):
            for growth in found:
                if (growth.size == "n") is not by_n:
                    continue
                name = growth.work if by_n else f"{growth.work}: {growth.size}"
                for ax, values, slope in (
                    (axes[0, column], growth.seconds, growth.slope),
                    (axes[1, column], growth.memory, growth.memory_slope),
                ):
                    (line,) = ax.loglog(growth.sizes, values, "o-", ms=3, label=name)
                    ax.annotate(
                        f"{slope + 0.0:.1f}".replace("-0.0", "0.0"), (growth.sizes[-1], values[-1]), (5, 0),
                        textcoords="offset points", va="center", fontsize=7, color=line.get_color(),
                    )  # fmt: skip
            axes[0, column].legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=7, borderaxespad=0.2)
            axes[0, column].set(ylabel="processor time (s)")
            axes[1, column].set(
                ylabel="most memory allocated (MiB)", xlabel="n (units)" if by_n else "T (steps), layers, records, MiB"
            )
            for ax in axes[:, column]:
                ax.margins(x=0.1)
        sizes = sorted({size for growth in found if growth.size == "n" for size in growth.sizes})
        axes[1, 0].set_xticks(sizes, [f"{size}" for size in sizes])
        axes[1, 0].minorticks_off()
        figure.savefig(FIGURE, metadata={"Date": None})
    print(f"  drawn: {FIGURE}", file=sys.stderr)
