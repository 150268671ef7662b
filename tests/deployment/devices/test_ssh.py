"""A real sshd on loopback with keys of its own, and the real client."""

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices import ssh, ssh_client
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.device import DeviceReading, Job, Schedule
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes import catalogue
from efficient360.errors import DeviceError, SettingsError

SSHD = shutil.which("sshd") or next((path for path in ("/usr/sbin/sshd", "/usr/local/sbin/sshd") if Path(path).exists()), "")
SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxSessions 20
"""
CLIENT = """
Host *
  IdentityFile {folder}/{key}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/{known}
  GlobalKnownHostsFile /dev/null
"""


@dataclass(frozen=True)
class Server:
    folder: Path
    port: int

    def config(self, key: str = "user_key", known: str = "known_hosts") -> Path:
        path = self.folder / f"config-{key}-{known}"
        path.write_text(CLIENT.format(folder=self.folder, key=key, known=known))
        return path

    def address(self, python: str = sys.executable, config: Path | None = None, folder: Path | None = None) -> str:
        where = f"&folder={folder}" if folder else ""
        return f"ssh://127.0.0.1:{self.port}?python={python}&config={config or self.config()}{where}"


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not SSHD or shutil.which("ssh") is None:
        pytest.skip("no OpenSSH server and client here (apt install openssh-server)")
    folder = tmp_path_factory.mktemp("sshd")
    made = Server(folder, _free_port())
    host = _key(folder / "host_key")
    (folder / "authorized_keys").write_text(_key(folder / "user_key"))
    _key(folder / "stranger_key")
    other = _key(folder / "other_host_key")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{made.port} {host}")
    (folder / "none_known").write_text("")
    (folder / "another_known").write_text(f"[127.0.0.1]:{made.port} {other}")
    (folder / "sshd_config").write_text(SERVER.format(port=made.port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it when root starts it
    said = (folder / "said").open("wb")
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=said)
    _await_port(made.port, process, folder / "said")
    yield made
    process.terminate()
    process.wait()
    said.close()


def _await_port(port: int, process: "subprocess.Popen[bytes]", said: Path) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with closing(socket.socket()) as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.skip(f"sshd does not start here: {said.read_text()[-300:]}")


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The folder in which the host makes its temporary ones."""
    path = tmp_path / "there"
    path.mkdir()
    return path


def read(address: str, jobs: list[Job], probes: Path, schedule: Schedule) -> list[DeviceReading | Failure]:
    return [outcome for _, outcome in device_from_address(address).measure(jobs, probes, schedule, lambda done, total: None)]


def test_it_is_described(server: Server) -> None:
    facts = device_from_address(server.address()).describe()
    assert facts.name == server.address()
    assert facts.cores == len(os.sched_getaffinity(0))
    assert facts.emulated == ""
    assert "torch" in facts.runtimes


@pytest.mark.slow
def test_readings_come_back_and_nothing_is_left_there(server: Server, there: Path, little: Callable[..., Job], probes: Path, short: Schedule) -> None:
    jobs = [little("one", threads=1), little("two", raises="no such kernel"), little("three", dies="SIGSEGV"), little("four", dies="SIGKILL")]
    good, raised, crashed, killed = read(server.address(folder=there), jobs, probes, short)
    assert isinstance(good, DeviceReading)
    assert len(good.blocks) == 2
    assert good.logits is not None
    np.testing.assert_allclose(good.logits, np.load(probes).sum((2, 3)), rtol=1e-5)
    assert isinstance(raised, Failure)
    assert raised.code == "runtime-error"
    assert "no such kernel" in raised.message
    assert isinstance(crashed, Failure)
    assert (crashed.code, "SIGSEGV" in crashed.message) == ("worker-crashed", True)
    assert isinstance(killed, Failure)
    assert (killed.code, "was killed in loading the model on 127.0.0.1" in killed.message) == ("worker-killed", True)
    assert list(there.iterdir()) == []


def test_operators_come_back(server: Server, little: Callable[..., Job], probes: Path) -> None:
    rows = device_from_address(server.address()).operators(little().artefact, probes, 1, 60.0)
    assert isinstance(rows, list)
    assert rows[0]["name"] == "cpus"


@pytest.mark.slow
def test_a_busy_worker_ends_with_its_link(server: Server, there: Path) -> None:
    with ssh.ssh_workspace(ssh_client.read(server.address(folder=there))) as place:
        link = place.start()
        link.ask("describe", 60.0)
        with pytest.raises(WorkerFailed) as error:
            link.ask("idle", 0.5, seconds=600)
        link.close()
        assert error.value.code == "worker-hung"
        _await_no_worker(there)


def _await_no_worker(folder: Path) -> None:
    """Until no process works in a folder any more; the test's time limit is what it fails by."""
    while any((process.info["cwd"] or "").startswith(str(folder)) for process in psutil.process_iter(["cwd"])):
        time.sleep(0.05)


@pytest.mark.timeout(60)
def test_an_interrupted_measurement_leaves_nothing(server: Server, there: Path, little: Callable[..., Job], probes: Path, short: Schedule) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(device_from_address(server.address(folder=there)).measure([little("a"), little("b")], probes, short, interrupt))
    assert list(there.iterdir()) == []
    _await_no_worker(there)


def test_a_lost_connection_is_told(server: Server, there: Path) -> None:
    with ssh.ssh_workspace(ssh_client.read(server.address(folder=there))) as place, closing(place.start()) as link:
        link.ask("describe", 60.0)
        subprocess.run(place.client.command([], "-O", "exit"), check=True, capture_output=True)
        with pytest.raises(WorkerFailed) as error:
            link.ask("describe", 60.0)
    assert error.value.code == "connection-lost"
    assert "the connection to 127.0.0.1 was lost in describing the machine" in error.value.message


