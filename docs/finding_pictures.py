"""Pictures of a defect: functions of axes, the subject of an example, and the example."""

import numpy as np
import torch
from matplotlib import colormaps

import unitcircle as uc
from unitcircle.report import COLORS

NAMES = ("blue", "vermilion", "green", "purple")


def layers(subject) -> list:
    """Return the recurrent layers of a module, or the layer itself."""
    return list(uc.torch.to_layers(subject)) if isinstance(subject, torch.nn.Module) else [subject]


def blocks(subject) -> dict[str, np.ndarray]:
    """Return the gate blocks by name, or the diagonal."""
    if (diagonal := getattr(subject, "diagonal", None)) is not None and not callable(diagonal):
        return {"h": np.asarray(diagonal)}
    return {gate: np.asarray(W) for layer in layers(subject) for gate, W in layer.gates.items()}


def eigenvalues(axes, subject, _example) -> None:
    angle = np.linspace(0, 2 * np.pi, 300)
    axes.plot(np.cos(angle), np.sin(angle), color=COLORS["grey"], lw=0.8)
    for (gate, W), color in zip(blocks(subject).items(), NAMES, strict=False):
        values = np.linalg.eigvals(W) if W.ndim == 2 else W
        axes.plot(values.real, values.imag, "o", ms=3, color=COLORS[color], label=gate)
    axes.set(aspect="equal", xlabel="real part of the eigenvalues", ylabel="imaginary part")
    if len(blocks(subject)) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))  # beside: a disc of eigenvalues leaves no room


def moduli(axes, subject, _example) -> None:
    axes.plot(np.sort(np.abs(subject.diagonal)), "o", ms=3, color=COLORS["blue"])
    axes.axhline(1, color=COLORS["grey"], lw=0.8)
    axes.set(xlabel="unit, sorted", ylabel="modulus of the eigenvalue")


def matrix(axes, subject, _example) -> None:
    """The gate blocks side by side; what is not finite is red."""
    stack = np.concatenate([*blocks(subject).values()], axis=1)
    image = np.where(np.isfinite(stack), stack, np.nan)
    colors = colormaps["PuOr"].with_extremes(bad="red")
    axes.imshow(image, cmap=colors, vmin=-0.5, vmax=0.5, interpolation="nearest")
    size = stack.shape[0]
    gates = list(blocks(subject))
    axes.set(xticks=[(k + 0.5) * size for k in range(len(gates))], xticklabels=gates, xlabel="gate", ylabel="unit")


def powers(axes, subject, example) -> None:
    steps = example.get("OPTIONS", {}).get("steps", 40)
    for gate, W in blocks(subject).items():
        axes.plot(np.asarray(uc.power_norms(W, steps=steps)) / np.log(10), color=COLORS["blue"], label=gate)
    axes.axhline(0, color=COLORS["grey"], lw=0.8)
    axes.set(xlabel="steps t", ylabel="log₁₀ ‖Wᵗ‖")


def singular_values(axes, subject, _example) -> None:
    for W in blocks(subject).values():
        axes.semilogy(np.maximum(np.linalg.svd(W, compute_uv=False), 1e-12), "o", ms=3, color=COLORS["blue"])
    axes.set(xlabel="index", ylabel="singular value")


def retention(axes, subject, _example) -> None:
    bias = (subject.bias_ih_l0 + subject.bias_hh_l0).detach().chunk(4)[1]
    steps = 1 / -torch.nn.functional.logsigmoid(bias)
    axes.semilogy(np.sort(steps.numpy()), "o", ms=3, color=COLORS["blue"])
    axes.set(xlabel="unit, sorted", ylabel="steps until 1/e is left")


def activations(axes, subject, _example) -> None:
    x = np.linspace(-4, 4, 100)
    functions = {"sigmoid": lambda v: 1 / (1 + np.exp(-v)), "tanh": np.tanh}
    for gate, color in zip(("f", "g"), NAMES, strict=False):
        name = subject.activations[gate]
        axes.plot(x, functions[name](x), color=COLORS[color], label=f"gate {gate}: {name}")
    axes.axhline(0, color=COLORS["grey"], lw=0.8)
    axes.set(xlabel="pre-activation", ylabel="value")
    axes.legend()


def memory(axes, subject, _example) -> None:
    steps = np.clip(np.ravel(subject.linear.memory), 1e-3, 1e12)
    axes.semilogy(np.sort(steps), "o", ms=4, color=COLORS["blue"])
    axes.axhline(1, color=COLORS["grey"], lw=0.8)
    axes.set(xlabel="head, sorted", ylabel="tokens until 1/e is left")


def rounding(axes, subject, _example) -> None:
    """By how much the memory of each head may be off, from the spacing of the numbers that are stored."""
    axes.plot(100 * np.ravel(subject.linear.rounding), "o", ms=4, color=COLORS["blue"])
    axes.set(xlabel="head", ylabel="uncertainty of its memory (%)")


