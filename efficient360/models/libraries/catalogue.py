"""The libraries whose architectures can be built; a further one is one more entry here."""

from typing import Final

from efficient360.models.libraries.library import Library
from efficient360.models.libraries.own_file import OwnFileLibrary
from efficient360.models.libraries.timm_library import TimmLibrary
from efficient360.models.libraries.torchvision_library import TorchvisionLibrary

LIBRARIES: Final[tuple[Library, ...]] = (OwnFileLibrary(), TorchvisionLibrary(), TimmLibrary())
"""In the order in which they are asked; the last owns every name that no other does."""


def library_of(architecture: str) -> Library:
    """The library that a name of an architecture belongs to by its form."""
    return next((library for library in LIBRARIES if library.owns(architecture)), LIBRARIES[-1])
