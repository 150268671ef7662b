"""The robustness axis: common corruptions and adversarial attacks."""

from efficient360.dimensions.dimension import Anchor, Bound, Dimension

DIMENSION = Dimension(
    name="robustness",
    title="Robustness",
    question="Does it stay accurate under corruptions and adversarial attacks?",
    order=5,
    anchors=(
        Anchor(
            "corruption",
            "corruption_accuracy",
            zero=0.0,
            one=1.0,
            conditions={"over": "15 corruptions, 5 severities"},
            source="bounds of the metric",
        ),
        Anchor(
            "adversarial",
            "robust_accuracy",
            zero=0.0,
            one=1.0,
            conditions={"norm": "linf", "epsilon": "4/255", "attack": "worst case"},
            settings={"attacks": ("apgd-ce", "apgd-t", "fab-t", "square"), "steps": 100, "targets": 9, "queries": 5000},
            otherwise=Bound.UPPER,
            source="bounds of the metric; AutoAttack's standard attacks (Croce & Hein 2020), at the ε of RobustBench's ImageNet L∞ board (Croce et al. 2021)",
        ),
    ),
    caveat="On natural images, robust accuracy at this ε is close to zero without adversarial training, which limits the score to about 0.5; on small, simple "
    "images it can be far above. Attacks give only an upper bound on robust accuracy.",
    related=("black_box", "natural_shift", "stability"),
)
