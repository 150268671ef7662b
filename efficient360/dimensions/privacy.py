"""The privacy axis: membership inference."""

from efficient360.dimensions.dimension import Anchor, Dimension, Scale

DIMENSION = Dimension(
    name="privacy",
    title="Privacy",
    question="Does it leak which images it was trained on?",
    order=8,
    anchors=(
        Anchor(
            "membership_inference",
            "strongest_attack_auc",
            zero=1.0,
            one=0.5,
            settings={"shadows": 0, "shadow_checkpoints": {}},
            source="bounds of the metric: perfect membership inference, and chance",
        ),
        Anchor(
            "membership_inference",
            "tnr_at_fnr",
            zero=1.0,
            one=0.01,
            scale=Scale.LOG,
            conditions={"attack": "loss", "fnr": "1 %"},
            source="bounds of the metric: all non-members identified, and as many as by chance; "
            "TNR of the loss attack tracks shadow-model attacks (Dodd et al. 2025, arXiv 2510.19773)",
        ),
    ),
    caveat="Attacks give a lower bound on leakage: a high score is no evidence of privacy, least of all without shadow models. Only compare models under the "
    "same attacks. There is no score where a blind baseline on the pixels alone separates members from non-members.",
    related=("private_training",),
)
