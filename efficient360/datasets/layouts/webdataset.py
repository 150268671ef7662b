"""WebDataset shards: plain tars whose consecutive members of one key are an example. Members are read where they lie; no pickle is ever decoded."""

import glob
import itertools
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Final, final, overload

from efficient360.core.findings import Finding
from efficient360.core.formatting import count
from efficient360.core.parsing import parse_json
from efficient360.core.paths import is_folder, user_path
from efficient360.datasets.card import Card
from efficient360.datasets.column_table import ColumnTable
from efficient360.datasets.image_formats import ENDINGS
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.regular_files import require_regular
from efficient360.datasets.split_names import WHOLE, is_split, named_splits
from efficient360.errors import DatasetError

TEXTS: Final = frozenset({"cls", "txt", "text", "label", "target", "class", "index", "id", "json", "cls.txt", "label.txt", "class.txt", "wnid", "synset"})
"""Extensions of members that are read as text; all others that are no images are left alone, pickles above all."""
LONGEST: Final = 1 << 20
"""Bytes of such a text."""
LARGEST_IMAGE: Final = 1 << 30
MOST_BRACES: Final = 100_000


@final
@dataclass(frozen=True)
class WebDataset(Layout):
    """Tars of examples."""

    kind: ClassVar[str] = "webdataset"
    typed: ClassVar[str] = "webdataset:PATTERN"
    summary: ClassVar[str] = "WebDataset tars: a path, a folder, 'shard-*.tar' or 'shard-{000..009}.tar'"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        if path.suffix.casefold() == ".tar":
            return "a tar"
        tars = list(path.glob("*.tar")) if is_folder(path) else []
        return f"{len(tars)} tars" if tars else ""

    def splits(self, location: str) -> Mapping[str, str]:
        """As :class:`Layout`: by the shards' names, ``val-000.tar``, where all are called after one."""
        own = list(dict.fromkeys(_split_of(file) for file in self.files(location)))
        return named_splits(own) if all(own) else {WHOLE: ""}

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        files = [file for file in self.files(location) if not split or _split_of(file) == split]
        return opened_shards(files, card)

    def files(self, location: str) -> list[Path]:
        """As :class:`Layout`."""
        folder = user_path(location)
        patterns = [str(Path(glob.escape(str(folder))) / "*.tar")] if is_folder(folder) else expanded(str(folder))
        found = [Path(name) for pattern in patterns for name in ([pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern)))]  # noqa: PTH207
        if not found:
            raise DatasetError("no-files", f"no tar matches {location}", "check the path; quote the pattern so that the shell leaves it alone")
        packed = next((file for file in found if file.suffix.casefold() != ".tar"), None)
        if packed is not None:
            raise DatasetError("not-a-tar", f"{packed} is no plain tar", f"members are read where they lie, so unpack it first: gunzip {packed}")
        return found


@final
@dataclass(frozen=True)
class TarMembers(Sequence[bytes]):
    """Members of tars, each read when it is asked for.

    Args:
        shards: The tars.
        places: Of each member, which tar, and where in it: ``(shard, offset, size)``.
    """

    shards: Sequence[str]
    places: Sequence[tuple[int, int, int]]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[bytes]: ...
    def __getitem__(self, i: int | slice) -> bytes | Sequence[bytes]:
        """One member's bytes, or some members."""
        if isinstance(i, slice):
            return TarMembers(self.shards, self.places[i])
        shard, offset, size = self.places[i]
        with Path(self.shards[shard]).open("rb") as file:
            file.seek(offset)
            return file.read(size)


@final
@dataclass
class _Example:
    """An example while its members come by."""

    key: str
    image: tuple[int, int, int] | None
    ending: str
    texts: dict[str, str]


