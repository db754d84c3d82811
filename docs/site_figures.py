"""The picture and the answer of the first page, and the card of other sites; ``conf.py`` calls ``write``."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unitcircle import diagnose, initializers, power_norms
from unitcircle.report import COLORS, style

UNITS, STEPS, LENGTH = 64, 100, 200


def write(folder: Path) -> None:
    """Write them."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = gates()
    with style():
        figure = Figure(figsize=(6.6, 3.0), layout="constrained")
        plane, norms = figure.subplots(1, 2, width_ratios=(1, 1.35))
        eigenvalues(plane, blocks)
        powers(norms, blocks)
        figure.savefig(folder / "landing.svg", metadata={"Date": None, "Creator": None})
        card = Figure(figsize=(12, 6.3), layout="constrained", dpi=100)
        plane, norms = card.subplots(1, 2, width_ratios=(1, 1.25))
        eigenvalues(plane, blocks)
        powers(norms, blocks)
        card.suptitle("unitcircle: can this network carry a signal over the length you need?", fontsize=20)
        static = Path(__file__).parent / "_static"
        card.savefig(static / "card.png", metadata={"Software": None})
    write_answer(folder)


def write_answer(folder: Path) -> None:
    """Write the command of the first page with the line that it prints first, and all that it prints."""
    path = "examples/popular-lstm.safetensors"
    diagnosis = diagnose(Path(__file__).parent.parent / path, steps=LENGTH)
    command = f"$ unitcircle diagnose {path} --steps {LENGTH}"
    install = "$ pip install .        # in a checkout; files need no framework"
    (folder / "landing.txt").write_text(f"{install}\n{command}\n{diagnosis.answer.sentence}\n", encoding="utf-8")
    (folder / "start.txt").write_text(f"{command}\n{replace(diagnosis, subject=path)}\n", encoding="utf-8")


def gates() -> dict[str, np.ndarray]:
    """Return the forget gate of an LSTM initialized the popular way (the stack is orthogonal), and gate by gate."""
    orthogonal = initializers.parse("orthogonal")
    stack = np.linalg.qr(np.random.default_rng(0).standard_normal((4 * UNITS, UNITS)))[0]
    return {
        "orthogonal_ on the stack": stack[UNITS : 2 * UNITS],
        "gate by gate": np.asarray(orthogonal.sample(UNITS, rng=0)),
    }


def eigenvalues(axes: Axes, blocks: dict[str, np.ndarray]) -> None:
    angle = np.linspace(0, 2 * np.pi, 400)
    axes.plot(np.cos(angle), np.sin(angle), color=COLORS["grey"], lw=1)
    for (label, W), color, marker in zip(blocks.items(), ("vermilion", "blue"), "os", strict=True):
        values = np.linalg.eigvals(W)
        axes.plot(values.real, values.imag, marker, ms=3.5, color=COLORS[color], label=label)
    axes.set(aspect="equal", xlabel="real part", ylabel="imaginary part", title="Eigenvalues of the forget gate")


def powers(axes: Axes, blocks: dict[str, np.ndarray]) -> None:
    for (label, W), color in zip(blocks.items(), ("vermilion", "blue"), strict=True):
        axes.plot(
            np.arange(STEPS + 1), np.asarray(power_norms(W, steps=STEPS)) / np.log(10), color=COLORS[color], label=label
        )
    axes.set(xlabel="steps t", ylabel="log₁₀ ‖Wᵗ‖", title="What is left of a signal after t steps")
    axes.annotate("1/1000", (STEPS, -3), xytext=(0, 3), textcoords="offset points", ha="right", fontsize=7)
    axes.axhline(-3, ls=":", lw=0.8, color=COLORS["grey"])
    axes.legend(loc="lower left")
