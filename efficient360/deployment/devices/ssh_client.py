"""The OpenSSH client: one connection that all commands to a host share, and its errors in plain words."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import final
from urllib.parse import parse_qsl

from efficient360.errors import DeviceError, SettingsError

FORM = "ssh://[user@]host[:port][?python=PATH&folder=DIR&config=FILE]"
OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "LogLevel=ERROR",
    "RemoteCommand=none",
    "RequestTTY=no",
    "ForwardX11=no",
    "ForwardAgent=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
)
"""No questions, only known hosts, and nothing of the user's settings that has a session of its own in mind."""
CONNECTION_FAILED = 255
LONGEST_CONNECT = 60.0


@final
@dataclass(frozen=True)
class SshAddress:
    """A host as typed.

    Args:
        text: The whole of it.
        destination: ``[user@]host``, an alias of the user's SSH settings included.
        port: As typed, ``""`` leaves it to those settings.
        python: Interpreter there.
        folder: Where the temporary folder is made there, ``""`` takes the host's usual place.
        config: The client's settings file in place of the user's.
    """

    text: str
    destination: str
    port: str = ""
    python: str = "python3"
    folder: str = ""
    config: str = ""


def read(text: str) -> SshAddress:
    """The address of a text as ``ssh://pi@raspberry:2222?python=/opt/venv/bin/python``.

    Raises:
        SettingsError: ``bad-ssh-address``.
    """
    match = re.fullmatch(r"ssh://(?P<destination>(?:[^@/?\s]+@)?(?:\[[^\]\s]+\]|[^@:/?\[\]\s-][^@:/?\s]*))(?::(?P<port>\d+))?/?(?:\?(?P<query>.*))?", text)
    options = dict(parse_qsl(match["query"] or "", keep_blank_values=True)) if match else {}
    unknown = set(options) - {"python", "folder", "config"}
    if match is None or unknown or not all(options.values()):
        what = f"has no option {sorted(unknown)[0]!r}" if unknown else "is no SSH address"
        raise SettingsError("bad-ssh-address", f"{text!r} {what}", f"write {FORM}")
    return SshAddress(text, match["destination"].replace("[", "").replace("]", ""), match["port"] or "", **options)


@final
@dataclass(frozen=True)
class SshClient:
    """An open connection.

    Args:
        address: The host.
        control: Socket through which commands share the connection.
    """

    address: SshAddress
    control: Path

    def command(self, remote: Sequence[str], *flags: str) -> list[str]:
        """What to run here to have a shell command run there."""
        where = self.address
        own = [*(("-F", where.config) if where.config else ()), *(("-p", where.port) if where.port else ()), "-S", str(self.control)]
        return ["ssh", *own, *(part for option in OPTIONS for part in ("-o", option)), *flags, "--", where.destination, *remote]

    def run(self, remote: str, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """Run a shell command there with some input.

        Raises:
            DeviceError: The connection was lost.
        """
        done = subprocess.run(self.command([remote]), input=data, capture_output=True, check=False, env=english())
        if done.returncode == CONNECTION_FAILED:
            raise failure(self.address, done.stderr.decode(errors="replace"))
        return done


@contextmanager
def connected(address: SshAddress) -> Iterator[SshClient]:
    """Connect to a host, for a while.

    Raises:
        DeviceError: There is no client, or no connection; the message says why.
    """
    if shutil.which("ssh") is None:
        raise DeviceError("no-ssh-client", "there is no ssh client on this machine", "install OpenSSH's: apt install openssh-client, or your system's package")
    # Sockets want short paths.
    with TemporaryDirectory(prefix="e360-") as folder:
        client = SshClient(address, Path(folder) / "s")
        with TemporaryFile() as errors:
            try:
                # Not through pipes: the connection stays in the background and would keep them open.
                code = subprocess.run(
                    client.command([], "-M", "-N", "-f"),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    check=False,
                    env=english(),
                    timeout=LONGEST_CONNECT,
                ).returncode
            except subprocess.TimeoutExpired:
                code = CONNECTION_FAILED
                errors.write(b"connection timed out")
            errors.seek(0)
            if code:
                raise failure(address, errors.read().decode(errors="replace"))
        try:
            yield client
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(client.command([], "-O", "exit"), capture_output=True, check=False, timeout=LONGEST_CONNECT)


def english() -> dict[str, str]:
    """Our environment with messages in English, by which errors are told apart."""
    return {**os.environ, "LC_ALL": "C"}


def failure(address: SshAddress, output: str) -> DeviceError:
    """What the client said, as an error of ours."""
    by_hand = "ssh " + (f"-F {address.config} " if address.config else "") + (f"-p {address.port} " if address.port else "") + address.destination
    for pattern, code, what, hint in _KNOWN:
        if re.search(pattern, output, re.IGNORECASE):
            return DeviceError(code, f"{address.destination} can't be reached: {what}", hint.format(by_hand=by_hand))
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return DeviceError("ssh-failed", f"{address.destination} can't be reached: {lines[-1] if lines else 'ssh gave no reason'}", f"try by hand: {by_hand} true")


_KNOWN = (
    (
        "identification has changed",
        "host-key-changed",
        "its host key is not the one known here",
        "find out why before you go on (a new system, or someone in between), then remove the old key with ssh-keygen -R",
    ),
    (
        "host key is known|host key verification failed",
        "unknown-host-key",
        "its host key is not known here",
        "connect once by hand and check the fingerprint: {by_hand}",
    ),
    (
        "permission denied|too many authentication",
        "permission-denied",
        "it refused the login",
        "passwords are not asked for: set up a key (ssh-copy-id) or load it into ssh-agent, until this works: {by_hand} true",
    ),
    ("could not resolve", "host-not-found", "there is no host of that name", "check the name, or give its IP address"),
    ("connection refused", "connection-refused", "nothing listens for SSH there", "start sshd there, or give its port: ssh://host:PORT"),
    (
        "timed out|no route to host|network is unreachable|connection closed|connection reset",
        "host-unreachable",
        "no answer",
        "check that it is switched on and in the same network",
    ),
    (
        "bad configuration|can't open user config|bad owner or permissions",
        "bad-ssh-settings",
        "the client's settings can't be read",
        "try by hand: {by_hand} true",
    ),
)
