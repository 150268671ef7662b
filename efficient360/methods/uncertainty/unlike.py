"""Sets of images that a model was not trained for: made ones, other data sets, classes it never saw."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, final

from efficient360.core import formatting
from efficient360.core.examples import Examples, OtherSet
from efficient360.core.findings import Finding
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.far_images import MAKERS, PHOTOGRAPHS, SHOWN
from efficient360.methods.uncertainty.made_examples import made
from efficient360.methods.uncertainty.nearness import Kind

KNOWN: Final = "known-classes"


@final
@dataclass(frozen=True)
class UnlikeSet:
    """Images outside a model's distribution.

    Args:
        name: For conditions and print.
        kind: Near or far.
        examples: The images; their labels mean nothing here.
        findings: What makes numbers on them less sure.
    """

    name: str
    kind: Kind
    examples: Examples
    findings: tuple[Finding, ...] = ()


def made_sets(known: Sequence[str], size: tuple[int, int], n: int, seed: int) -> Iterator[UnlikeSet | Finding]:
    """Crops of photographs and noise, which every data set is far from; why there are no photographs where a class is what they show.

    Args:
        known: Names of the classes that the model knows.
        size: ``(H, W)`` of its images.
        n: Images of each.
        seed: Of the images.
    """
    shown = next((name for name in known if set(re.findall(r"[a-z]+", name.lower())) & set(SHOWN)), None)
    for name, make in MAKERS.items():
        if name == PHOTOGRAPHS and shown is not None:
            yield Finding(KNOWN, f"the photographs of a flower and a palace were left out: the model knows the class {shown!r}", "name a data set of your own")
            continue
        told = (_two_photographs(n),) if name == PHOTOGRAPHS else ()
        yield UnlikeSet(name, Kind.FAR, made(name, make, size, n, seed), told)


def _two_photographs(n: int) -> Finding:
    return Finding(
        "two-photographs",
        f"the {formatting.count(n)} photographs are crops of two, so their interval is narrower than that of as many photographs would be",
        "name a data set of photographs that you expect to meet",
    )


def other(from_set: OtherSet, kind: Kind, known: Sequence[str], n: int, seed: int) -> UnlikeSet:
    """Images of a data set's classes that the model does not know.

    Args:
        from_set: The data set.
        kind: Near or far.
        known: Names of the classes that the model knows.
        n: The most images.
        seed: Of the choice.

    Raises:
        DatasetError: It can't be had.
        Unsupported: The model knows every one of its classes.
    """
    examples, taken = from_set.test(), {word for name in known for word in _spellings(name)}
    shared = [i for i, name in enumerate(examples.class_names) if _spellings(name) & taken]
    name, findings = short(from_set.name), []
    if shared:
        kept = [example for example, label in zip(examples.ids, examples.labels.tolist(), strict=True) if label not in shared]
        if not kept:
            raise Unsupported(KNOWN, f"the model knows every class of {name}: it is not out of its distribution", "name a data set of other classes")
        examples = examples.select(kept)
        message = f"{len(shared)} classes of {name} were left out, the model knows them: {examples.class_names[shared[0]]!r} is the first"
        findings.append(Finding(KNOWN, message, "nothing, unless the name means something else there"))
    if kind is Kind.UNSORTED:
        hint = f"say it: --set 'out_of_distribution.far=[{name}]', or near"
        findings.append(Finding("unsorted-set", f"nobody has said whether {name} is near or far, so it counts in no mean", hint))
    return UnlikeSet(name, kind, examples.subset(n, seed), tuple(findings))


def short(reference: str) -> str:
    """A data set's name without the folder it lies in: ``cards/birds.yaml`` and ``imagefolder:/data/birds`` are both ``birds``."""
    name, _, _ = reference.partition("=")
    return PurePath(name.partition(":")[2] or name).name.removesuffix(".yaml").removesuffix(".yml")


def _spellings(name: str) -> set[str]:
    """The names in a name: ImageNet's hold several with commas between, and data sets differ in case and underscores."""
    return {" ".join(re.split(r"[\s_-]+", one.strip().lower())) for one in name.split(",")}
