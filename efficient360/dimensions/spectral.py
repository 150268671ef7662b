"""The spectral complexity axis: stable rank relative to random weights."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="spectral",
    title="Spectral complexity",
    question="How complex are its weights and features, judged by their spectra?",
    order=10,
    anchors=(
        # The one spectral quantity that is valid for any width, needs no data, has known limits, and appears as such in a generalisation bound.
        Anchor(
            "weight_spectrum",
            "stable_rank_ratio",
            zero=1.0,
            one=0.0,
            source="0: random matrices of the same shapes, with spectra up to the Marchenko–Pastur edge (1967); 1: rank one, the minimum of the "
            "sum of stable ranks in the bound of Neyshabur, Bhojanapalli & Srebro 2018 (Theorem 1)",
        ),
    ),
    caveat="Stable rank measures how concentrated the weight spectra are, as training makes them; it does not measure accuracy. Norm-based complexity measures "
    "can correlate negatively with generalisation (Jiang et al. 2020), a collapsed network would score high, and the bound does not hold for networks with "
    "attention, layer normalisation and skip connections.",
    related=("feature_spectrum",),
)
