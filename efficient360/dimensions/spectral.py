"""The spectral complexity axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="spectral",
    title="Spectral complexity",
    question="How complex are its weights and features, seen through their spectra?",
    order=10,
)
