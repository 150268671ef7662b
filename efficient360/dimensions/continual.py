"""The continual learning axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

_CONDITIONS = {"stream": "corruptions", "scenario": "domain-incremental", "method": "naive"}

DIMENSION = Dimension(
    name="continual",
    title="Continual learning",
    question="Does it keep what it knew when it learns something new?",
    order=11,
    anchors=(
        Anchor(
            "continual",
            "retention",
            zero=0.0,
            one=1.0,
            conditions=_CONDITIONS,
            source="the metric itself: nothing left of what it knew, and all of it (forgetting of the original task, Li & Hoiem 2018)",
        ),
        Anchor(
            "continual",
            "share_of_joint",
            zero=0.0,
            one=1.0,
            conditions=_CONDITIONS,
            source="the metric itself: nothing learned or kept, and as much as when all tasks are learned together "
            "(Lopez-Paz & Ranzato 2017; van de Ven, Tuytelaars & Tolias 2022)",
        ),
    ),
    caveat="Of plain fine-tuning under corruptions of classes that it knows, for a few steps: new classes are harder, "
    "and other rates and steps give other numbers. A model that corruption hardly harms has little to learn, and so little to forget. "
    "Compare models that learned by the same settings.",
)