def opened_shards(files: Sequence[Path], card: Card) -> OpenedTable:
    """The examples of shards, in order.

    Raises:
        DatasetError: One is no tar, holds no image, or examples lack a member that others have.
    """
    examples = [example for shard, file in enumerate(files) for example in _examples(shard, file, card.image)]
    with_image = [example for example in examples if example.image is not None]
    if not with_image:
        raise DatasetError("empty-split", f"the tars {files[0].name} … hold no image", "each example is an image (key.jpg) and its label (key.cls)")
    columns: dict[str, list[Any]] = {}
    for i, example in enumerate(with_image):
        for name, text in _fields(example).items():
            columns.setdefault(name, [None] * len(with_image))[i] = text
    if not columns:
        inside = sorted({str(PurePosixPath(example.key).parent) for example in with_image[:100]})
        hint = "extract the tar and give the folder: imagefolder:DIR" if len(inside) > 1 else "add a label to each example: key.cls, or key.json with a label"
        raise DatasetError("no-labels", f"no example of {files[0].name} has a member with its label, only images", hint)
    places = [example.image for example in with_image if example.image is not None]
    without = len(examples) - len(with_image)
    told = f"{count(without)} keys of {files[0].name} … have no image, and are left out"
    findings = (Finding("files-left-out", told, "check that no image has an ending of its own"),) if without else ()
    image = card.image or "image"
    columns.pop(image, None)
    table = ColumnTable({image: TarMembers([str(file) for file in files], places), **columns, "id": [example.key for example in with_image]})
    label = card.label or next((name for name in ("cls", "cls.txt", "label", "label.txt", "class", "class.txt") if name in columns), "")
    return OpenedTable(table, image=image, label=label if label in columns else "", findings=findings)


def expanded(pattern: str) -> list[str]:
    """A pattern with braces as the patterns it stands for: ``{000..012}`` and ``{a,b}``, as shells and WebDataset write them.

    Raises:
        DatasetError: It stands for more than can be meant.
    """
    parts: list[list[str]] = []
    total = 1
    for text in re.split(r"(\{[^{}]*\})", pattern):
        choices = [text]
        if (span := re.fullmatch(r"\{(\d{1,9})\.\.(\d{1,9})\}", text)) is not None:
            first, last = int(span[1]), int(span[2])
            if last - first >= MOST_BRACES:
                raise DatasetError("no-files", f"{pattern} stands for {last - first + 1:,} files", f"at most {MOST_BRACES:,} can be given")
            choices = [f"{i:0{len(span[1])}d}" for i in range(first, last + 1)]
        elif re.fullmatch(r"\{[^{}]*,[^{}]*\}", text):
            choices = text[1:-1].split(",")
        total *= len(choices)
        if total > MOST_BRACES:
            raise DatasetError("no-files", f"{pattern} stands for more than {MOST_BRACES:,} files", "give fewer")
        parts.append(choices)
    return ["".join(choice) for choice in itertools.product(*parts)]


def _split_of(file: Path) -> str:
    """The split that a shard is named after, or lies in a folder of; ``""`` for none."""
    words = [word for word in re.split(r"[-_.]", re.sub(r"[-_.]?\d+([-_.]of[-_.]\d+)?$", "", file.stem)) if word]
    return next((word for word in reversed(words) if is_split(word)), file.parent.name if is_split(file.parent.name) else "")


def _examples(shard: int, file: Path, image: str) -> Iterator[_Example]:
    require_regular(file, f"the tar {file}")
    current: _Example | None = None
    size = file.stat().st_size
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                if not member.isreg() or member.issparse():
                    continue
                path = PurePosixPath(member.name)
                stem, dot, ending = path.name.partition(".")
                if not dot or not stem:
                    continue
                key, ending = str(path.with_name(stem)).removeprefix("./"), ending.casefold()
                if member.size > LARGEST_IMAGE or member.offset_data + member.size > size:
                    raise DatasetError("unreadable-dataset", f"{file} is cut off, or its member {member.name!r} too large", "copy it again")
                if current is None or current.key != key:
                    if current is not None:
                        yield current
                    current = _Example(key, None, "", {})
                if _is_image(ending) and (ending == image if image else current.image is None):
                    current.image, current.ending = (shard, member.offset_data, member.size), ending
                elif ending in TEXTS and member.size <= LONGEST:
                    stream = tar.extractfile(member)
                    current.texts[ending] = "" if stream is None else stream.read().decode("utf-8", "replace").strip()
    except (tarfile.TarError, OSError) as error:
        hint = "give plain tars; a packed one is unpacked with gunzip"
        raise DatasetError("unreadable-dataset", f"{file} can't be read as a tar: {error}", hint) from error
    if current is not None:
        yield current


def _is_image(ending: str) -> bool:
    return "." + ending.rpartition(".")[2] in ENDINGS


def _fields(example: _Example) -> Mapping[str, Any]:
    """Texts by extension, and the plain values of a JSON member by their own names."""
    fields: dict[str, Any] = {name: text for name, text in example.texts.items() if name != "json"}
    try:
        inner = parse_json(example.texts["json"]) if "json" in example.texts else {}
    except ValueError:
        inner = {}
    if isinstance(inner, dict):
        for name, value in inner.items():
            if name not in fields and name != "id" and (isinstance(value, str | int | float | bool) or (isinstance(value, list) and len(value) < 1000)):
                fields[str(name)] = value
    return fields
