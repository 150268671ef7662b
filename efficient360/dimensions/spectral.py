"""The spectral complexity axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="spectral",
    title="Spectral complexity",
    question="How complex are its weights and features, seen through their spectra?",
    order=10,
    anchors=(
        # Of all that spectra tell, this one number holds for any width, needs no data, has limits known in advance, and stands in a bound as such.
        Anchor(
            "weight_spectrum",
            "stable_rank_ratio",
            zero=1.0,
            one=0.0,
            source="0: random matrices of the same shapes, whose spectra end at the edge of Marchenko & Pastur 1967; 1: one direction a matrix, the least that "
            "a sum of stable ranks, as in the bound of Neyshabur, Bhojanapalli & Srebro 2018 (Theorem 1), can come to",
        ),
    ),
    caveat="It tells how few directions the weights spend their size on, which training brings about; not how well the model answers. Such measures "
    "can run against generalisation (Jiang et al. 2020), a collapsed network would score high, and the bound it stands in does not hold for networks with "
    "attention, layer norms and skips.",
    related=("feature_spectrum",),
)
