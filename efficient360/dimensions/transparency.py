"""The transparency axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="transparency",
    title="Transparency",
    question="Can its decisions be explained faithfully?",
    order=9,
    anchors=(
        Anchor(
            "faithfulness",
            "best_faithfulness",
            zero=0.0,
            one=1.0,
            source="0: cells ranked at random; 1: with its highest cell alone the class is certain and without it gone, the bound of insertion less "
            "deletion (Petsiuk, Das & Saenko 2018)",
        ),
    ),
    caveat="It tells whether the best of these explanations ranks what the answer hangs on, not whether a person understands it; "
    "a model that is sure of its answers, or that looks at little, scores higher.",
)
