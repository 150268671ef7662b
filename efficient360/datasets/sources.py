"""From a card to a table with its images left encoded: image folders by our own listing, everything else through the ``datasets`` library."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.datasets.card import Card
from efficient360.datasets.digits import digits
from efficient360.datasets.folder_listing import Listing, in_order, list_classes, list_images
from efficient360.datasets.folder_table import FolderTable
from efficient360.datasets.parquet_files import require_parquet
from efficient360.datasets.split_folders import NAMES, beside, kind_of, split_folders
from efficient360.errors import DatasetError

EMBEDDED = {"digits": digits}


@final
@dataclass(frozen=True)
class OpenedTable:
    """The rows of one split.

    Args:
        rows: A ``datasets.Dataset``, memory-mapped, or what is indexed like one; nothing decoded.
        roots: Folders that hold the image files which the rows name by path; empty where rows hold the images themselves.
        listing: What was found where the rows are the files of an image folder.
        beside: How many files of that folder lie in none of its splits.
    """

    rows: Any
    roots: tuple[Path, ...] = ()
    listing: Listing | None = None
    beside: int = 0


def open_table(card: Card, split: str, data_dir: Path | None) -> OpenedTable:
    """The rows of one split.

    Args:
        card: What to open.
        split: Our name of the split.
        data_dir: A local copy to read in place of the card's source: Parquet files or class folders.

    Raises:
        DatasetError: The split, files or hub can't be had.
    """
    source_split = card.splits.get(split)
    if source_split is None:
        raise DatasetError("unknown-split", f"{card.name} has no split called {split!r}", f"its splits are: {', '.join(card.splits)}")
    if data_dir is not None:
        return _local_copy(card, split, data_dir)
    kind, location = card.source.kind, card.source.location
    if kind == "embedded" and location not in EMBEDDED:
        raise DatasetError("bad-card", f"{card.name} names the embedded data {location!r}, which do not exist", f"known: {', '.join(EMBEDDED)}")
    if kind == "embedded":
        return OpenedTable(EMBEDDED[location](source_split))
    if kind == "parquet":
        return _parquet(location, card)
    if kind == "imagefolder":
        root = Path(location)
        return _folder(_split_folder(card, split, root), root, _folders(card, root))
    what = f"{card.name} on the hub"
    _require_answer(location, what)
    rows = _load(what, path=location, name=card.source.config, split=source_split, revision=card.source.revision)
    return OpenedTable(rows, _caches())


def has_split(card: Card, split: str, data_dir: Path | None) -> bool:
    """Whether a split can be there: named by the card and, of what lies on this machine, found. Opens nothing.

    Raises:
        DatasetError: A folder can't be read.
    """
    if split not in card.splits:
        return False
    if data_dir is not None:
        return _local_files(card, split, data_dir) is not None
    if card.source.kind == "imagefolder":
        root = Path(card.source.location)
        return root.is_dir() and _declared_folder(card, split, root) is not None
    return card.source.kind != "parquet" or split == card.evaluate


def _folders(card: Card, root: Path) -> dict[str, Path]:
    """The folder of each split that is there, by our name."""
    found = {split: _declared_folder(card, split, root) for split in card.splits}
    return {split: folder for split, folder in found.items() if folder is not None}


def _declared_folder(card: Card, split: str, root: Path) -> Path | None:
    """The folder of a split; the whole folder for the evaluated one where it is not divided into splits."""
    declared = card.splits[split]
    if declared and (root / declared).is_dir():
        return root / declared
    if split != card.evaluate or split_folders(root):
        return None
    return root


def _split_folder(card: Card, split: str, root: Path) -> Path:
    _require_folder(root)
    folder = _declared_folder(card, split, root)
    if folder is None:
        names = ", ".join(split_folders(root)) or "none"
        raise DatasetError("unknown-split", f"{root} has no folder {card.splits[split]}/ for the split {split!r}", f"its split folders are: {names}")
    return folder


def _local_files(card: Card, split: str, data_dir: Path) -> str | Path | None:
    """Where a local copy has a split: a pattern of Parquet files, or a folder of class folders."""
    names = dict.fromkeys((card.splits[split], split, *NAMES.get(kind_of(card.splits[split]), ()), *NAMES.get(kind_of(split), ())))
    for name in names:
        for pattern in (f"{name}-*.parquet", f"{name}.parquet", f"*/{name}-*.parquet", f"data/{name}-*.parquet"):
            if any(data_dir.glob(pattern)):
                return str(Path(glob.escape(str(data_dir))) / pattern)
        if (data_dir / name).is_dir():
            return data_dir / name
    folders = split_folders(data_dir)
    return next((folder for name, folder in folders.items() if kind_of(name) in (kind_of(split), kind_of(card.splits[split]))), None)


def _local_copy(card: Card, split: str, data_dir: Path) -> OpenedTable:
    if not data_dir.is_dir():
        raise DatasetError("no-data-dir", f"{data_dir} is no folder", "give the folder that holds the data set's Parquet files or class folders")
    found = _local_files(card, split, data_dir)
    if found is None:
        name = card.splits[split]
        raise DatasetError(
            "no-local-split",
            f"{data_dir} holds neither {name}-*.parquet nor a folder {name}/",
            f"put the {split} split of {card.name} there, or leave out --data-dir",
        )
    if isinstance(found, str):
        return _parquet(found, card)
    others = {other: folder for other in card.splits if isinstance(folder := _local_files(card, other, data_dir), Path)}
    return _folder(found, data_dir, others)


def _parquet(pattern: str, card: Card) -> OpenedTable:
    pattern = str(Path(pattern).expanduser())
    if Path(pattern).is_dir():
        pattern = str(Path(glob.escape(pattern)) / "*.parquet")
    files = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - the user's own pattern, absolute or not
    if not files:
        raise DatasetError("no-files", f"no file matches {pattern}", "check the path; quote the pattern so that the shell leaves it alone")
    what = f"the Parquet files of {card.name}"
    # The library knows files by path and time alone: their content in the name keeps another file's rows from being served.
    content = require_parquet([Path(name) for name in files], what)
    wanted = [column for column in content.columns if column in {card.image, card.label, *card.groups, "id"}]
    missing = [column for column in (card.image, card.label, *card.groups) if column not in content.columns]
    columns = {} if missing else {"columns": wanted}
    rows = _load(what, path="parquet", name=f"content-{content.digest}", data_files=files, split="train", **columns)
    return OpenedTable(rows, tuple(dict.fromkeys(Path(name).resolve().parent for name in files)))


def _folder(folder: Path, root: Path, splits: Mapping[str, Path]) -> OpenedTable:
    _require_folder(folder)
    classes = list_classes(folder)
    if not classes:
        raise DatasetError("no-classes", f"{folder} has no sub-folders", "put the images of each class into a sub-folder named after it")
    # A class may have no image in one of the splits: all of them together tell which classes there are.
    every = in_order(list({name for other in (folder, *splits.values()) for name in list_classes(other)}))
    listing = list_images(folder, root, every)
    divided = [other.name for other in (folder, *splits.values()) if other != root]
    return OpenedTable(FolderTable(listing), (), listing, beside(root, divided) if divided else 0)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise DatasetError("no-folder", f"{folder} is no folder", "give a folder with one sub-folder of images a class")


def _caches() -> tuple[Path, ...]:
    import huggingface_hub as hub

    import datasets

    return Path(datasets.config.HF_DATASETS_CACHE).resolve(), Path(hub.constants.HF_HUB_CACHE).resolve()


def _require_answer(repository: str, what: str) -> None:
    """Ask the hub once where nothing is cached: left to itself the library asks six times over half a minute, and warns each time.

    Raises:
        DatasetError: The hub does not answer.
    """
    import huggingface_hub as hub
    from huggingface_hub import errors

    import datasets

    names = repository.replace("/", "___"), f"datasets--{repository.replace('/', '--')}"
    kept = Path(datasets.config.HF_DATASETS_CACHE) / names[0], Path(hub.constants.HF_HUB_CACHE) / names[1] / "snapshots"
    if any(folder.exists() for folder in kept):
        return
    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, "README.md", repo_type="dataset"))
    except errors.HfHubHTTPError:  # an answer; what it says, the loader puts into words
        return
    except Exception as error:  # the HTTP library below raises its own kinds, which change with its versions
        raise _explained(what, error) from error


def _load(what: str, **arguments: Any) -> Any:
    from datasets.utils.logging import disable_progress_bar, set_verbosity_error

    from datasets import Image, load_dataset

    set_verbosity_error()
    disable_progress_bar()
    try:
        table = load_dataset(**arguments)
    except Exception as error:  # the library's loaders raise anything from OSError to pyarrow's own errors
        raise _explained(what, error) from error
    for column, feature in (table.features or {}).items():
        if isinstance(feature, Image):
            table = table.cast_column(column, Image(decode=False))
    return table


_OFFLINE = ("couldn't reach", "connection", "offline", "resolve", "cannot find the requested files", "max retries", "404", "timed out", "proxy")
_CLIENTS = ("httpx", "httpcore", "requests", "huggingface_hub")


def _explained(what: str, error: Exception) -> DatasetError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if "no data" in reason:
        return DatasetError("empty-split", f"{what} hold no example", "check the files they were made from")
    client = type(error).__module__.startswith(_CLIENTS)
    if client or isinstance(error, ConnectionError) or any(word in reason.lower() for word in _OFFLINE):
        hint = "check the connection and the licence terms, or give a local copy with --data-dir"
        return DatasetError("hub-unreachable", f"{what} can't be reached: {reason}", hint)
    return DatasetError("unreadable-dataset", f"{what} can't be read: {reason}", "see docs/datasets.md for the layouts that are read")
