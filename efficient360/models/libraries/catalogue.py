"""The libraries whose architectures can be built; a further one is one more entry here."""

from typing import Final

from efficient360.models.libraries.library import Library
from efficient360.models.libraries.open_clip_library import OpenClipLibrary
from efficient360.models.libraries.own_file import OwnFileLibrary
from efficient360.models.libraries.timm_library import TimmLibrary
from efficient360.models.libraries.torchvision_library import TorchvisionLibrary
from efficient360.models.libraries.transformers_library import TransformersLibrary
from efficient360.models.libraries.transformers_zero_shot import TransformersZeroShotLibrary

LIBRARIES: Final[tuple[Library, ...]] = (
    OwnFileLibrary(),
    TorchvisionLibrary(),
    TransformersLibrary(),
    TransformersZeroShotLibrary(),
    OpenClipLibrary(),
    TimmLibrary(),
)
"""In the order in which they are asked; the last owns every name that no other does."""


def library_of(architecture: str) -> Library:
    """The library that a name of an architecture belongs to by its form."""
    return next((library for library in LIBRARIES if library.owns(architecture)), LIBRARIES[-1])
