"""The privacy axis."""

from efficient360.dimensions.dimension import Anchor, Dimension, Scale

DIMENSION = Dimension(
    name="privacy",
    title="Privacy",
    question="Does it give away which images it was trained on?",
    order=8,
    anchors=(
        Anchor(
            "membership_inference",
            "strongest_attack_auc",
            zero=1.0,
            one=0.5,
            source="the metric itself: an attack that tells every training image, and guessing",
        ),
        Anchor(
            "membership_inference",
            "tnr_at_fnr",
            zero=1.0,
            one=0.01,
            scale=Scale.LOG,
            conditions={"attack": "loss", "fnr": "1 %"},
            source="the metric itself: every other image ruled out, and as many as guessing rules out; "
            "what the loss rules out follows what shadow-model attacks find (Dodd et al. 2025, arXiv 2510.19773)",
        ),
    ),
    caveat="Attacks bound what leaks from below: a high score is no evidence of privacy, least of all without shadow models. Compare models attacked alike. "
    "Where the pixels alone tell training images from others the score means nothing.",
    related=("private_training",),
)
