"""What runs here: the version of the sources, and whether the hot path among them was compiled."""

from importlib.machinery import ExtensionFileLoader
from typing import Final

from passgate import __version__, clock

VERSION: Final = __version__
COMPILED: Final = clock.__spec__ is not None and isinstance(
    clock.__spec__.loader, ExtensionFileLoader
)
"""One module stands for all: a wheel holds all modules of the hot path compiled, or none."""
