"""Engines: where the runs of a study are trained: in this process, in workers of this machine, or on a cluster."""

__all__ = [
    "SHARE",
    "TLS",
    "WORKER",
    "Dask",
    "Engine",
    "EngineKind",
    "Here",
    "Local",
    "Reply",
    "Slurm",
    "engine_kind",
    "memory_here",
    "whole_memory",
]

from unitcircle.experiments.engines._capacity import SHARE, WORKER, memory_here, whole_memory
from unitcircle.experiments.engines._cluster import TLS, Dask, Slurm, engine_kind
from unitcircle.experiments.engines._engine import Engine, EngineKind, Reply
from unitcircle.experiments.engines._here import Here
from unitcircle.experiments.engines._supervisor import Local
