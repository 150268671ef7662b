"""Privacy accounting of DP-SGD with opacus' Rényi accountant: the noise multiplier for a target ε, and the ε spent."""

import warnings
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.errors import Unsupported


@final
@dataclass(frozen=True)
class SamplingSchedule:
    """What the privacy loss of DP-SGD depends on besides the noise.

    Args:
        sample_rate: Probability that an example is drawn into a step, in (0, 1].
        steps: Optimiser steps.
        delta: δ of (ε, δ)-differential privacy, in (0, 1).
    """

    sample_rate: float
    steps: int
    delta: float


def noise_multiplier_for(epsilon: float, schedule: SamplingSchedule) -> float:
    """Noise multiplier (standard deviation in units of the clipping norm) that spends at most ``epsilon``, and at least 99 % of it, by :func:`epsilon_spent`.

    Raises:
        Unsupported: ε is below what this accountant can certify with any noise.
    """
    from opacus.accountants import RDPAccountant
    from opacus.accountants.utils import get_noise_multiplier

    orders = np.array(RDPAccountant.DEFAULT_ALPHAS)
    # The ε of infinite noise under this accountant: the search would take a minute to end here.
    smallest = float((-(np.log(schedule.delta) + np.log(orders)) / (orders - 1) + np.log1p(-1 / orders)).min())
    if epsilon <= smallest:
        message = f"no noise keeps ε at {epsilon:g} with δ = {schedule.delta:.2g}: opacus' accountant stops at {smallest:.2g}"
        raise Unsupported("budget-too-small", message, "raise ε or δ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the accountant warns that more orders might give a slightly smaller ε
        return float(
            get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=schedule.delta,
                sample_rate=schedule.sample_rate,
                steps=schedule.steps,
                accountant="rdp",
                epsilon_tolerance=epsilon / 100,
            )
        )


def epsilon_spent(noise_multiplier: float, schedule: SamplingSchedule) -> float:
    """ε of Poisson-subsampled Gaussian steps under add/remove-one adjacency (Mironov, Talwar & Zhang 2019), as opacus tells it with its own Rényi orders.

    A valid bound that is not tight: accountants of the privacy loss distribution give about a fifth less at ε = 8 and an eighth less at ε = 1.
    """
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise_multiplier, schedule.sample_rate, schedule.steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta=schedule.delta))
