"""The figures, tables and claims of five texts, measured again.

``unitcircle reproduce NAME|NAME/SECTION|all [--quick|--full] [--out DIR]`` measures each claim, judges whether it
holds, and writes one HTML page. No setting is tuned to make a claim hold.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
