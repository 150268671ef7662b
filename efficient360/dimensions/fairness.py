"""The fairness axis: accuracy and equalized odds differences between groups."""

from efficient360.dimensions.dimension import Anchor, Dimension

_SETTINGS = {"derived": ("brightness", "contrast", "object_scale", "stroke_width"), "levels": 3, "crossing": 2, "minimum": 30}

DIMENSION = Dimension(
    name="fairness",
    title="Fairness",
    question="Is it equally accurate for different groups?",
    order=6,
    anchors=(
        Anchor(
            "group_fairness",
            "largest_gap_excess",
            zero=0.2,
            one=0.0,
            settings=_SETTINGS,
            source="1: no accuracy difference beyond chance; 0: 20 points, the four-fifths rule for adverse impact at 100 % accuracy of the best group "
            "(US Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D), 1978)",
        ),
        Anchor(
            "group_fairness",
            "largest_odds_excess",
            zero=0.2,
            one=0.0,
            settings=_SETTINGS,
            source="1: no difference in per-class true or false positive rates beyond chance; 0: 20 points, as for accuracy",
        ),
    ),
    caveat="Covers only the groupings listed with each metric: groups that the data do not annotate are not examined, and proxies derived from the pixels say "
    "nothing about people. A model that is equally inaccurate for all groups scores 1.",
)
