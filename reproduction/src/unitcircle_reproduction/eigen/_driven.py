"""Untrained tanh recurrences under random inputs: exponents, gain of the activation, distance from the origin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from unitcircle import dynamics
from unitcircle.initializers import BlockRotation, Chain, Eigen, Initializer, Orthogonal
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.eigen import _dynamics_figures as figures

N = 64
BURN_IN = 100
SMALL = 0.01
"""Nats per step that count as zero."""


@dataclass(frozen=True)
class Driven:
    """What an untrained net does under random inputs."""

    leading: float  # Leading Lyapunov exponent, nats per step, mean over sequences
    stderr: float  # Its standard error over sequences
    log_gain: float  # Mean of log(1 − h²) over units and time, nats per step
    gain: float  # Mean of 1 − h², the slope of tanh
    distance: float  # ‖h‖/√n, mean over time after the burn-in
    saturation: float  # Share of units with |h| ≥ .95, mean over time after the burn-in
    dimension: float  # Participation ratio of the last states over the sequences


def structured(modulus: float, /) -> dict[str, Initializer]:
    """Return weights of one spectral radius: three normal ones, and a chain with feedback, which is far from normal."""
    return {
        "eigen": Eigen(modulus=modulus, angles="uniform"),
        "Haar": Orthogonal(gain=modulus),
        "blocks": BlockRotation(modulus=modulus),
        "non-normal chain": Chain(gain=1.25 * modulus, feedback=0.2 * modulus),
    }


def tanh_net(W: np.ndarray, inputs: np.ndarray, /) -> nn.RNN:
    """Return ``h_t = tanh(W h_{t-1} + U x_t)`` as torch's module, W ``(n, n)`` and U ``(n, m)`` in double precision."""
    net = nn.RNN(inputs.shape[1], len(W), bias=False).double()
    net.load_state_dict({"weight_hh_l0": torch.from_numpy(W.copy()), "weight_ih_l0": torch.from_numpy(inputs)})
    return net


def drive(W: np.ndarray, /, *, scale: float, steps: int, sequences: int, seed: int) -> Driven:
    """Drive a tanh net by independent Gaussian inputs of standard deviation ``scale`` to every unit."""
    rng = np.random.default_rng([seed, 17])
    features = 16
    U = rng.standard_normal((len(W), features)) * scale / math.sqrt(features)
    x = torch.from_numpy(rng.standard_normal((BURN_IN + steps, sequences, features)))
    net = tanh_net(W, U)
    result = dynamics.lyapunov_exponents(net, x, k=1, burn_in=BURN_IN)
    hidden = dynamics.hidden_states(net, x, replicas=2)
    late = hidden.states[BURN_IN:]
    leading = result.exponents[:, 0]
    slope = np.maximum(1 - late**2, np.finfo(float).tiny)
    return Driven(
        leading=float(leading.mean()),
        stderr=float(leading.std(ddof=1) / math.sqrt(sequences)),
        log_gain=float(np.log(slope).mean()),
        gain=float(slope.mean()),
        distance=float(hidden.distance[BURN_IN:].mean()),
        saturation=float(hidden.saturation[BURN_IN:].mean()),
        dimension=float(hidden.effective_dimension[-1]),
    )


