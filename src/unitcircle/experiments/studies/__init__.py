"""Studies: comparisons of initializers over tasks, cells, learning rates and seeds.

A study is a TOML file. :func:`execute` trains the runs that have no record yet;
:func:`unitcircle.experiments.comparison.compare` computes the statistics of the records.
"""

import lazy_loader

from unitcircle._renamed import moved

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_ENGINES = ("TLS", "Dask", "EngineKind", "Here", "Local", "Slurm", "engine_kind")
__getattr__ = moved(
    __name__,
    {name: f"unitcircle.experiments.engines:{name}" for name in _ENGINES}
    | {"compare": "unitcircle.experiments.comparison:compare"},
    otherwise=_load,
)
