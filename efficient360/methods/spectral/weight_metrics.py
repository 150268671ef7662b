"""The metrics of ``weight_spectrum``."""

from typing import Final

from efficient360.core.measurement import ONE, Better, Metric

ALPHA_RANGE: Final = (2.0, 6.0)
"""Range of α that WeightWatcher's authors call well trained."""

STABLE_RANK_RATIO: Final = Metric(
    "stable_rank_ratio",
    ONE,
    Better.LOWER,
    "Stable rank of the weight matrices over that of random matrices of the same shape, mean over matrices: 1 for random weights, lower for more structure.",
    "stable rank: Rudelson & Vershynin 2007, Sampling from large matrices; random: the upper edge of Marchenko & Pastur 1967",
    low=0,
)
STABLE_RANK_SHARE: Final = Metric(
    "stable_rank_share",
    ONE,
    Better.NEITHER,
    "Stable rank (squared Frobenius over squared spectral norm) as a share of the full rank, mean over layers.",
    "Rudelson & Vershynin 2007, Sampling from large matrices",
    low=0,
    high=1,
)
EFFECTIVE_RANK_SHARE: Final = Metric(
    "effective_rank_share",
    ONE,
    Better.NEITHER,
    "Exponential of the entropy of the singular values as a share of the full rank, mean over layers.",
    "Roy & Vetterli 2007, The effective rank",
    low=0,
    high=1,
)
LARGEST_SPECTRAL_NORM: Final = Metric(
    "largest_spectral_norm", ONE, Better.NEITHER, "Largest spectral norm of any layer: the most by which one layer can scale its input.", low=0
)
ALPHA: Final = Metric(
    "alpha",
    ONE,
    Better.NEITHER,
    "Power-law exponent of the tail of the eigenvalues of WᵀW, mean over matrices: the lower, the heavier the tail.",
    "Martin & Mahoney 2021, JMLR 22(165); fitted as in Clauset, Shalizi & Newman 2009",
    low=1,
)
ALPHA_WITHIN: Final = Metric(
    "alpha_within",
    ONE,
    Better.NEITHER,
    "Share of the matrices whose α is between 2 and 6, which WeightWatcher's authors call well trained.",
    "Martin & Mahoney 2021, JMLR 22(165)",
    low=0,
    high=1,
)
ALPHA_DISTANCE: Final = Metric(
    "alpha_distance",
    ONE,
    Better.NEITHER,
    "Kolmogorov-Smirnov distance of the fitted power law, mean over matrices: the larger, the less reliable α.",
    "Clauset, Shalizi & Newman 2009, Sec. 3.3",
    low=0,
    high=1,
)
LOG10_NORM_PRODUCT: Final = Metric(
    "log10_norm_product",
    ONE,
    Better.NEITHER,
    "Decimal logarithm of the product of all layers' spectral norms, pixels to logits: a Lipschitz bound for a plain chain of layers only.",
    "Szegedy et al. 2014, Intriguing properties, Sec. 4.3",
)
LOG10_SPECTRAL_COMPLEXITY: Final = Metric(
    "log10_spectral_complexity",
    ONE,
    Better.NEITHER,
    "Decimal logarithm of the spectrally-normalised complexity, with zero reference matrices: part of a generalisation bound for a plain chain of layers only.",
    "Bartlett, Foster & Telgarsky 2017, Eq. 1.2",
)
LOG10_NORMALISED_MARGIN: Final = Metric(
    "log10_normalised_margin",
    ONE,
    Better.NEITHER,
    "Decimal logarithm of the median margin, normalised by the spectral complexity and the norm of the data.",
    "Bartlett, Foster & Telgarsky 2017, Sec. 2",
)
LOCAL_LIPSCHITZ: Final = Metric(
    "local_lipschitz",
    ONE,
    Better.NEITHER,
    "Spectral norm of the Jacobian from pixels in [0, 1] to logits (largest local change, L2), median over images.",
    "Novak et al. 2018, Sensitivity and generalization",
    low=0,
)
LIPSCHITZ_LOWER_BOUND: Final = Metric(
    "lipschitz_lower_bound",
    ONE,
    Better.NEITHER,
    "Largest local Lipschitz constant over the images: a lower bound of the network's.",
    "spectral norm of the Jacobian",
    low=0,
)
ALPHA_METRICS: Final = (ALPHA, ALPHA_WITHIN, ALPHA_DISTANCE)
NORM_PRODUCT_METRICS: Final = (LOG10_NORM_PRODUCT, LOG10_SPECTRAL_COMPLEXITY)
JACOBIAN_METRICS: Final = (LOCAL_LIPSCHITZ, LIPSCHITZ_LOWER_BOUND)
METRICS: Final = (
    STABLE_RANK_RATIO,
    STABLE_RANK_SHARE,
    EFFECTIVE_RANK_SHARE,
    LARGEST_SPECTRAL_NORM,
    *ALPHA_METRICS,
    *NORM_PRODUCT_METRICS,
    LOG10_NORMALISED_MARGIN,
    *JACOBIAN_METRICS,
)