def exponents(context: Context, /) -> Claim:
    """Measure why eigenvalues beyond the unit circle do not explode."""
    moduli = context.pick(
        (0.8, 0.95, 1.0, 1.1, 1.2, 1.5, 2.0), (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0)
    )
    steps, sequences = context.pick((300, 4), (4000, 8))
    rows: list[dict[str, Any]] = [
        {
            "input scale": scale,
            "weight": name,
            "modulus": modulus,
            "leading exponent": result.leading,
            "±": 2 * result.stderr,
            "log modulus": math.log(modulus),
            "mean log sech²": result.log_gain,
            "‖h‖/√n": result.distance,
        }
        for scale in (0.01, 0.3, 1.0)
        for modulus in moduli
        for name, init in structured(modulus).items()
        for result in [
            drive(init.sample(N, rng=context.draws), scale=scale, steps=steps, sequences=sequences, seed=context.draws)
        ]
    ]
    beyond = [row for row in rows if row["modulus"] > 1]
    chaotic = [row for row in beyond if row["leading exponent"] > SMALL + row["±"]]
    tamed = 1 - len(chaotic) / len(beyond)
    worst = max(beyond, key=lambda row: row["leading exponent"])
    mild = [row for row in rows if row["modulus"] == 1.1 and row["weight"] != "non-normal chain"]
    span = ", ".join(
        f"{min(values):+.3f} to {max(values):+.3f} at input × {scale:g}"
        for scale in (0.01, 0.3, 1.0)
        for values in [[row["leading exponent"] for row in mild if row["input scale"] == scale]]
    )
    return Claim(
        "exponents",
        "Why moduli above 1 do not explode",
        "(A question that the summary leaves open.) Trained and initialized weights may have eigenvalues beyond the "
        "unit circle; what keeps the hidden state and its gradient from exploding?",
        "The tanh: a step multiplies a difference by diag(1 − h²) W, not by W, and 1 − h² shrinks as the modulus "
        "drives h outward. For a multiple m of an orthogonal weight the mean of all exponents is log m + ⟨log(1 − "
        f"h²)⟩ exactly. At modulus 1.1 (log m = +0.095) the leading exponent is {span}. Of {len(beyond)} nets with "
        f"modulus above 1, {len(chaotic)} are chaotic (exponent above {SMALL:g} by two standard errors); the largest "
        f"is {worst['leading exponent']:+.3f} ({worst['weight']}, modulus {worst['modulus']:g}, input × "
        f"{worst['input scale']:g}; log m = {worst['log modulus']:+.3f}), far below log m. At a small input and "
        "modulus below 1 the exponent is log m (normal weights): there the net is linear.",
        Verdict.HOLDS if not chaotic else Verdict.CONDITIONALLY,
        condition=f"{tamed:.0%} of the nets beyond modulus 1 are not chaotic; no state explodes" if chaotic else "",
        table=rows if context.full else [row for row in rows if row["modulus"] in {0.95, 1.1, 1.5, 2.0}],
        figures={
            f"Leading Lyapunov exponent of untrained tanh nets (n = {N}) under white noise against the "
            "spectral radius. Dashed: the linear net. Above 0: chaos.": partial(figures.exponents, rows)
        },
        data={"stable_share": tamed, "largest": worst["leading exponent"]},
    )


def regime(context: Context, /) -> Claim:
    """Measure where a net of given modulus is linear."""
    scales = context.pick((0.01, 0.03, 0.1, 0.3, 1.0, 3.0), tuple(10.0 ** np.linspace(-3, 1, 13)))
    rows: list[dict[str, Any]] = [
        {
            "modulus": modulus,
            "input scale": scale,
            "gain": result.gain,
            "distance": result.distance,
            "saturation": result.saturation,
            "effective dimension": result.dimension,
            "exponent − log modulus": result.leading - math.log(modulus),
        }
        for modulus in (0.8, 0.95, 1.0, 1.1, 1.5)
        for scale in scales
        for W in [Eigen(modulus=modulus, angles="uniform").sample(N, rng=context.draws)]
        for result in [drive(W, scale=scale, steps=context.pick(100, 1000), sequences=64, seed=context.draws)]
    ]
    linear = {
        modulus: max(
            (row["input scale"] for row in rows if row["modulus"] == modulus and row["gain"] > 0.95), default=0.0
        )
        for modulus in (0.8, 0.95, 1.0, 1.1, 1.5)
    }
    ranges = "; ".join(
        f"{modulus:g}: {'up to input × ' + format(scale, '.2g') if scale else 'at none'}"
        for modulus, scale in linear.items()
    )
    never = [modulus for modulus, scale in linear.items() if not scale]
    return Claim(
        "regime",
        "Linear and nonlinear regime",
        "The analysis starts from the linear state space model. (When a tanh net is one, the summary does not say.)",
        f"We call a net linear while the mean slope of its tanh is above 0.95. By modulus: {ranges}. Below modulus 1 "
        "that is decided by the size of the input alone; beyond it the state leaves the origin by itself, and no input "
        "is small enough. What a modulus means depends on the input scale, which has to be stated with it; the full "
        "study sweeps it in training, too.",
        Verdict.CONDITIONALLY if never else Verdict.HOLDS,
        condition="the linear picture is right for small inputs and moduli of at most 1 only" if never else "",
        table=rows,
        figures={
            f"Eigen weights, n = {N}: mean slope of tanh, and effective dimension of the last state over 64 sequences, "
            "against the scale of the input.": partial(figures.regimes, rows)
        },
        data={"linear_up_to": linear},
    )
