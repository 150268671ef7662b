"""What makes the numbers of a weight spectrum less sure, and what in them deserves a look."""

from collections.abc import Iterator, Sequence
from typing import Final

from efficient360.core.findings import Finding
from efficient360.methods.spectral.inventory import Inventory
from efficient360.methods.spectral.layers import Layer
from efficient360.methods.spectral.norm_product import NormProduct
from efficient360.methods.spectral.weight_metrics import WITHIN

POOR_FIT: Final = 0.1
"""Kolmogorov-Smirnov distance from which on the tail is hardly a power law."""
COLLAPSED: Final = 1.5
"""Stable rank of a matrix or head in which one direction outweighs all others together twice."""
MOSTLY: Final = 0.9
"""Share of the parameters from which on the spectra speak for the network."""


def findings(found: Inventory, layers: Sequence[Layer], product: NormProduct) -> Iterator[Finding]:
    """Everything worth saying, in order of weight."""
    yield from _exponents([layer for layer in layers if layer.law is not None])
    yield from _collapsed(layers)
    if not product.is_bound:
        names = ", ".join(f"{name} ×{count}" for name, count in _telling(product))
        yield Finding(
            "no-lipschitz-bound",
            f"the network is no plain chain of layers: {names}",
            "read the norm product and the spectral complexity as sizes of the weights only: skips add, and neither layer norms nor softmax attention "
            "have a Lipschitz constant that the weights tell (Kim, Papamakarios & Mnih 2021)",
        )
    if found.seen < MOSTLY * found.total:
        share = f"{found.seen / found.total:.0%}"
        yield Finding("partly-seen", f"the weights seen as operators hold {share} of the parameters", "the rest acts in ways that no spectrum here describes")
    if found.unused:
        yield Finding("unused", f"{len(found.unused)} convolutions are never reached, {found.unused[0]} first", "they were left out")


def _exponents(fitted: Sequence[Layer]) -> Iterator[Finding]:
    laws = [layer.law for layer in fitted if layer.law is not None]
    low, high = WITHIN
    above, below = (sum(law.alpha > high for law in laws), sum(law.alpha < low for law in laws))
    poor = sum(law.distance > POOR_FIT for law in laws)
    if above:
        yield Finding(
            "light-tails",
            f"{above} of {len(laws)} matrices have α above {high:g}",
            "weightwatcher's authors read this as layers that learned little (an observation on trained networks, no law): compare with a longer training",
        )
    if below:
        yield Finding(
            "heavy-tails",
            f"{below} of {len(laws)} matrices have α below {low:g}",
            "weightwatcher's authors read this as a possible sign of overfitting, or of one outlying eigenvalue: look at the layer's spectrum",
        )
    if poor:
        yield Finding(
            "poor-fit",
            f"for {poor} of {len(laws)} matrices the power law's distance is above {POOR_FIT:g}",
            "their tails are hardly power laws, and their α says little",
        )


def _collapsed(layers: Sequence[Layer]) -> Iterator[Finding]:
    wide = [layer for layer in layers if layer.against_random is not None]
    matrices = [layer.name for layer in wide if layer.spectrum.stable_rank < COLLAPSED]
    heads = [layer.name for layer in wide for share in layer.heads if share * min(layer.shape[0] // len(layer.heads), layer.shape[1]) < COLLAPSED]
    for what, names in (("matrices", matrices), ("heads", heads)):
        if names:
            yield Finding(
                f"collapsed-{what}", f"in {len(names)} {what} one direction carries most of the weight, {names[0]} first", "they may be compressed, or dead"
            )


def _telling(product: NormProduct) -> Sequence[tuple[str, int]]:
    """Norms over features and attention first: they are why there is no bound."""
    why = [entry for entry in product.left_out if "Norm" in entry[0] or "Att" in entry[0]]
    return (why or product.left_out)[:4]
