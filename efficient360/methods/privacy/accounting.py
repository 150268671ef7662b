"""How much noise a privacy budget asks for, and how much of it was spent: opacus' Rényi accountant."""

import warnings
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from efficient360.errors import Unsupported

ORDERS: Final = (1.5, 1.75, 2.5, 3.5, 4.5, *range(2, 65), 80, 96, 128, 192, 256)
"""Rényi orders that are tried. Each gives a true bound and the least is told; opacus' own 150 take three times as long for less than 1 % of ε."""


@final
@dataclass(frozen=True)
class Exposure:
    """How often training looks at each example.

    Args:
        rate: Chance that an example takes part in a step, in (0, 1].
        steps: How many steps.
        delta: δ, the chance that the promise is void, in (0, 1).
    """

    rate: float
    steps: int
    delta: float


def noise_for(epsilon: float, exposure: Exposure) -> float:
    """Deviation of the noise, in units of the clipping norm, that spends at most ``epsilon``, and at least 99 % of it.

    Raises:
        Unsupported: No noise is enough for this accountant.
    """
    from opacus.accountants.utils import get_noise_multiplier

    orders = np.array(ORDERS)
    # What the accountant says of noise without end; searching for more of it takes a minute and ends here all the same.
    least = float((-(np.log(exposure.delta) + np.log(orders)) / (orders - 1) + np.log1p(-1 / orders)).min())
    if epsilon <= least:
        message = f"no noise keeps ε at {epsilon:g} with δ = {exposure.delta:.2g}: opacus' accountant stops at {least:.2g}"
        raise Unsupported("budget-too-small", message, "raise ε or δ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the accountant remarks that a wider choice of orders might spend a little less
        return float(
            get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=exposure.delta,
                sample_rate=exposure.rate,
                steps=exposure.steps,
                accountant="rdp",
                epsilon_tolerance=epsilon / 100,
                alphas=list(ORDERS),
            )
        )


def spent(noise: float, exposure: Exposure) -> float:
    """ε that so much noise spends: Poisson-sampled Gaussian steps (Mironov, Talwar & Zhang 2019), one neighbour more or less."""
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise, exposure.rate, exposure.steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta=exposure.delta, alphas=list(ORDERS)))
