"""Files of a repository on the Hugging Face hub, from the local cache or downloaded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.errors import CheckpointError

PREFIXES = ("hf-hub:", "hf_hub:")
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@final
@dataclass(frozen=True)
class Repository:
    """A repository at a revision.

    Args:
        name: ``organisation/name``.
        revision: Branch, tag or commit; ``None`` for the default branch.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


def parse_repository(reference: str) -> Repository:
    """The repository of ``hf-hub:organisation/name`` or ``…@revision``, with or without prefix."""
    bare = next((reference.removeprefix(p) for p in PREFIXES if reference.startswith(p)), reference)
    name, _, revision = bare.partition("@")
    return Repository(name, revision or None)


def fetch_first(repository: Repository, names: Sequence[str]) -> Path | None:
    """The first of several files that the repository has; what is in the local cache goes before what is not.

    Raises:
        CheckpointError: The hub can't be reached and none is cached, or the repository or revision doesn't exist or is closed.
    """
    for name in sorted(names, key=lambda n: not _cached(repository, n)):
        path = fetch(repository, name)
        if path is not None:
            return path
    return None


def fetch(repository: Repository, name: str) -> Path | None:
    """A file of the repository: the newest where the hub answers, else the cached one; ``None`` where it has no such file.

    Raises:
        CheckpointError: As for :func:`fetch_first`.
    """
    import huggingface_hub as hub
    from huggingface_hub import errors

    try:
        if not _cached(repository, name):
            # hf_hub_download asks six times over half a minute when nothing answers; asked once first, the user knows at once.
            hub.get_hf_file_metadata(hub.hf_hub_url(repository.name, name, revision=repository.revision))
        return Path(hub.hf_hub_download(repository.name, name, revision=repository.revision))
    except errors.GatedRepoError as error:
        raise CheckpointError(
            "hub-gated",
            f"the hub's repository {repository} wants its terms accepted first",
            f"accept them at https://huggingface.co/{repository.name} and run hf auth login",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            "hub-repository-not-found", f"the hub has no repository {repository.name}, or it is private", "check the name; for a private one, run hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(
            "hub-revision-not-found", f"the hub's repository {repository.name} has no revision {repository.revision!r}", "name a branch, tag or commit of it"
        ) from error
    except errors.RemoteEntryNotFoundError:
        return None
    except errors.HFValidationError as error:
        raise CheckpointError("hub-name-invalid", f"{repository.name!r} is no name of a hub repository", "write hf-hub:organisation/name") from error
    except Exception as error:  # The HTTP library below raises its own kinds, which change with its versions.
        raise _unreachable(repository, name, error) from error


def fetch_url(url: str, sha256: str) -> Path:
    """A file from its address, out of torch's cache where it is there.

    Args:
        url: Its address.
        sha256: Begin of its SHA-256, in hexadecimal.

    Raises:
        CheckpointError: It can't be downloaded, or isn't the one (``download-failed``).
    """
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256, progress=False)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError("download-failed", f"{url} can't be downloaded ({reason})", "download it elsewhere and give the file with --arch") from error
    return path


def commit_of(path: Path) -> str:
    """The commit a cached file belongs to, read from its path (``…/snapshots/COMMIT/FILE``); ``""`` for other files."""
    parts = path.parts
    if "snapshots" in parts:
        commit = parts[len(parts) - 1 - parts[::-1].index("snapshots") + 1]
        if _COMMIT.fullmatch(commit):
            return commit
    return ""


def _cached(repository: Repository, name: str) -> bool:
    import huggingface_hub as hub

    try:
        cached: Any = hub.try_to_load_from_cache(repository.name, name, revision=repository.revision)
    except ValueError:
        return False
    return isinstance(cached, str)


def _unreachable(repository: Repository, name: str, error: Exception) -> CheckpointError:
    text = str(error).strip()
    reason = text.splitlines()[0][:160] if text else type(error).__name__
    return CheckpointError(
        "hub-unreachable",
        f"the hub can't be reached for {repository}/{name}, and it is not in the local cache ({reason})",
        "check the connection, download it elsewhere and give its path, or use an embedded checkpoint (efficient360 list checkpoints)",
    )
