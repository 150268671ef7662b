"""Whether a model gives away which images it was trained on: attacks on one checkpoint, and with shadow models."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.batch import Batch
from efficient360.core.findings import Finding, findings_table
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Evaluator, Failure, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.privacy import findings, lira, looks, rmia, shadow_models
from efficient360.methods.privacy.attack import ONE_CHECKPOINT, Attack, outcomes, strongest, too_few
from efficient360.methods.privacy.blind import pixel_auc
from efficient360.methods.privacy.gradient_norms import gradient_norms
from efficient360.methods.privacy.metrics import AUC, BALANCED, PIXELS, STRONGEST, TNR, TPR
from efficient360.methods.privacy.pictures import roc_figure, sides_table
from efficient360.methods.privacy.references import References
from efficient360.methods.privacy.shadow_training import Recipe
from efficient360.methods.privacy.sides import FEWEST, Sides, sides, spare
from efficient360.methods.privacy.signals import ENTROPY, LOSS, MARGIN, SCALED, WIDTH, signals_of
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

GRADIENT: Final = "gradient norm"
Row = Callable[[Batch], NDArray[Any]]


@final
@dataclass(frozen=True)
class MembershipInference(Evaluator):
    """How well attacks tell training images from others: loss, entropy, margin, gradient norm, and with shadow models LiRA and RMIA.

    Args:
        examples: The most training images attacked, and as many others; ``None`` for as many as there are.
        gradient_examples: The most on either side whose gradients are taken; 0 for none.
        shadows: How many shadow models to train, even; 0 for none, 16 is a start.
        shadow_model: ``same`` for the checkpoint's architecture from random weights, ``small`` for a little ViT.
        shadow_images: Images that shadow models are trained on, each on half of them; those beyond the attacked ones come from the training split.
        shadow_epochs: Passes of a shadow model over its half.
        shadow_batch: Images a training step.
        shadow_rate: Peak learning rate of AdamW.
        shadow_checkpoints: Shadow models of your own: each reference to a text file with the ids it was trained on, one a line.
    """

    name: ClassVar[str] = "membership_inference"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (STRONGEST, AUC, BALANCED, TPR, TNR, PIXELS)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.TRAINING_SPLIT})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENTS})
    examples: int | None = 10_000
    gradient_examples: int = 1000
    shadows: int = 0
    shadow_model: str = "same"
    shadow_images: int = 20_000
    shadow_epochs: int = 30
    shadow_batch: int = 64
    shadow_rate: float = 1e-3
    shadow_checkpoints: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.examples is not None and self.examples < FEWEST:
            raise self._refused("examples", f"give at least {FEWEST}, or null for as many as there are")
        if self.gradient_examples and self.gradient_examples < FEWEST:
            raise self._refused("gradient_examples", f"give at least {FEWEST}, or 0 for no gradients")
        if self.shadows < 0 or self.shadows % 2:
            raise self._refused("shadows", "give an even number, so that every image is in half of them; 0 trains none")
        if self.shadow_images < 2 * FEWEST:
            raise self._refused("shadow_images", f"give at least {2 * FEWEST}")
        if self.shadows and self.shadow_checkpoints:
            raise SettingsError("bad-setting", "membership_inference was given both shadows and shadow_checkpoints", "train shadows or give a list, not both")
        self._recipe()

    def surroundings(self) -> Mapping[str, object]:
        """What the files of ``shadow_checkpoints`` hold."""
        return {reference: [_digest(reference), _digest(file)] for reference, file in self.shadow_checkpoints.items()}

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Choose both sides, look at their pixels, run every attack; the strongest first.

        Raises:
            Unsupported: Too few examples, or a model of a single class.
            SettingsError: Shadow checkpoints that can't be used.
            OutOfTime: From ``context.deadline``; what is done is kept.
        """
        if context.examples is None or context.training is None:
            raise Unsupported("no-training-split", "membership inference was given no training images", "give a data set with a training split")
        if model.num_classes < 2:
            raise Unsupported("one-class", "a model of a single class has no wrong answers to compare with", "evaluate a classifier")
        chosen = sides(context.training, context.examples, self.examples, context.seed)
        seen = self._passed("pixels", looks.looks_of, looks.WIDTH, chosen, context)
        apart = looks.told_apart(*(of[:, looks.FINGERPRINT] for of in seen))
        compared, features = chosen.at(*apart), [of[places, 1:] for of, places in zip(seen, apart, strict=True)]
        if len(compared) < FEWEST:
            message = f"all but {len(compared)} of {len(chosen)} images stand in both splits, pixel for pixel: there is nothing to compare"
            yield Failure(Status.UNSUPPORTED, "shared-images", message, "give a training split that the evaluated one is not part of")
            return
        pixels = pixel_auc(features[0], features[1], context.seed)
        found = self._passed("signals", partial(signals_of, model), WIDTH, compared, context)
        ran: list[Attack | Failure] = [Attack(name, ONE_CHECKPOINT, *(sign * side[:, column] for side in found)) for name, column, sign in _SIGNALS]
        ran += self._with_gradients(model, compared, context)
        references = self._references(model, compared, context)
        ran += [] if references is None else _with_references(references, found, context.seed)
        attacks = [attack for attack in ran if isinstance(attack, Attack)]
        told = [*findings.before_the_model(pixels, len(chosen) - len(compared)), *_told_of(references, found)]
        yield strongest(attacks, (roc_figure(attacks), findings_table(told), sides_table(found[0], found[1])))
        yield pixels
        for attack in attacks:
            yield from outcomes(attack, context.seed)
        yield from (failure for failure in ran if isinstance(failure, Failure))
        yield from too_few(attacks)

    def _passed(self, what: str, row: Row, width: int, over: Sides, context: Context) -> list[NDArray[Any]]:
        """A row of numbers for every example of both sides, kept on disk."""
        passes = []
        for name, side in (("members", over.members), ("others", over.others)):
            log = RowLog(context.scratch / f"{what}-{name}.f64", width, "float64")
            passes.append(recorded(log, side, context.batch_size, row, context.deadline, context.progress))
        return passes

    def _with_gradients(self, model: Model, compared: Sides, context: Context) -> Iterator[Attack | Failure]:
        """The attack by gradient norms, or why there is none."""
        if not self.gradient_examples:
            return
        if not isinstance(model, TorchModel):
            message, hint = "an artefact gives logits only, and this attack wants gradients", "evaluate the checkpoint itself, without --as"
            yield Failure(Status.UNSUPPORTED, "deployed", message, hint, AUC, {"attack": GRADIENT, "tier": ONE_CHECKPOINT})
            return

        def row(batch: Batch) -> NDArray[Any]:
            norms: NDArray[Any] = gradient_norms(model, batch.images, batch.labels).numpy()
            return norms[:, None]

        norms = self._passed("gradients", row, 1, compared.part(self.gradient_examples, context.seed), context)
        yield Attack(GRADIENT, ONE_CHECKPOINT, -norms[0][:, 0], -norms[1][:, 0])

    def _references(self, model: Model, compared: Sides, context: Context) -> References | None:
        if self.shadow_checkpoints:
            return shadow_models.from_list(compared, self.shadow_checkpoints, model, context)
        if not self.shadows:
            return None
        assert context.training is not None  # evaluate has refused
        further = spare(context.training, compared.members, max(0, self.shadow_images - 2 * len(compared)), context.seed)
        return shadow_models.from_training(compared, further, self.shadows, self._recipe(), model, context)

    def _recipe(self) -> Recipe:
        return Recipe(self.shadow_model, self.shadow_epochs, self.shadow_batch, self.shadow_rate)

    def _refused(self, setting: str, hint: str) -> SettingsError:
        return SettingsError("bad-setting", f"the setting {setting} of {self.name} is {getattr(self, setting)}", hint)


