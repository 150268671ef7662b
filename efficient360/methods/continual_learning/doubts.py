"""What makes the numbers of continual learning less sure, each with its advice."""

from collections.abc import Iterator

import numpy as np

from efficient360.core.findings import Finding
from efficient360.methods.continual_learning.metrics import AVERAGE
from efficient360.methods.continual_learning.plain_methods import Joint
from efficient360.methods.continual_learning.results import Results


def doubts(results: Results) -> Iterator[Finding]:
    """What the results of one stream and scenario show against themselves."""
    if Joint.name not in results.runs:
        return
    joint = results.runs[Joint.name]
    where = f"{results.stream}, {results.scenario.value}"
    gained = float(np.mean([np.diag(run)[1:].mean() - run[0, 1:].mean() for run in joint]))
    if gained < 0.02:
        yield Finding(
            "little-learned",
            f"{where}: even joint training gained only {100 * gained:.1f} points on its tasks",
            "raise steps or images: what was not learned can't be forgotten",
        )
    ceiling = float(np.mean(results.of(Joint.name, AVERAGE)))
    for name in results.others:
        mean = float(np.mean(results.of(name, AVERAGE)))
        if mean > ceiling + 0.01:
            yield Finding(
                "above-the-ceiling",
                f"{where}: {name} ends at {100 * mean:.1f} %, joint training at {100 * ceiling:.1f} %",
                "joint training saw as many images a task, at the same rate; more steps or another rate would lift it",
            )


def known_groups(groups: str) -> Finding:
    """Groups are conditions that the checkpoint has been trained on."""
    return Finding(
        "known-groups",
        f"the checkpoint was trained on {groups} already: this stream tells what narrow fine-tuning costs, not what it learns anew",
        "stream corruptions or a data set of other classes beside it",
    )
