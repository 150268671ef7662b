"""The memory axis: weights and peak activations."""

from efficient360.dimensions.dimension import Anchor, Dimension, Scale

DIMENSION = Dimension(
    name="memory",
    title="Memory",
    question="How much memory do its weights and activations take?",
    order=2,
    anchors=(
        Anchor(
            "parameters",
            "weight_bytes",
            zero=1.2e9,
            one=1e6,
            scale=Scale.LOG,
            source="0: ViT-L/16 in float32, 307 M parameters (Dosovitskiy et al. 2021, Table 1); "
            "1: 1 MB, flash of a microcontroller (Lin et al., MCUNet, 2020)",
        ),
        Anchor(
            "memory",
            "activation_peak",
            zero=1e9,
            one=3.2e5,
            scale=Scale.LOG,
            conditions={"batch": 1},
            source="0: 1 GB, a safe memory limit for one app on a phone; 1: 320 kB, SRAM of a microcontroller (Lin et al., MCUNet, 2020)",
        ),
    ),
)