@pytest.mark.slow
def test_a_runtime_that_the_host_lacks_fails_before_anything_is_loaded(
    server: Server, little: Callable[..., Job], probes: Path, short: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = dataclasses.replace(device_from_address(server.address()).describe(), runtimes={})
    monkeypatch.setattr(ssh, "facts", lambda name, place: bare)
    job = little()
    lacking = Job(dataclasses.replace(job.artefact, runtime="torch"))
    failed, good = read(server.address(), [lacking, job], probes, short)
    assert isinstance(failed, Failure)
    assert (failed.status, failed.code) == (Status.UNSUPPORTED, "runtime-not-on-device")
    assert failed.message == f"{catalogue.runtime('torch').title} is not installed for {sys.executable} on 127.0.0.1"
    assert "-m pip install torch" in failed.hint
    assert isinstance(good, DeviceReading)


def _refused(address: str) -> DeviceError:
    with pytest.raises(DeviceError) as error:
        device_from_address(address).describe()
    assert error.value.hint
    return error.value


def test_an_unknown_host_is_not_trusted(server: Server) -> None:
    error = _refused(server.address(config=server.config(known="none_known")))
    assert error.code == "unknown-host-key"
    assert f"-p {server.port} 127.0.0.1" in error.hint
    assert server.folder.joinpath("none_known").read_text() == ""


def test_a_changed_host_key_is_refused(server: Server) -> None:
    assert _refused(server.address(config=server.config(known="another_known"))).code == "host-key-changed"


def test_a_stranger_is_refused(server: Server) -> None:
    error = _refused(server.address(config=server.config(key="stranger_key")))
    assert error.code == "permission-denied"
    assert "ssh-copy-id" in error.hint


def test_nothing_listens(server: Server) -> None:
    assert _refused(f"ssh://127.0.0.1:{_free_port()}?config={server.config()}").code == "connection-refused"


def test_no_such_host(server: Server) -> None:
    error = _refused(f"ssh://no-such-host.invalid?config={server.config()}")
    assert error.code == "host-not-found"
    assert error.message.startswith("no-such-host.invalid can't be reached")


def test_no_python_there(server: Server) -> None:
    error = _refused(server.address(python="/no/such/python"))
    assert (error.code, error.message) == ("no-python", "there is no /no/such/python on 127.0.0.1")
    assert "?python=" in error.hint


def test_a_python_that_can_not_start(server: Server) -> None:
    assert _refused(server.address(python="/bin/false")).code == "no-python"


@pytest.mark.parametrize(("version", "numpy", "code"), [((3, 8, 2), True, "old-python"), ((3, 11, 2), False, "no-numpy")])
def test_a_python_that_will_not_do(server: Server, tmp_path: Path, version: tuple[int, ...], numpy: bool, code: str) -> None:
    """An interpreter that believes itself to be another."""
    sitting = "" if numpy else "import importlib.util; importlib.util.find_spec = lambda name: None; "
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nshift\nprogram="$1"\nshift\nexec {sys.executable} -c "import sys; sys.version_info = {version}; {sitting}$program" "$@"\n')
    wrapper.chmod(0o755)
    error = _refused(server.address(python=str(wrapper)))
    assert error.code == code
    assert str(wrapper) in error.message


def test_no_such_folder_there(server: Server) -> None:
    assert _refused(server.address(folder=Path("/no/such/folder"))).code == "no-folder"


def test_a_talkative_shell_is_told(server: Server, tmp_path: Path) -> None:
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\necho Welcome to the lab\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    error = _refused(server.address(python=str(wrapper)))
    assert error.code == "talkative-shell"
    assert "Welcome to the lab" in error.message


def test_no_client_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert _refused("ssh://127.0.0.1").code == "no-ssh-client"


@pytest.mark.parametrize(
    ("text", "destination", "port", "python"),
    [
        ("ssh://pi@raspberry", "pi@raspberry", "", "python3"),
        ("ssh://raspberry:2222", "raspberry", "2222", "python3"),
        ("ssh://[::1]:22?python=/opt/my%20env/bin/python", "::1", "22", "/opt/my env/bin/python"),
        ("ssh://Lab-Host/", "Lab-Host", "", "python3"),
    ],
)
def test_addresses(text: str, destination: str, port: str, python: str) -> None:
    found = ssh_client.read(text)
    assert (found.destination, found.port, found.python) == (destination, port, python)


@pytest.mark.parametrize("text", ["ssh://", "ssh:host", "ssh://-oProxyCommand=x", "ssh://host:x", "ssh://host?pyton=3", "ssh://host?python=", "ssh://a b"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(SettingsError) as error:
        device_from_address(text)
    assert error.value.code == "bad-ssh-address"
    assert ssh_client.FORM in error.value.hint


def test_how_a_worker_there_ended() -> None:
    place = ssh.SshWorkspace(ssh_client.SshClient(ssh_client.read("ssh://pi"), Path("none")), "folder")
    ended = {code: place._explain(code, "timing", ": last words") for code in (255, 137, 128 + signal.SIGABRT, 1)}
    assert ended[1] is None
    assert [ended[code].code for code in (255, 137, 134)] == ["connection-lost", "worker-killed", "worker-crashed"]
    assert ended[134].message == "the worker was ended by SIGABRT in timing on pi: last words"
