"""What is measured during training, when, and where it goes.

Importing this package imports no framework: every public name is loaded when it is first used.
"""

import lazy_loader

# Callbacks are subclasses of a framework's own class and need that framework; views need figures.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
