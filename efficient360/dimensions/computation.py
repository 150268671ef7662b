"""The computation axis: MACs and their scaling."""

from efficient360.dimensions.dimension import Anchor, Dimension, Scale

DIMENSION = Dimension(
    name="computation",
    title="Computation",
    question="How many operations does one image take, and how does that scale with resolution?",
    order=3,
    anchors=(
        Anchor(
            "macs",
            "macs",
            zero=61.6e9,
            one=5.6e7,
            scale=Scale.LOG,
            source="0: ViT-L/16 at 224 px (Dosovitskiy et al. 2021; 61.6 GMACs); 1: MobileNetV3-Small, 56 M MACs (Howard et al. 2019, Table 3)",
        ),
        Anchor(
            "macs",
            "macs_growth",
            zero=2.0,
            one=1.0,
            source="0: quadratic in the number of pixels, global self-attention (Vaswani et al. 2017, Table 1); "
            "1: linear, windows or convolutions (Liu et al. 2021, Eq. 2)",
        ),
    ),
    caveat="MACs are a count, not a time: models with equal MACs can differ severalfold in latency. "
    "The scaling exponent is taken at the model's own image size: the larger that is, the more attention dominates.",
)
