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

from ._capacity import SHARE, WORKER, memory_here, whole_memory
from ._cluster import TLS, Dask, Slurm, engine_kind
from ._engine import Engine, EngineKind, Reply
from ._here import Here
from ._supervisor import Local
