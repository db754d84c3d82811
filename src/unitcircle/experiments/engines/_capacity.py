"""How much memory a machine or its container has for the runs of a study."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

SHARE = 0.5
"""Of a machine's memory that a study may fill: others use the machine, too."""
WORKER = 2**29 if torch.version.cuda is None else 2**30
"""Bytes of a worker without runs: Python and torch (450 MB measured; built for CUDA 950 MB), or a GPU's context."""
CGROUP = Path("/sys/fs/cgroup/memory.max")


def memory_here(device: torch.device, /) -> float:
    """Return the memory of this machine that runs on a device may fill together.

    Parameters
    ----------
    device
        ``cpu``, or ``cuda`` for GPUs.

    Returns
    -------
    float
        Bytes: half of what the machine or its container has, or all of the smallest GPU; inf for another device.
    """
    return (SHARE if device.type == "cpu" else 1) * whole_memory(device)


def whole_memory(device: torch.device, /) -> float:
    """Return the memory that a device of this machine has.

    Parameters
    ----------
    device
        ``cpu``, or ``cuda`` for GPUs.

    Returns
    -------
    float
        Bytes of the machine or its container, or of the smallest GPU; inf for another device.
    """
    if device.type == "cuda":
        gpus = [torch.cuda.get_device_properties(k).total_memory for k in range(torch.cuda.device_count())]
        return min(gpus, default=math.inf)
    if device.type != "cpu":
        return math.inf
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP.read_text().strip() if CGROUP.is_file() else "max"
    return min(physical, int(limit)) if limit.isdigit() else physical
