"""Cells with random parameters of many runs."""

import torch

from unitcircle.experiments.models import TrainableCell

CELLS = sorted({cell.name for cell in TrainableCell.registry.values()})


def parameters_of(cell, runs, inputs, *, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(shape):
        scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.5
        return (scale * torch.randn(runs, *shape, generator=generator, dtype=torch.float64)).to(dtype)

    return {name: draw(p.shape) for name, p in cell.parameters(inputs).items()}


def sequences(runs, steps, batch, inputs, *, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(runs, steps, batch, inputs, generator=generator, dtype=torch.float64).to(dtype)


def random_loss(tensors, seed=2):
    """A linear function of all of them, so that its gradients check every entry."""
    generator = torch.Generator().manual_seed(seed)
    return sum((t * torch.randn(t.shape, generator=generator, dtype=t.dtype)).sum() for t in tensors)


def close(a, b, *, multiple):
    """Equal to a multiple of eps of the largest entry."""
    return (a - b).abs().max() <= multiple * torch.finfo(a.dtype).eps * b.abs().max()
