"""What is measured of a run is the run's own cell."""

import pytest
import torch

from unitcircle.experiments.models import Network, TrainableCell
from unitcircle.experiments.training import Run, initial_parameters
from unitcircle.experiments.training._measurable import measurable

RECURRENT = sorted({cls.name for cls in TrainableCell.registry.values() if cls.recurrent})


@pytest.mark.parametrize("name", RECURRENT)
def test_the_recurrence_takes_the_steps_of_the_cell(name):
    cell = TrainableCell.parse(f"{name}(size=6)")
    run = Run("adding", str(cell), "orthogonal", bias="constant(value=0.3)", seed=4)
    network = Network(cell, 2, 1)
    drawn = initial_parameters(network.parameters(), [run], cell=cell, dtype=torch.float64, device=torch.device("cpu"))
    parameters = network.cell_parameters(drawn)
    # What is drawn as zero is moved: a bias that is dropped must show.
    parameters = {n: v + 0.1 if v.abs().sum() == 0 and not v.is_complex() else v for n, v in parameters.items()}
    inputs = torch.randn(5, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    recurrence = measurable(cell, parameters)
    _, states = recurrence.trajectory(inputs)
    ours = cell.forward(parameters, inputs[None])[0]
    h = states[1:, :, recurrence.parts.get("h", slice(0, cell.features))]
    torch.testing.assert_close(h, ours, rtol=0, atol=1e3 * torch.finfo(torch.float64).eps)
