"""Membership inference: which images a model was trained on, by threshold attacks on one checkpoint and by LiRA and RMIA with shadow models."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from efficient360.core.batch import Batch
from efficient360.core.findings import Finding, findings_table
from efficient360.core.settings import AtLeast1, Count, Positive, among
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Evaluator, Examples, Failure, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.privacy import blind_baseline, lira, rmia, threshold_attacks
from efficient360.methods.privacy.attack_results import (
    ONE_CHECKPOINT,
    MembershipAttack,
    attack_outcomes,
    generalisation_table,
    lower_bound_finding,
    missing_rates,
    roc_figure,
    shadow_mismatch,
    split_findings,
    strongest_attack,
    void_reason,
)
from efficient360.methods.privacy.blind_baseline import FINGERPRINT, blind_auc, image_features
from efficient360.methods.privacy.member_pairs import MIN_MEMBERS, MemberPairs, drop_duplicates, other_training_examples, pair_members
from efficient360.methods.privacy.metrics import AUC, BALANCED, BLIND, STRONGEST, TNR, TPR
from efficient360.methods.privacy.shadow_models import ShadowOutputs, run_shadow_checkpoints, train_shadow_models
from efficient360.methods.privacy.shadow_training import SAME, SMALL, ShadowRecipe
from efficient360.methods.privacy.threshold_attacks import GRADIENT_NORM, LOSS, MARGIN, SCALED, SIGNED_ATTACKS, gradient_norms, model_signals
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

RowFunction = Callable[[Batch], NDArray[Any]]
"""From a batch to a row of numbers per example, ``(B, width)``."""


def _zero_or_enough(value: int) -> int:
    if 0 < value < MIN_MEMBERS:
        raise ValueError(f"give at least {MIN_MEMBERS}, or 0 for no gradients")
    return value


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("give an even number, so that every image is in half of them; 0 trains none")
    return value


@final
@dataclass(frozen=True)
class MembershipInference(Evaluator):
    """How well attacks separate members (training images) from non-members: loss, entropy, margin, gradient norm, and with shadow models LiRA and RMIA.

    Args:
        examples: The most members, and as many non-members; ``None`` for as many as there are.
        gradient_examples: The most members, and as many non-members, of the gradient norm attack; 0 for none.
        shadows: Number of shadow models to train, even; 0 for none, 16 is a start.
        shadow_model: ``same`` for the checkpoint's architecture from random weights, ``small`` for a small ViT.
        shadow_images: Images that shadow models are trained on, each on half of them; those beyond the attacked ones come from the training split.
        shadow_epochs: Passes of a shadow model over its half.
        shadow_batch: Images per training step.
        shadow_rate: Peak learning rate of AdamW.
        shadow_checkpoints: Your own shadow models: each reference to a text file of the ids it was trained on, one per line.
    """

    name: ClassVar[str] = "membership_inference"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (STRONGEST, AUC, BALANCED, TPR, TNR, BLIND)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.TRAINING_SPLIT})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENTS})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"shadows": ("strongest_attack_auc",)}
    examples: Annotated[int, Field(ge=MIN_MEMBERS)] | None = 10_000
    gradient_examples: Annotated[Count, AfterValidator(_zero_or_enough)] = 1000
    shadows: Annotated[Count, AfterValidator(_even)] = 0
    shadow_model: Annotated[str, among(lambda: (SAME, SMALL))] = SAME
    shadow_images: Annotated[int, Field(ge=2 * MIN_MEMBERS)] = 20_000
    shadow_epochs: AtLeast1 = 30
    shadow_batch: AtLeast1 = 64
    shadow_rate: Positive = 1e-3
    shadow_checkpoints: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.shadows and self.shadow_checkpoints:
            raise SettingsError("bad-setting", "membership_inference was given both shadows and shadow_checkpoints", "give one of them")

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Select members and non-members, run the blind baseline and every attack; the strongest first.

        Raises:
            Unsupported: No training split, too few examples, or a model of a single class.
            SettingsError: Shadow checkpoints that can't be used.
            OutOfTime: From ``context.deadline``; finished passes are kept.
        """
        training, evaluated = context.require_training(), context.require_examples()
        if model.num_classes < 2:
            raise Unsupported("one-class", "a model of a single class has no wrong predictions to compare with", "evaluate a classifier")
        selected = pair_members(training, evaluated, self.examples, context.seed)
        pixels = self._rows("pixels", image_features, blind_baseline.WIDTH, selected, context)
        unique = drop_duplicates(*(rows[:, FINGERPRINT] for rows in pixels))
        pairs, features = selected.take(*unique), [rows[indices, 1:] for rows, indices in zip(pixels, unique, strict=True)]
        if len(pairs) < MIN_MEMBERS:
            message = f"all but {len(pairs)} of {len(selected)} images are in both splits, pixel for pixel: no members and non-members are left to compare"
            yield Failure(Status.UNSUPPORTED, "shared-images", message, "give a training split that does not contain the evaluated one")
            return
        blind = blind_auc(features[0], features[1], context.seed)
        signals = self._rows("signals", partial(model_signals, model), threshold_attacks.WIDTH, pairs, context)
        results: list[MembershipAttack | Failure] = [
            MembershipAttack(name, ONE_CHECKPOINT, *(sign * rows[:, column] for rows in signals)) for name, column, sign in SIGNED_ATTACKS
        ]
        results += self._gradient_attack(model, pairs, context)
        shadows = self._shadows(model, pairs, training, context)
        results += [] if shadows is None else _shadow_attacks(shadows, signals, context.seed)
        attacks = [result for result in results if isinstance(result, MembershipAttack)]
        findings = [*split_findings(blind, len(selected) - len(pairs)), *_attack_findings(shadows, signals)]
        void = void_reason(blind)
        figures = (roc_figure(attacks), findings_table(findings), generalisation_table(signals[0], signals[1]))
        yield replace(strongest_attack(attacks, context.seed, figures), void=void)
        yield blind
        for attack in attacks:
            yield from (replace(outcome, void=void) for outcome in attack_outcomes(attack, context.seed))
        yield from (result for result in results if isinstance(result, Failure))
        yield from missing_rates(attacks)

    def _rows(self, what: str, row: RowFunction, width: int, pairs: MemberPairs, context: Context) -> list[NDArray[Any]]:
        """A row of numbers for every member and every non-member, ``[(n, width), (n, width)]``, kept on disk."""
        rows = []
        for name, examples in (("members", pairs.members), ("others", pairs.nonmembers)):
            log = RowLog(context.scratch / f"{what}-{name}.f64", width, "float64")
            rows.append(recorded(log, examples, context.batch_size, row, context.deadline, context.progress))
        return rows

    def _gradient_attack(self, model: Model, pairs: MemberPairs, context: Context) -> Iterator[MembershipAttack | Failure]:
        """The attack by gradient norms, or why it is missing."""
        if not self.gradient_examples:
            return
        if not isinstance(model, TorchModel):
            message, hint = "an artefact gives logits only, and this attack needs gradients", "evaluate the checkpoint itself, without --as"
            yield Failure(Status.UNSUPPORTED, "deployed", message, hint, AUC, {"attack": GRADIENT_NORM, "tier": ONE_CHECKPOINT})
            return

        def row(batch: Batch) -> NDArray[Any]:
            norms: NDArray[Any] = gradient_norms(model, batch.images, batch.labels).numpy()
            return norms[:, None]

        norms = self._rows("gradients", row, 1, pairs.subset(self.gradient_examples, context.seed), context)
        yield MembershipAttack(GRADIENT_NORM, ONE_CHECKPOINT, -norms[0][:, 0], -norms[1][:, 0])

    def _shadows(self, model: Model, pairs: MemberPairs, training: Examples, context: Context) -> ShadowOutputs | None:
        if self.shadow_checkpoints:
            return run_shadow_checkpoints(pairs, self.shadow_checkpoints, model, context)
        if not self.shadows:
            return None
        extra = other_training_examples(training, pairs.members, max(0, self.shadow_images - 2 * len(pairs)), context.seed)
        recipe = ShadowRecipe(self.shadow_model, self.shadow_epochs, self.shadow_batch, self.shadow_rate)
        return train_shadow_models(pairs, extra, self.shadows, recipe, model, context)


