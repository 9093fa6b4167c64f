"""Compare speech recordings: split at silences, align, measure how far apart they sound.

The public names are listed in ``__init__.pyi``, and each is imported when it is first used, so that
``import speechcmp`` costs next to nothing.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
