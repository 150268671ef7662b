"""Uploading a finished offline run: whatever happens to the upload, the caller goes on in bounded time."""

import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from efficient360.reports.wandb_process import bounded

PROBE_SECONDS: Final = 5.0
UPLOAD_SECONDS: Final = 120.0


@final
@dataclass(frozen=True)
class Upload:
    """How an upload ended.

    Args:
        url: Page of the uploaded run, ``""`` unless all of it arrived.
        problem: Why it did not, as one sentence; ``""`` when it did.
    """

    url: str
    problem: str


def upload(run_folder: Path, server: str, seconds: float = UPLOAD_SECONDS) -> Upload:
    """Hand a local run to ``wandb sync`` and wait for at most ``seconds``.

    Args:
        run_folder: The run's own folder, ``…/wandb/offline-run-…``.
        server: Base address of the W&B server.
        seconds: When to give up.
    """
    problem = unreachable(server)
    if problem:
        return Upload("", problem)
    said = bounded(["wandb", "sync", str(run_folder)], run_folder, seconds, {"WANDB_BASE_URL": server, "WANDB_SILENT": "false"})
    if said is None:
        return Upload("", f"the upload to {server} was not done within {seconds:.0f} s")
    if not any(run_folder.glob("*.wandb.synced")):
        return Upload("", _reason(said, server))
    address = re.search(r"https?://\S+/runs/\S+", said)
    return Upload(address.group() if address else server, "")


def unreachable(server: str) -> str:
    """Why nothing answers at ``server``, or ``""``: any answer will do, even a refusal. Proxies of the environment are used."""
    try:
        with urllib.request.urlopen(server, timeout=PROBE_SECONDS):
            return ""
    except urllib.error.HTTPError:
        return ""
    except urllib.error.URLError as error:
        # W&B may be told to trust a certificate that Python's own list lacks.
        return "" if isinstance(error.reason, ssl.SSLError) else f"{server} can't be reached ({error.reason})"
    except (OSError, ValueError) as error:
        return f"{server} can't be reached ({error})"


def _reason(said: str, server: str) -> str:
    if "No API key" in said:
        return f"no API key for {server} is configured"
    lines = [line.strip() for line in said.splitlines() if re.search(r"error", line, re.IGNORECASE) and "detailed error logs" not in line]
    return f"the upload to {server} failed" + (f" ({lines[-1][:300]})" if lines else "")
