"""The continual learning axis: forgetting, relative to joint training."""

from efficient360.dimensions.dimension import Anchor, Dimension

_CONDITIONS = {"stream": "corruptions", "scenario": "domain-incremental", "method": "naive"}
_SETTINGS = {
    "corruptions": ("gaussian_noise", "motion_blur", "fog", "contrast"),
    "severity": 5,
    "images": 300,
    "steps": 25,
    "batch": 32,
    "rate": 5e-4,
    "head_rate": 3e-3,
}

DIMENSION = Dimension(
    name="continual",
    title="Continual learning",
    question="Does it retain what it learned when it is trained on something new?",
    order=11,
    anchors=(
        Anchor(
            "continual",
            "retention",
            zero=0.0,
            one=1.0,
            conditions=_CONDITIONS,
            settings=_SETTINGS,
            source="bounds of the metric: none and all of the original accuracy retained (forgetting of the original task, Li & Hoiem 2018)",
        ),
        Anchor(
            "continual",
            "share_of_joint",
            zero=0.0,
            one=1.0,
            conditions=_CONDITIONS,
            settings=_SETTINGS,
            source="bounds of the metric: no accuracy, and as much as joint training on all tasks "
            "(Lopez-Paz & Ranzato 2017; van de Ven, Tuytelaars & Tolias 2022)",
        ),
    ),
    caveat="Naive fine-tuning for a few steps on corrupted images of known classes: class-incremental learning is harder, and learning rate and step count "
    "change the result. A model that is robust to the corruptions has little to learn and so little to forget. Only compare models trained with the same "
    "settings.",
)
