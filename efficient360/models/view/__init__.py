"""One view of the inside of every vision transformer: blocks, attention, tokens, features and head, found by structure or stated by the network."""

from efficient360.models.view.layout import TokenLayout
from efficient360.models.view.protocol import ViTView

__all__ = ["TokenLayout", "ViTView"]
