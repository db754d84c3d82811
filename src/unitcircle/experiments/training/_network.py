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

    Examples
    --------
    >>> from unitcircle.experiments.models import Tanh
    >>> from unitcircle.experiments.tasks import Adding
    >>> network = build_network(Adding(length=10), Tanh(size=8))
    >>> network.inputs, network.outputs, network.every_step
    (2, 1, False)
    """
    if task.architecture == "encoder_decoder":
        return EncoderDecoder(cell, task.inputs, task.outputs)
    return Network(cell, task.inputs, task.outputs, task.every_step)