def _shadow_attacks(shadows: ShadowOutputs, signals: Sequence[NDArray[Any]], seed: int) -> Iterator[MembershipAttack | Failure]:
    """LiRA and RMIA, online and offline, or why they are missing."""
    tier, n = f"{len(shadows)} shadow models", len(signals[0])
    scaled_confidence, loss = (np.concatenate([rows[:, column] for rows in signals]) for column in (SCALED, LOSS))
    for name, attack, signal in (
        (lira.ONLINE, lira.online, scaled_confidence),
        (lira.OFFLINE, lira.offline, scaled_confidence),
        (rmia.ONLINE, rmia.online, loss),
        (rmia.OFFLINE, rmia.offline, loss),
    ):
        try:
            scores = attack(signal, shadows, seed)
            yield MembershipAttack(name, tier, scores[:n], scores[n:])
        except Unsupported as error:
            yield Failure(Status.UNSUPPORTED, error.code, error.message, error.hint, AUC, {"attack": name, "tier": tier})


def _attack_findings(shadows: ShadowOutputs | None, signals: Sequence[NDArray[Any]]) -> Iterator[Finding]:
    if shadows is None:
        yield lower_bound_finding()
    else:
        yield from shadow_mismatch(shadows.test_accuracy, float((signals[1][:, MARGIN] > 0).mean()))
