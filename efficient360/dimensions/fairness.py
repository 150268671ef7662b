"""The fairness axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="fairness",
    title="Fairness",
    question="Is it equally right for different groups?",
    order=6,
    anchors=(
        Anchor(
            "group_fairness",
            "largest_gap_excess",
            zero=0.2,
            one=0.0,
            source="1: no difference in accuracy beyond chance; 0: 20 points, at which one group is answered four fifths as well as another that is always "
            "answered rightly, the threshold of adverse impact in the US Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D), 1978",
        ),
        Anchor(
            "group_fairness",
            "largest_odds_excess",
            zero=0.2,
            one=0.0,
            source="1: no difference in a class's true or false positive rate beyond chance; 0: 20 points, as for accuracy",
        ),
    ),
    caveat="Accuracy between the groups named beside the number, and no others: groups that the data do not tell are not looked at, and proxies taken from "
    "the pixels say nothing of people. A model that is equally wrong for all scores 1.",
)