def decayed(axes, subject, _example) -> None:
    """What the optimizer does to a parameter whose gradient is 0."""
    model, options = subject
    values = []
    for _ in range(300):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        options["optimizer"].step()
        values.append(model.A_log.detach().numpy().copy())
    axes.plot(np.array(values), color=COLORS["blue"], lw=0.7)
    axes.set(xlabel="training step, gradient 0", ylabel="A_log of each head")


def ranges(axes, subject, _example) -> None:
    """A segment of the real line, or the disc of a family that rotates."""
    family, angle = subject.linear.family, np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=COLORS["grey"], lw=0.8)
    if family.rotates:
        axes.fill(np.cos(angle), np.sin(angle), color=COLORS["blue"], alpha=0.4)
    else:
        axes.plot(family.range, (0, 0), lw=5, color=COLORS["blue"], solid_capstyle="butt")
    axes.set(aspect="equal", xlabel=f"eigenvalues that {family.name} can have", ylabel="imaginary part")


def carried(axes, subject, _example) -> None:
    """The mean gradient of all sequences, which training follows, at the states of a plain cell."""
    model, (inputs, _target) = subject
    rnn = model.rnn
    drive = inputs @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + rnn.bias_hh_l0
    states = [torch.zeros(len(inputs), rnn.hidden_size, requires_grad=True)]
    for step in range(inputs.shape[1]):
        states.append(torch.relu(drive[:, step] + states[-1] @ rnn.weight_hh_l0.T))
    gradients = torch.autograd.grad(model.readout(states[-1]).sum(), states)
    norms = np.array([float(gradient.mean(0).norm()) for gradient in reversed(gradients)])
    axes.semilogy(np.maximum(norms / norms[0], 1e-16), color=COLORS["blue"])
    axes.axhline(1, color=COLORS["grey"], lw=0.8)
    axes.set(xlabel="steps back from the end", ylabel="mean gradient of all sequences")


def gradient(axes, subject, example) -> None:
    loss = example.get("OPTIONS", {}).get("loss")
    norms = np.asarray(uc.dynamics.gradient_flow(*subject, loss).norms)
    mean = np.sqrt((norms**2).reshape(len(norms), -1).mean(1))
    start = np.flatnonzero(mean)[0]  # a state that the loss does not see has none
    lags = np.arange(start, len(mean))
    axes.semilogy(lags, np.maximum(mean[start:] / mean[start], 1e-16), color=COLORS["blue"])
    for bound in (1e-3, 1e3):
        axes.axhline(bound, color=COLORS["grey"], lw=0.8, ls=":")
    axes.set(xlabel="steps back from the end", ylabel="gradient, relative to its end")


def trajectories(subject) -> np.ndarray:
    """Return the hidden states, ``(batch, time, units)``."""
    model, inputs = subject
    with torch.no_grad():
        return model.rnn(inputs)[0].numpy()


def states(axes, subject, _example) -> None:
    axes.hist(trajectories(subject).ravel(), bins=np.linspace(-1, 1, 41), density=True, color=COLORS["blue"])
    axes.set(xlabel="hidden state", ylabel="density")


def state_norm(axes, subject, _example) -> None:
    norms = np.linalg.norm(trajectories(subject), axis=2)
    axes.semilogy(np.maximum(norms.T, 1e-12), color=COLORS["blue"], lw=0.7)
    axes.set(xlabel="step", ylabel="norm of the state")


def directions(axes, subject, _example) -> None:
    last = trajectories(subject)[:, -1]
    spread = np.linalg.svd(last - last.mean(0), compute_uv=False)
    axes.plot(spread**2 / (spread**2).sum(), "o", ms=4, color=COLORS["blue"])
    axes.set(xlabel="direction, sorted", ylabel="share of the variance of the last states")


def divergence(axes, subject, _example) -> None:
    model, inputs = subject
    one = trajectories(subject)
    with torch.no_grad():
        moved = model.rnn(inputs, 1e-6 * torch.ones(1, len(inputs), one.shape[2]))[0].numpy()
    axes.semilogy(np.linalg.norm(moved - one, axis=2).T, color=COLORS["blue"], lw=0.7)
    axes.set(xlabel="step", ylabel="distance of states, at first 10⁻⁶")


def variability(axes, subject, _example) -> None:
    spread = trajectories(subject).std((0, 1))
    axes.bar(range(len(spread)), spread, color=COLORS["blue"])
    axes.set(xlabel="unit", ylabel="standard deviation of its output")


def run(axes, subject, example) -> None:
    records, _found = subject
    metric = example["METRIC"]
    name = next(
        key for key in records[0] if (key.endswith(f"/{metric}") and "weight_hh" in key) or key == f"rnn.l0/{metric}"
    )
    axes.plot([record.get(name, np.nan) for record in records], "o-", ms=3, color=COLORS["blue"])
    axes.set(xlabel="training step", ylabel=metric)
