"""What the evaluator of continual learning yields."""

from efficient360.core.measurement import ONE, Better, Metric

_GEM = "Lopez-Paz & Ranzato 2017"
_WALK = "Chaudhry et al. 2018 (Riemannian walk)"

AVERAGE = Metric(
    "average_accuracy",
    ONE,
    Better.HIGHER,
    "Mean accuracy over all tasks after the last one was learned.",
    f"{_GEM}, equation 2",
    low=0,
    high=1,
)
JOINT = Metric(
    "joint_accuracy",
    ONE,
    Better.HIGHER,
    "The same of a copy that learned all tasks together: the ceiling that a stream is held against.",
    "joint training, after Li & Hoiem 2018",
    low=0,
    high=1,
)
SHARE = Metric(
    "share_of_joint",
    ONE,
    Better.HIGHER,
    "Average accuracy over that of joint training: 1 where learning one task after the other costs nothing.",
    "joint training as the upper bound: van de Ven, Tuytelaars & Tolias 2022",
    low=0,
)
RETENTION = Metric(
    "retention",
    ONE,
    Better.HIGHER,
    "Accuracy on the original test set after the last task over that before the first: the share of what it knew that is left.",
    "relative accuracy on the original task, after Li & Hoiem 2018",
    low=0,
)
ORIGINAL = Metric(
    "original_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy on the original test set, before the first task or after the last.",
    "Li & Hoiem 2018",
    low=0,
    high=1,
)
FORGETTING = Metric(
    "forgetting",
    ONE,
    Better.LOWER,
    "The best accuracy that a task ever had less what is left of it in the end, mean over all tasks but the last.",
    _WALK,
    low=-1,
    high=1,
)
BACKWARD = Metric(
    "backward_transfer",
    ONE,
    Better.HIGHER,
    "What later tasks changed in the accuracy on earlier ones since these were learned; below 0 is forgetting.",
    f"{_GEM}, equation 3",
    low=-1,
    high=1,
)
FORWARD = Metric(
    "forward_transfer",
    ONE,
    Better.HIGHER,
    "What earlier tasks changed in the accuracy on a task before it was learned itself.",
    f"{_GEM}, equation 4",
    low=-1,
    high=1,
)
PLASTICITY = Metric(
    "plasticity",
    ONE,
    Better.HIGHER,
    "Accuracy on a task right after it was learned, mean over the tasks.",
    "Riemer et al. 2019 (learning accuracy)",
    low=0,
    high=1,
)
INTRANSIGENCE = Metric(
    "intransigence",
    ONE,
    Better.LOWER,
    "What a task falls short of its accuracy under joint training right after it was learned, mean over the tasks.",
    _WALK,
    low=-1,
    high=1,
)
INCREMENTAL = Metric(
    "average_incremental_accuracy",
    ONE,
    Better.HIGHER,
    "Mean accuracy over the tasks so far, averaged over all moments of the stream.",
    "Rebuffi et al. 2017",
    low=0,
    high=1,
)
ALL = (RETENTION, SHARE, FORGETTING, AVERAGE, JOINT, BACKWARD, FORWARD, PLASTICITY, INTRANSIGENCE, INCREMENTAL, ORIGINAL)
