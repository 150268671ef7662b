"""The metrics of the features' spectra, and what is kept of each image and block."""

from typing import Final

from efficient360.core.measurement import ONE, Better, Metric

PARK_KIM: Final = "Park & Kim 2022, How do vision transformers work?, figure 2"
DONG: Final = "Dong, Cordonnier & Loukas 2021, Attention is not all you need"

HIGH_SHARE = Metric(
    "high_frequency_share",
    ONE,
    Better.NEITHER,
    "Share of the energy of the last block's tokens, beyond their mean, that lies above half the highest frequency; white noise has about 0.75.",
    PARK_KIM,
    low=0,
    high=1,
)
HIGH_LOSS = Metric(
    "high_frequency_loss",
    ONE,
    Better.NEITHER,
    "How much of the high-frequency share is lost from the first block to the last (straight line through all blocks); below 0 detail grows.",
    PARK_KIM,
)
LOG_AMPLITUDE = Metric(
    "relative_log_amplitude",
    ONE,
    Better.NEITHER,
    "Log amplitude of the last block's tokens at the highest frequency less that of their mean; the lower, the smoother the map.",
    PARK_KIM,
)
LOW_PASS = Metric(
    "low_pass_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy on images of which only frequencies up to a cutoff (share of the highest one) are left: coarse shapes.",
    "Yin et al. 2019, A Fourier perspective on model robustness, section 4",
    low=0,
    high=1,
)
HIGH_PASS = Metric(
    "high_pass_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy on images of which only frequencies above a cutoff and the mean colour are left: fine detail.",
    "Yin et al. 2019, A Fourier perspective on model robustness, section 4",
    low=0,
    high=1,
)
BAND_PASS = Metric(
    "band_pass_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy on images of which only one band of frequencies and the mean colour are left.",
    "after Yin et al. 2019, section 4",
    low=0,
    high=1,
)
SIMILARITY = Metric(
    "token_similarity",
    ONE,
    Better.NEITHER,
    "Mean cosine between two tokens of an image after the last block: 1 where all tokens say the same.",
    "Wang et al. 2022, Anti-oversmoothing in deep vision transformers",
    low=-1,
    high=1,
)
RESIDUAL = Metric(
    "token_residual",
    ONE,
    Better.NEITHER,
    "How far the last block's tokens are from being all equal, relative to their size: 0 where they are equal.",
    DONG,
    low=0,
    high=1,
)
RANK = Metric(
    "token_rank",
    ONE,
    Better.NEITHER,
    "Effective rank of the last block's tokens: in about how many directions they differ.",
    f"Roy & Vetterli 2007, The effective rank, of tokens as {DONG}",
    low=0,
)
ENTROPY = Metric(
    "attention_entropy",
    ONE,
    Better.NEITHER,
    "How evenly patches look around, mean over layers and heads: 1 equally at all tokens, 0 each at one.",
    "entropy of attention rows as a share of the largest, after Zhai et al. 2023, Stabilizing transformer training by preventing attention entropy collapse",
    low=0,
    high=1,
)
DISTANCE = Metric(
    "attention_distance",
    ONE,
    Better.NEITHER,
    "How far patches look, in sides of the image, mean over layers and heads; equal attention looks about 0.52 far.",
    "Dosovitskiy et al. 2021, An image is worth 16x16 words, figure 7",
    low=0,
)
RESPONSE = Metric(
    "attention_response",
    ONE,
    Better.NEITHER,
    "How much of what differs between tokens attention lets through, mean over layers and heads: 0 only the mean, 1 everything.",
    "Wang et al. 2022, section 3 (high-frequency component), as a root mean square gain",
    low=0,
    high=1,
)
TOP = Metric(
    "hessian_top_eigenvalue",
    ONE,
    Better.NEITHER,
    "Largest curvature of the loss over the weights: how sharply it bends in its sharpest direction.",
    "Yao et al. 2020, PyHessian; by Lanczos' method",
)
TRACE = Metric(
    "hessian_trace",
    ONE,
    Better.NEITHER,
    "Curvature of the loss over the weights, summed over all directions.",
    "Hutchinson 1990; Yao et al. 2020, PyHessian",
)
METRICS: Final = (
    HIGH_SHARE,
    HIGH_LOSS,
    LOG_AMPLITUDE,
    LOW_PASS,
    HIGH_PASS,
    BAND_PASS,
    SIMILARITY,
    RESIDUAL,
    RANK,
    RESPONSE,
    ENTROPY,
    DISTANCE,
    TOP,
    TRACE,
)

CLEAN = Metric("unfiltered_correct", ONE, Better.HIGHER, "Whether the whole image is recognised.", low=0, high=1)
BLOCK_SHARE = Metric("block_high_frequency_share", ONE, Better.NEITHER, "High-frequency share after a block.", low=0, high=1)
BLOCK_AMPLITUDE = Metric("block_log_amplitude", ONE, Better.NEITHER, "Log amplitude after a block at a share of the highest frequency, less that at 0.")
BLOCK_SIMILARITY = Metric("block_token_similarity", ONE, Better.NEITHER, "Mean cosine between two tokens after a block.", low=-1, high=1)
BLOCK_RESIDUAL = Metric("block_token_residual", ONE, Better.NEITHER, "Distance of the tokens after a block from equal ones.", low=0, high=1)
BLOCK_RANK = Metric("block_token_rank", ONE, Better.NEITHER, "Effective rank of the tokens after a block.", low=0)
BLOCK_FULL_RANK = Metric("block_full_rank", ONE, Better.NEITHER, "The largest rank that the tokens after a block can have.", low=1)
COLUMNS: Final = (CLEAN, BLOCK_SHARE, BLOCK_AMPLITUDE, BLOCK_SIMILARITY, BLOCK_RESIDUAL, BLOCK_RANK, BLOCK_FULL_RANK)
