"""The Hugging Face hub through the ``datasets`` library: asked once, rows undecoded, errors in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from efficient360.errors import DatasetError


@final
@dataclass(frozen=True)
class Repository:
    """A data set on the hub: ``org/name``, ``org/name:config``, ``org/name@revision`` or both.

    Args:
        name: ``org/name``.
        config: Its configuration, ``None`` for the only one.
        revision: Branch, tag or commit.
    """

    name: str
    config: str | None = None
    revision: str = "main"


def repository(reference: str) -> Repository:
    """A repository as it is typed."""
    rest, _, revision = reference.partition("@")
    name, _, config = rest.partition(":")
    return Repository(name.strip("/"), config or None, revision or "main")


def hub_splits(source: Repository) -> list[str]:
    """Names of a repository's splits.

    Raises:
        DatasetError: The hub does not answer, has no such data set, or it has several configurations and none is named (``hub-config``).
    """
    from datasets.utils.logging import disable_progress_bar, set_verbosity_error

    from datasets import get_dataset_config_names, get_dataset_split_names

    what = f"{source.name} on the hub"
    require_answer(source.name, what)
    set_verbosity_error()
    disable_progress_bar()
    try:
        configs = get_dataset_config_names(source.name, revision=source.revision)
        if source.config is None and len(configs) > 1 and "default" not in configs:
            hint = f"name one: hub:{source.name}:{configs[0]}"
            raise DatasetError("hub-config", f"{what} has the configurations {', '.join(configs[:20])}", hint)
        return list(get_dataset_split_names(source.name, source.config, revision=source.revision))
    except DatasetError:
        raise
    except Exception as error:  # the library's loaders raise anything from OSError to pyarrow's own errors
        raise explained(what, error) from error


@final
@dataclass(frozen=True)
class RepositorySummary:
    """What the hub says of a data set without its files.

    Args:
        splits: Number of examples by split.
        columns: Names of its columns.
        classes: Names of the classes of each column of labels.
    """

    splits: Mapping[str, int]
    columns: Sequence[str]
    classes: Mapping[str, Sequence[str]]


def repository_summary(name: str, config: str | None, revision: str) -> RepositorySummary:
    """What the hub says of a data set; no example is downloaded.

    Raises:
        DatasetError: It can't be had.
    """
    from datasets import load_dataset_builder

    what = f"{name} on the hub"
    require_answer(name, what)
    try:
        info = load_dataset_builder(name, config, revision=revision).info
    except Exception as error:  # the library's loaders raise anything from OSError to pyarrow's own errors
        raise explained(what, error) from error
    features = info.features or {}
    classes = {column: list(names) for column, feature in features.items() if (names := getattr(feature, "names", None))}
    return RepositorySummary({split: part.num_examples for split, part in (info.splits or {}).items()}, list(features), classes)


def caches() -> tuple[Path, ...]:
    """Folders that hold what was downloaded."""
    import huggingface_hub as hub

    import datasets

    return Path(datasets.config.HF_DATASETS_CACHE).resolve(), Path(hub.constants.HF_HUB_CACHE).resolve()


def require_answer(repository: str, what: str) -> None:
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
        raise explained(what, error) from error


def load(what: str, **arguments: Any) -> Any:
    """A split through the library's ``load_dataset``, its images left encoded.

    Raises:
        DatasetError: It can't be had.
    """
    from datasets.utils.logging import disable_progress_bar, set_verbosity_error

    from datasets import load_dataset

    set_verbosity_error()
    disable_progress_bar()
    try:
        table = load_dataset(**arguments)
    except Exception as error:  # the library's loaders raise anything from OSError to pyarrow's own errors
        raise explained(what, error) from error
    return undecoded(table)


def undecoded(table: Any) -> Any:
    """A table of the library whose images stay encoded."""
    from datasets import Image

    for column, feature in (table.features or {}).items():
        if isinstance(feature, Image):
            table = table.cast_column(column, Image(decode=False))
    return table


_OFFLINE: Final[Sequence[str]] = (
    "couldn't reach",
    "connection",
    "offline",
    "resolve",
    "cannot find the requested files",
    "max retries",
    "404",
    "timed out",
    "proxy",
)
_CLIENTS: Final = ("httpx", "httpcore", "requests", "huggingface_hub")


def explained(what: str, error: Exception) -> DatasetError:
    """An error of the library in words."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if "no data" in reason:
        return DatasetError("empty-split", f"{what} hold no example", "check the files they were made from")
    client = type(error).__module__.startswith(_CLIENTS)
    if client or isinstance(error, ConnectionError) or any(word in reason.lower() for word in _OFFLINE):
        hint = "check the connection and the licence terms, or give a local copy with --data-dir"
        return DatasetError("hub-unreachable", f"{what} can't be reached: {reason}", hint)
    return DatasetError("unreadable-dataset", f"{what} can't be read: {reason}", "see docs/datasets.md for the layouts that are read")
