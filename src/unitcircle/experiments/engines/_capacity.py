"""The memory that a machine or its container has for the runs of a study."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

SHARE = 0.5
"""Fraction of a machine's memory that a study may fill; the rest is left to other programs."""
WORKER = 2**29 if torch.version.cuda is None else 2**30
"""Bytes of a worker without runs: Python and torch (450 MB measured, 950 MB if built for CUDA), or a GPU context."""
CGROUP = Path("/sys/fs/cgroup/memory.max")
"""Memory limit of a container under Linux: a number of bytes, or ``max``."""


def memory_here(device: torch.device, /) -> float:
    """Return the memory that all runs on a device of this machine may fill together.

    Parameters
    ----------
    device
        ``cpu`` or ``cuda``.

    Returns
    -------
    float
        Bytes: half of the memory of the machine or its container, or all memory of the smallest GPU; inf for other
        devices.

    Examples
    --------
    >>> import torch
    >>> memory_here(torch.device("cpu")) <= whole_memory(torch.device("cpu")) / 2
    True
    """
    return (SHARE if device.type == "cpu" else 1) * whole_memory(device)


def whole_memory(device: torch.device, /) -> float:
    """Return the memory of a device of this machine.

    Parameters
    ----------
    device
        ``cpu`` or ``cuda``.

    Returns
    -------
    float
        Bytes of the machine or its container, or of the smallest GPU; inf for other devices.

    Examples
    --------
    >>> import torch
    >>> whole_memory(torch.device("cpu")) > 2**20, whole_memory(torch.device("meta"))
    (True, inf)
    """
    if device.type == "cuda":
        # Runs are not assigned to particular GPUs by size, so the smallest one must hold them.
        gpus = [torch.cuda.get_device_properties(k).total_memory for k in range(torch.cuda.device_count())]
        return min(gpus, default=math.inf)
    if device.type != "cpu":
        return math.inf
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP.read_text().strip() if CGROUP.is_file() else "max"
    return min(physical, int(limit)) if limit.isdigit() else physical