_SIGNALS: Final = (("loss", LOSS, -1.0), ("entropy", ENTROPY, -1.0), ("margin", MARGIN, 1.0))
"""Attacks that need only logits, and which way a member moves the signal."""


def _with_references(references: References, found: Sequence[NDArray[Any]], seed: int) -> Iterator[Attack | Failure]:
    """LiRA and RMIA in both forms, or why there is none."""
    tier, n = f"{len(references)} shadow models", len(found[0])
    scaled, loss = (np.concatenate([side[:, column] for side in found]) for column in (SCALED, LOSS))
    for name, score, signal in (
        (lira.ONLINE, lira.online, scaled),
        (lira.OFFLINE, lira.offline, scaled),
        (rmia.ONLINE, rmia.online, loss),
        (rmia.OFFLINE, rmia.offline, loss),
    ):
        try:
            scores = score(signal, references, seed)
            yield Attack(name, tier, scores[:n], scores[n:])
        except Unsupported as error:
            yield Failure(Status.UNSUPPORTED, error.code, error.message, error.hint, AUC, {"attack": name, "tier": tier})


def _told_of(references: References | None, found: Sequence[NDArray[Any]]) -> Iterator[Finding]:
    if references is None:
        yield findings.lower_bound()
    else:
        yield from findings.unlike_shadows(references.accuracy_outside, float((found[1][:, MARGIN] > 0).mean()))


def _digest(path: str) -> str:
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
