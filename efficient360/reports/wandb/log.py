"""A report as one Weights & Biases run: written to disk first, then uploaded with ``wandb sync``.

Because every run is written locally before it is uploaded, an online run is never less complete than an offline one, and an unreachable server costs a
message, not an evaluation. All of W&B's own code runs in child processes: it keeps global state, starts a background service and finishes files late.
"""

import json
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, final

from efficient360.core import processes
from efficient360.core.parsing import parse_json
from efficient360.errors import SettingsError
from efficient360.reports.report import Report
from efficient360.reports.wandb.payload import run_payload

WRITE_SECONDS: Final = 120.0
UPLOAD_SECONDS: Final = 120.0
PROBE_SECONDS: Final = 5.0
FORBIDDEN: Final = frozenset("\\#?%:")


class WandbMode(StrEnum):
    """What to do with a report."""

    ONLINE = "online"
    """Write it locally, then upload it."""
    OFFLINE = "offline"
    """Write it locally; ``wandb sync`` uploads it later."""
    DISABLED = "disabled"
    """Do nothing."""


def mode_of(given: str | None) -> WandbMode:
    """The mode asked for: what was given, else what ``WANDB_MODE`` says, as in W&B's own programs.

    Raises:
        SettingsError: Neither is a mode.
    """
    name = given or os.environ.get("WANDB_MODE") or WandbMode.ONLINE.value
    known = {mode.value: mode for mode in WandbMode} | {"dryrun": WandbMode.OFFLINE, "run": WandbMode.ONLINE, "shared": WandbMode.ONLINE}
    if name not in known:
        raise SettingsError("wandb-mode", f"the W&B mode is {name!r}", f"give --wandb-mode, or WANDB_MODE, one of: {', '.join(WandbMode)}")
    return known[name]


@final
@dataclass(frozen=True)
class WandbProject:
    """Where runs go: a project, and the entity (user or team) that owns it; ``""`` is the user's default entity."""

    name: str
    entity: str = ""


@final
@dataclass(frozen=True)
class WandbOutcome:
    """How logging ended.

    Args:
        url: Page of the uploaded run, ``""`` when it was not uploaded.
        folder: The local run, ``None`` when none was written.
        problem: What went wrong and what to do next, as one line; ``""`` on success.
    """

    url: str = ""
    folder: Path | None = None
    problem: str = ""

    @property
    def command(self) -> str:
        """The command that uploads the local run later; ``""`` when none was written."""
        return "" if self.folder is None else f"wandb sync {shlex.quote(str(self.folder))}"


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


def parse_project(text: str) -> WandbProject:
    """The project named ``PROJECT`` or ``ENTITY/PROJECT``.

    Raises:
        SettingsError: W&B accepts no such name.
    """
    entity, _, name = text.rpartition("/")
    if not name or "/" in entity or FORBIDDEN & set(text) or len(name) > 128:
        raise SettingsError(
            "wandb-project", f"{text!r} is not a valid W&B project", "give PROJECT or ENTITY/PROJECT: at most 128 characters, none of \\ # ? % :"
        )
    return WandbProject(name, entity)


def log(report: Report, folder: Path, project: str, mode: WandbMode) -> WandbOutcome:
    """Log a report as one new W&B run, below ``folder/wandb``.

    Never raises for anything W&B does: errors of its library or server become the outcome's ``problem``.

    Args:
        report: What to log.
        folder: The evaluation's folder, with ``report.json`` and its siblings.
        project: ``PROJECT`` or ``ENTITY/PROJECT``.
        mode: Whether to write and whether to upload.

    Raises:
        SettingsError: ``project`` is not a valid name; call :func:`parse_project` before an evaluation rather than after it.
    """
    destination = parse_project(project)
    if mode is WandbMode.DISABLED:
        return WandbOutcome()
    payload = json.dumps(run_payload(report, folder, destination.name, destination.entity), default=str)
    # W&B's staged copies belong beside the run that needs them, not in the user's home.
    staging = {"WANDB_DATA_DIR": str(folder.resolve() / "wandb")}
    response = _response(run_module(["efficient360.reports.wandb.offline_run"], folder, WRITE_SECONDS, staging, payload))
    if "problem" in response:
        return WandbOutcome(problem=f"the run could not be written ({response['problem']}); the evaluation itself is complete in {folder}")
    local, server = Path(response["folder"]), response["server"]
    written = WandbOutcome(folder=local)
    if mode is WandbMode.OFFLINE:
        return written
    upload = sync(local, server)
    if not upload.problem:
        return replace(written, url=upload.url)
    first = "run `wandb login`, then " if "API key" in upload.problem else ""
    return replace(written, problem=f"{upload.problem}; the run is kept on this machine, {first}upload it with: {written.command}")


