"""The robustness axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="robustness",
    title="Robustness",
    question="Does it stay right when the image is disturbed, by nature or by an attacker?",
    order=5,
    anchors=(
        Anchor(
            "corruption",
            "corruption_accuracy",
            zero=0.0,
            one=1.0,
            conditions={"over": "15 corruptions, 5 severities"},
            source="the bounds of the metric itself",
        ),
        Anchor(
            "adversarial",
            "robust_accuracy",
            zero=0.0,
            one=1.0,
            conditions={"norm": "linf", "epsilon": "4/255", "attack": "worst case"},
            source="the bounds of the metric itself, at the ε of RobustBench's ImageNet L∞ board (Croce et al. 2021)",
        ),
    ),
    caveat="A model that was not trained against attacks has about no robust accuracy at this ε and reaches half of the axis at most; "
    "attacks only ever bound robust accuracy from above.",
    related=("black_box", "natural_shift", "stability"),
)
