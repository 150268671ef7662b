"""What ``weight_spectrum`` measures."""

from typing import Final

from efficient360.core.measurement import ONE, Better, Metric

WITHIN: Final = (2.0, 6.0)
"""Exponents that weightwatcher calls well trained."""

RATIO: Final = Metric(
    "stable_rank_ratio",
    ONE,
    Better.LOWER,
    "Stable rank of the weight matrices over that of random matrices of the same shape, mean over matrices: 1 means no more structure than chance.",
    "stable rank: Rudelson & Vershynin 2007, Sampling from large matrices; random: the upper edge of Marchenko & Pastur 1967",
    low=0,
)
STABLE: Final = Metric(
    "stable_rank_share",
    ONE,
    Better.NEITHER,
    "Stable rank (squared Frobenius over squared spectral norm) as a share of the full rank, mean over layers.",
    "Rudelson & Vershynin 2007, Sampling from large matrices",
    low=0,
    high=1,
)
EFFECTIVE: Final = Metric(
    "effective_rank_share",
    ONE,
    Better.NEITHER,
    "Exponential of the entropy of the singular values as a share of the full rank, mean over layers.",
    "Roy & Vetterli 2007, The effective rank",
    low=0,
    high=1,
)
NORM: Final = Metric("largest_spectral_norm", ONE, Better.NEITHER, "Largest factor by which any one layer can lengthen what it is given.", low=0)
ALPHA: Final = Metric(
    "alpha",
    ONE,
    Better.NEITHER,
    "Exponent of the power law in the tail of the eigenvalues of WᵀW, mean over matrices: the lower, the heavier the tail.",
    "Martin & Mahoney 2021, JMLR 22(165); fitted as in Clauset, Shalizi & Newman 2009",
    low=1,
)
ALPHA_WITHIN: Final = Metric(
    "alpha_within",
    ONE,
    Better.NEITHER,
    "Share of the matrices whose exponent is between 2 and 6, which weightwatcher calls well trained.",
    "Martin & Mahoney 2021, JMLR 22(165)",
    low=0,
    high=1,
)
ALPHA_DISTANCE: Final = Metric(
    "alpha_distance",
    ONE,
    Better.NEITHER,
    "Kolmogorov-Smirnov distance of the fitted power law, mean over matrices: the larger, the less its exponent says.",
    "Clauset, Shalizi & Newman 2009, Sec. 3.3",
    low=0,
    high=1,
)
PRODUCT: Final = Metric(
    "log10_norm_product",
    ONE,
    Better.NEITHER,
    "Decimal logarithm of the product of all layers' spectral norms, pixels to logits: a Lipschitz bound for a plain chain of layers only.",
    "Szegedy et al. 2014, Intriguing properties, Sec. 4.3",
)
COMPLEXITY: Final = Metric(
    "log10_spectral_complexity",
    ONE,
    Better.NEITHER,
    "Decimal logarithm of the spectrally-normalised complexity, with zero as reference: part of a generalisation bound for a plain chain of layers only.",
    "Bartlett, Foster & Telgarsky 2017, Eq. 1.2",
)
MARGIN: Final = Metric(
    "log10_normalised_margin",
    ONE,
    Better.NEITHER,
    "Decimal logarithm of the median margin over the spectral complexity and the length of the data.",
    "Bartlett, Foster & Telgarsky 2017, Sec. 2",
)
LOCAL: Final = Metric(
    "local_lipschitz",
    ONE,
    Better.NEITHER,
    "How far the logits move for the smallest move of the pixels (in [0, 1]), both as Euclidean lengths, in the worst direction: median over images.",
    "spectral norm of the Jacobian; Novak et al. 2018, Sensitivity and generalization",
    low=0,
)
LOWER_BOUND: Final = Metric(
    "lipschitz_lower_bound",
    ONE,
    Better.NEITHER,
    "The largest local Lipschitz constant seen: the network's own is at least that.",
    "spectral norm of the Jacobian",
    low=0,
)
FITTED: Final = (ALPHA, ALPHA_WITHIN, ALPHA_DISTANCE)
CHAINED: Final = (PRODUCT, COMPLEXITY)
MEASURED: Final = (LOCAL, LOWER_BOUND)
METRICS: Final = (RATIO, STABLE, EFFECTIVE, NORM, *FITTED, *CHAINED, MARGIN, *MEASURED)
