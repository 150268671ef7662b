"""Who proposes candidates."""

from enum import StrEnum


class Sampler(StrEnum):
    """Who proposes candidates."""

    MODEL = "model"
    """The original in each runtime, single steps, then what a model of the trials proposes, in turns with neighbours of the best."""
    RANDOM = "random"
    """Candidates drawn at random: what a search has to beat."""
