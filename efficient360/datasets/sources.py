"""From a card to a table with its images left encoded. Everything is read through the ``datasets`` library."""

import glob
from pathlib import Path
from typing import Any

from efficient360.datasets.card import Card
from efficient360.datasets.digits import digits
from efficient360.errors import DatasetError

EMBEDDED = {"digits": digits}


def open_table(card: Card, split: str, data_dir: Path | None) -> Any:
    """The rows of one split as a ``datasets.Dataset``, memory-mapped, nothing decoded.

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
        return _local_copy(card, split, source_split, data_dir)
    kind, location = card.source.kind, card.source.location
    if kind == "embedded" and location not in EMBEDDED:
        raise DatasetError("bad-card", f"{card.name} names the embedded data {location!r}, which do not exist", f"known: {', '.join(EMBEDDED)}")
    if kind == "embedded":
        return EMBEDDED[location](source_split)
    if kind == "parquet":
        return _parquet(location, card.name)
    if kind == "imagefolder":
        return _folder(Path(location), source_split)
    what = f"{card.name} on the hub"
    _require_answer(location, what)
    return _load(what, path=location, name=card.source.config, split=source_split, revision=card.source.revision)


def _local_copy(card: Card, split: str, source_split: str, data_dir: Path) -> Any:
    if not data_dir.is_dir():
        raise DatasetError("no-data-dir", f"{data_dir} is no folder", "give the folder that holds the data set's Parquet files or class folders")
    for name in dict.fromkeys((source_split, split)):
        for pattern in (f"{name}-*.parquet", f"{name}.parquet", f"*/{name}-*.parquet", f"data/{name}-*.parquet"):
            if any(data_dir.glob(pattern)):
                return _parquet(str(data_dir / pattern), card.name)
        if (data_dir / name).is_dir():
            return _folder(data_dir / name, "train")
    raise DatasetError(
        "no-local-split",
        f"{data_dir} holds neither {source_split}-*.parquet nor a folder {source_split}/",
        f"put the {split} split of {card.name} there, or leave out --data-dir",
    )


def _parquet(pattern: str, name: str) -> Any:
    files = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - the user's own pattern, absolute or not
    if not files:
        raise DatasetError("no-files", f"no file matches {pattern}", "check the path; quote the pattern so that the shell leaves it alone")
    return _load(f"the Parquet files of {name}", path="parquet", data_files=files, split="train")


def _folder(folder: Path, split: str) -> Any:
    if not folder.is_dir():
        raise DatasetError("no-folder", f"{folder} is no folder", "give a folder with one sub-folder of images a class")
    if not any(child.is_dir() for child in folder.iterdir()):
        raise DatasetError("no-classes", f"{folder} has no sub-folders", "put the images of each class into a sub-folder named after it")
    chosen = folder / split if (folder / split).is_dir() else folder
    return _load(f"the image folder {folder}", path="imagefolder", data_dir=str(chosen), split="train", drop_labels=False)


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
