"""The network that is trained on a task."""

from __future__ import annotations

from unitcircle.experiments.models import AnyNetwork, EncoderDecoder, Network, TrainableCell
from unitcircle.experiments.tasks import Task


def build_network(task: Task, cell: TrainableCell, /) -> AnyNetwork:
    """Build the network that a task trains a cell in.

    Parameters
    ----------
    task
        Its architecture, features and outputs are those of the network.
    cell
        The cell.

    Returns
    -------
    Network or EncoderDecoder
        The specification of the network; it holds no parameters.
    """
    if task.architecture == "encoder_decoder":
        return EncoderDecoder(cell, task.inputs, task.outputs)
    return Network(cell, task.inputs, task.outputs, task.every_step)
