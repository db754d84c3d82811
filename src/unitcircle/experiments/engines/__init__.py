"""Engines: where the runs of a study are trained: in this process, in workers of this machine, or on a cluster."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
