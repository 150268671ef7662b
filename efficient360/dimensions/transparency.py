"""The transparency axis: faithfulness of attributions."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="transparency",
    title="Transparency",
    question="Can its predictions be explained faithfully?",
    order=9,
    anchors=(
        Anchor(
            "faithfulness",
            "best_faithfulness",
            zero=0.0,
            one=1.0,
            settings={
                "explainers": ("integrated-gradients", "gradient-x-input", "gradcam", "attention-rollout", "chefer", "occlusion"),
                "baselines": ("mean", "blur"),
                "points": 10,
            },
            source="0: random ranking of patches; 1: the top patch alone makes the class certain and removing it makes it impossible, the maximum of "
            "insertion − deletion AUC (Petsiuk, Das & Saenko 2018)",
        ),
    ),
    caveat="Measures whether the best of these attributions ranks the patches that determine the prediction, not whether a person understands it; "
    "confident models, and models that rely on few patches, score higher.",
)
