"""The metrics and per-image columns of ``feature_spectrum``, and how values become outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.findings import Finding
from efficient360.core.measurement import ONE, Better, Failure, Measurement, Metric, Outcome, Status
from efficient360.core.statistics import bootstrap_mean
from efficient360.errors import Unsupported

PARK_KIM: Final = "Park & Kim 2022, How do vision transformers work?, figure 2"
DONG: Final = "Dong, Cordonnier & Loukas 2021, Attention is not all you need"

HIGH_FREQUENCY_SHARE = Metric(
    "high_frequency_share",
    ONE,
    Better.NEITHER,
    "Share of the energy of the last block's tokens, without their mean, above half the Nyquist frequency; white noise has about 0.75.",
    PARK_KIM,
    low=0,
    high=1,
)
HIGH_FREQUENCY_LOSS = Metric(
    "high_frequency_loss",
    ONE,
    Better.NEITHER,
    "Decrease of the high-frequency share from the first block to the last (linear fit over all blocks); negative if it increases.",
    PARK_KIM,
)
RELATIVE_LOG_AMPLITUDE = Metric(
    "relative_log_amplitude",
    ONE,
    Better.NEITHER,
    "Log amplitude of the last block's tokens at the Nyquist frequency minus that at frequency 0; the lower, the smoother the map.",
    PARK_KIM,
)
LOW_PASS = Metric(
    "low_pass_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy on low-pass filtered images (cutoff as a share of the Nyquist frequency): coarse shapes.",
    "Yin et al. 2019, A Fourier perspective on model robustness, section 4",
    low=0,
    high=1,
)
HIGH_PASS = Metric(
    "high_pass_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy on high-pass filtered images that keep their mean colour: fine detail.",
    "Yin et al. 2019, A Fourier perspective on model robustness, section 4",
    low=0,
    high=1,
)
BAND_PASS = Metric(
    "band_pass_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy on band-pass filtered images that keep their mean colour.",
    "after Yin et al. 2019, section 4",
    low=0,
    high=1,
)
TOKEN_SIMILARITY = Metric(
    "token_similarity",
    ONE,
    Better.NEITHER,
    "Mean cosine similarity between two tokens of an image after the last block: 1 if all tokens are alike.",
    "Wang et al. 2022, Anti-oversmoothing in deep vision transformers",
    low=-1,
    high=1,
)
TOKEN_RESIDUAL = Metric(
    "token_residual",
    ONE,
    Better.NEITHER,
    "Relative distance of the last block's tokens from equal ones (rank-collapse residual): 0 if all are equal.",
    DONG,
    low=0,
    high=1,
)
TOKEN_RANK = Metric(
    "token_rank",
    ONE,
    Better.NEITHER,
    "Effective rank of the last block's tokens: the number of directions they span.",
    f"Roy & Vetterli 2007, The effective rank, of tokens as {DONG}",
    low=0,
)
ATTENTION_ENTROPY = Metric(
    "attention_entropy",
    ONE,
    Better.NEITHER,
    "Entropy of attention as a share of the maximum, mean over layers and heads: 1 uniform, 0 each patch attends to one token.",
    "after Zhai et al. 2023, Stabilizing transformer training by preventing attention entropy collapse",
    low=0,
    high=1,
)
ATTENTION_DISTANCE = Metric(
    "attention_distance",
    ONE,
    Better.NEITHER,
    "Attention-weighted mean distance between patches in image sides, mean over layers and heads; about 0.52 for uniform attention.",
    "Dosovitskiy et al. 2021, An image is worth 16x16 words, figure 7",
    low=0,
)
ATTENTION_RESPONSE = Metric(
    "attention_response",
    ONE,
    Better.NEITHER,
    "RMS gain of attention for differences between tokens, mean over layers and heads: 0 passes only the mean, 1 everything.",
    "Wang et al. 2022, section 3 (high-frequency component), as a root mean square gain",
    low=0,
    high=1,
)
HESSIAN_TOP_EIGENVALUE = Metric(
    "hessian_top_eigenvalue",
    ONE,
    Better.NEITHER,
    "Largest eigenvalue of the Hessian of the loss over the weights (sharpness).",
    "Yao et al. 2020, PyHessian; by Lanczos' method",
)
HESSIAN_TRACE = Metric(
    "hessian_trace",
    ONE,
    Better.NEITHER,
    "Trace of the Hessian of the loss over the weights: curvature summed over all directions.",
    "Hutchinson 1990; Yao et al. 2020, PyHessian",
)
METRICS: Final = (
    HIGH_FREQUENCY_SHARE,
    HIGH_FREQUENCY_LOSS,
    RELATIVE_LOG_AMPLITUDE,
    LOW_PASS,
    HIGH_PASS,
    BAND_PASS,
    TOKEN_SIMILARITY,
    TOKEN_RESIDUAL,
    TOKEN_RANK,
    ATTENTION_RESPONSE,
    ATTENTION_ENTROPY,
    ATTENTION_DISTANCE,
    HESSIAN_TOP_EIGENVALUE,
    HESSIAN_TRACE,
)

UNFILTERED_CORRECT = Metric("unfiltered_correct", ONE, Better.HIGHER, "Whether the unfiltered image is classified correctly.", low=0, high=1)
BLOCK_HIGH_FREQUENCY_SHARE = Metric("block_high_frequency_share", ONE, Better.NEITHER, "High-frequency share after a block.", low=0, high=1)
BLOCK_AMPLITUDE = Metric("block_log_amplitude", ONE, Better.NEITHER, "Log amplitude after a block at a share of the Nyquist frequency, minus that at 0.")
BLOCK_SIMILARITY = Metric("block_token_similarity", ONE, Better.NEITHER, "Mean cosine similarity between two tokens after a block.", low=-1, high=1)
BLOCK_RESIDUAL = Metric("block_token_residual", ONE, Better.NEITHER, "Relative distance of the tokens after a block from equal ones.", low=0, high=1)
BLOCK_RANK = Metric("block_token_rank", ONE, Better.NEITHER, "Effective rank of the tokens after a block.", low=0)
BLOCK_FULL_RANK = Metric("block_full_rank", ONE, Better.NEITHER, "Full rank of the tokens after a block.", low=1)
COLUMNS: Final = (UNFILTERED_CORRECT, BLOCK_HIGH_FREQUENCY_SHARE, BLOCK_AMPLITUDE, BLOCK_SIMILARITY, BLOCK_RESIDUAL, BLOCK_RANK, BLOCK_FULL_RANK)


@final
@dataclass(frozen=True)
class FeatureOutcomes:
    """Outcomes of one part of ``feature_spectrum`` with their findings.

    Args:
        outcomes: Measurements and failures.
        findings: Warnings.
    """

    outcomes: Sequence[Outcome] = field(default_factory=tuple)
    findings: Sequence[Finding] = field(default_factory=tuple)


def mean_over_images(metric: Metric, values: NDArray[np.float64], seed: int, figures: Sequence[Figure] = ()) -> Measurement:
    """Mean of values ``(n,)``, one per image, with a bootstrap interval."""
    return Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, seed), extra=tuple(figures))


def unsupported(metrics: Sequence[Metric], error: Unsupported) -> FeatureOutcomes:
    """A failure of each metric, for one reason."""
    return FeatureOutcomes([Failure.of(Status.UNSUPPORTED, error, metric) for metric in metrics])


def not_in_artefact(needed: str) -> Unsupported:
    """Why a deployed artefact lacks what is needed."""
    return Unsupported("deployed", f"an artefact gives logits only, and this needs {needed}", "evaluate the checkpoint itself, without --as")
