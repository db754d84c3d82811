"""Five random weights multiplied by themselves: what their powers look like, and what the eigenvalues foretell."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unitcircle.initializers import parse
from unitcircle.report import COLORS, plot_power_norms, style
from unitcircle.spectra import departure_from_normality, power_norms, spectrum
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context

LAWS = {
    "uniform": "torch_default",
    "normal": "kaiming_normal",
    "identity": "identity",
    "orthogonal": "orthogonal",
    "eigen": "eigen(modulus=0.95)",
}
"""Name → specification. The scales are those of frameworks: U(−1/√n, 1/√n) of torch, N(0, 2/n) of He; ours, where the
source leaves them open."""
WORDS = {
    "uniform": "uniform, U(−1/√n, 1/√n)",
    "normal": "normal, N(0, 2/n)",
    "identity": "identity",
    "orthogonal": "orthogonal (Haar)",
    "eigen": "eigen, modulus 0.95",
}
STEPS = 64
UNITS = 32
SHOWN = (1, 2, 4, 8, 16, 32, 64)
GAINS = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.4, 2.0)


def claim(context: Context, /) -> Claim:
    """Measure the powers of weights of five laws, and of Gaussian weights of many radii."""
    weights = {name: parse(law).sample(UNITS, rng=context.draws) for name, law in LAWS.items()}
    rows = [_row(name, W) for name, W in weights.items()]
    logs, radii = fates(context.pick(40, 400), context.draws)
    wrong = (radii < 1) != (logs < 0)
    count, share = len(wrong), float(wrong.mean())
    # ‖Wᵗ‖ ≥ ρᵗ: only a weight whose radius is below 1 can be misjudged.
    edge = float(radii[wrong].min()) if wrong.any() else 1.0
    excess = np.exp(logs - STEPS * np.log(radii))
    return Claim(
        "powers",
        f"Repeated multiplication over {STEPS} steps",
        "Powers of a matrix vanish where all eigenvalues are below 1 in modulus and explode where one is above; "
        "those of an orthogonal matrix, whose eigenvalues all have modulus 1, do neither.",
        f"Of the five weights drawn here (n = {UNITS}), the uniform one shrinks to {rows[0]['‖W⁶⁴‖₂']:.1e} and the "
        f"normal one grows to {rows[1]['‖W⁶⁴‖₂']:.1e}; identity and orthogonal stay at 1 "
        f"(orthogonal within {abs(rows[3]['‖W⁶⁴‖₂'] - 1):.0e}), eigen ends at 0.95⁶⁴ = {rows[4]['‖W⁶⁴‖₂']:.3f}. Of "
        f"{count} Gaussian weights with radii from {radii.min():.2f} to {radii.max():.2f} the radius foretells "
        f"whether the norm is below or above 1 after {STEPS} steps for {1 - share:.1%}. It fails for radii "
        f"between {edge:.3f} and 1, where the norm is still above 1: these weights are not normal, and "
        f"‖W⁶⁴‖₂ is {np.median(excess):.1f} times ρ⁶⁴ (median; {np.percentile(excess, 2.5):.1f} to "
        f"{np.percentile(excess, 97.5):.1f} for 95 %).",
        Verdict.HOLDS if not wrong.any() else Verdict.CONDITIONALLY,
        rows,
        {
            f"Powers Wᵗ as heat maps, n = {UNITS}; colour from −3/√n (blue) over 0 (white) to 3/√n (red)": partial(
                _filmstrip, weights
            ),
            "Norms of the powers": partial(_norms, weights),
            f"What the radius foretells and what {STEPS} steps give, Gaussian weights, n = {UNITS}": partial(
                _fates_figure, radii, logs
            ),
        },
        {"draws": count, "disagree": share, "edge": edge},
        ""
        if not wrong.any()
        else "Eigenvalues decide in the limit of many steps; how many, the departure from normality decides.",
        animations={f"The same powers, t = 0 to {STEPS}": partial(_animation, weights)},
    )


def fates(draws: int, seed: int, /) -> tuple[np.ndarray, np.ndarray]:
    """Return log ‖W⁶⁴‖₂ and the spectral radius of Gaussian weights of many gains, ``draws`` of each."""
    rng = np.random.default_rng(seed)
    W = np.concatenate([gain * parse("gaussian").sample(UNITS, rng=rng, size=draws) for gain in GAINS])
    return np.asarray(power_norms(W, STEPS))[:, -1], np.abs(np.linalg.eigvals(W)).max(-1)


def _row(name: str, W: np.ndarray) -> dict[str, Any]:
    measured = spectrum(W)
    return {
        "weight": WORDS[name],
        "ρ": float(measured.radius),
        "σ₁": float(measured.norm),
        "departure from normality": float(departure_from_normality(W)),
        "‖W⁶⁴‖₂": float(np.exp(power_norms(W, STEPS)[-1])),
        "ρ⁶⁴": float(measured.radius) ** STEPS,
    }


def _powers(W: np.ndarray) -> list[np.ndarray]:
    powers = [np.eye(len(W))]
    for _ in range(STEPS):
        powers.append(powers[-1] @ W)
    return powers


def _filmstrip(weights: dict[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(9.0, 6.4), layout="constrained")
    axes = figure.subplots(len(weights), len(SHOWN))
    limit = 3 / UNITS**0.5
    for row, (name, W) in zip(axes, weights.items(), strict=True):
        powers = _powers(W)
        for ax, t in zip(row, SHOWN, strict=True):
            ax.imshow(powers[t], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(True)
            if name == next(iter(weights)):
                ax.set_title(f"t = {t}")
        row[0].set_ylabel(_two_lines(name))
    return figure


def _two_lines(name: str) -> str:
    return WORDS[name].replace(", ", "\n", 1).replace(" (", "\n(", 1)


def _norms(weights: dict[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    ax = plot_power_norms({WORDS[name]: W for name, W in weights.items()}, steps=STEPS, ax=figure.subplots())
    ax.set_title("")
    # Two of the curves lie on each other.
    ax.lines[4].set_linestyle((0, (4, 4)))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _fates_figure(radii: np.ndarray, logs: np.ndarray) -> Figure:
    figure = Figure(figsize=(8.2, 3.5), layout="constrained")
    wrong, decades = (radii < 1) != (logs < 0), logs / np.log(10)
    r = np.linspace(radii.min(), radii.max(), 500)
    whole, near = figure.subplots(1, 2)
    for ax in (whole, near):
        for chosen, color, marker, label in ((~wrong, "blue", "o", "as foretold"), (wrong, "vermilion", "^", "not so")):
            ax.plot(radii[chosen], decades[chosen], marker, ms=3, color=COLORS[color], label=label)
        ax.plot(r, STEPS * np.log10(r), color=COLORS["black"], lw=0.9, label="ρ⁶⁴")
        ax.axhline(0, color=COLORS["grey"], lw=0.7)
        ax.axvline(1, color=COLORS["grey"], lw=0.7)
        ax.set(xlabel="spectral radius ρ", ylabel="log₁₀ ‖W⁶⁴‖₂")
    near.set(xlim=(0.92, 1.08), ylim=(-2.5, 3.5), title="near 1")
    near.legend(loc="lower right")
    return figure


def _animation(weights: dict[str, np.ndarray]) -> bytes:
    """Return the powers one after the other as an animated GIF."""
    from PIL import Image  # noqa: PLC0415 - only who asks for the animation pays for it

    limit, powers = 3 / UNITS**0.5, {name: _powers(W) for name, W in weights.items()}
    with style():
        figure = Figure(figsize=(7.6, 2.0), dpi=72, layout="constrained", facecolor="white")
        axes = figure.subplots(1, len(weights))
        images = []
        for ax, (name, frames) in zip(axes, powers.items(), strict=True):
            images.append(ax.imshow(frames[0], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"))
            ax.set(xticks=[], yticks=[])
            ax.set_title(_two_lines(name), fontsize=8)
        title = figure.supxlabel("t = 0", fontsize=10)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        # Laid out once: nothing moves but the colours.
        figure.set_layout_engine("none")
        drawn: list[Image.Image] = []
        for t in range(STEPS + 1):
            for image, frames in zip(images, powers.values(), strict=True):
                image.set_data(frames[t])
            title.set_text(f"t = {t}")
            canvas.draw()
            drawn.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(32))
    out = io.BytesIO()
    times = [1000, *[150] * (STEPS - 1), 2000]
    drawn[0].save(out, "GIF", save_all=True, append_images=drawn[1:], duration=times, loop=0)
    return out.getvalue()