def sync(run_folder: Path, server: str, seconds: float = UPLOAD_SECONDS) -> Upload:
    """Upload a local run with ``wandb sync``, waiting at most ``seconds``.

    Args:
        run_folder: The run's own folder, ``…/wandb/offline-run-…``.
        server: Base address of the W&B server.
        seconds: Time limit.
    """
    problem = unreachable(server)
    if problem:
        return Upload("", problem)
    output = run_module(["wandb", "sync", str(run_folder)], run_folder, seconds, {"WANDB_BASE_URL": server, "WANDB_SILENT": "false"})
    if output is None:
        return Upload("", f"the upload to {server} was not done within {seconds:.0f} s")
    if not any(run_folder.glob("*.wandb.synced")):
        return Upload("", _upload_problem(output, server))
    address = re.search(r"https?://\S+/runs/\S+", output)
    return Upload(address.group() if address else server, "")


def unreachable(server: str) -> str:
    """Why nothing answers at ``server``, or ``""``: any answer will do, even a refusal. Proxies of the environment are used."""
    try:
        with urllib.request.urlopen(server, timeout=PROBE_SECONDS):
            return ""
    except urllib.error.HTTPError:
        return ""
    except urllib.error.URLError as error:
        # W&B may trust a certificate that Python's own list lacks.
        return "" if isinstance(error.reason, ssl.SSLError) else f"{server} can't be reached ({error.reason})"
    except (OSError, ValueError) as error:
        return f"{server} can't be reached ({error})"


def run_module(module: Sequence[str], folder: Path, seconds: float, environment: Mapping[str, str], text: str = "") -> str | None:
    """Run ``python -P -m MODULE`` for at most ``seconds``, without a terminal to prompt on.

    Args:
        module: Name of the module and its arguments. Nothing is ever imported from the current folder.
        folder: Current folder of the process.
        seconds: Time limit; then it and every process it started are killed.
        environment: Variables to add to this process's environment.
        text: Standard input.

    Returns:
        Standard output and error together; ``None`` if it was killed.
    """
    # WANDB_MODE is settled already; its own programs would look at it once more.
    inherited = {key: value for key, value in processes.environment(environment).items() if key != "WANDB_MODE"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        cwd=folder,
        env=inherited,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(text, timeout=seconds)
    except subprocess.TimeoutExpired:
        # W&B's background service belongs to the same group and would hold the pipe open.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    return output


def _response(output: str | None) -> dict[str, str]:
    """The writing process's response; its last line where it died without one."""
    if output is None:
        return {"problem": f"W&B did not finish within {WRITE_SECONDS:.0f} s"}
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "W&B printed nothing")
    try:
        response = parse_json(last)
    except ValueError:
        return {"problem": last}
    told = isinstance(response, dict) and all(isinstance(value, str) for value in response.values()) and ("problem" in response or "folder" in response)
    return response if told else {"problem": last}


def _upload_problem(output: str, server: str) -> str:
    if "No API key" in output:
        return f"no API key for {server} is configured"
    lines = [line.strip() for line in output.splitlines() if re.search(r"error", line, re.IGNORECASE) and "detailed error logs" not in line]
    return f"the upload to {server} failed" + (f" ({lines[-1][:300]})" if lines else "")
