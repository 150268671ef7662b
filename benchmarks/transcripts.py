"""Two transcripts of real runs: over SSH to an sshd of its own on loopback, and with the real adb client to the small adbd of the tests.

    python benchmarks/transcripts.py WORK_FOLDER

writes ``results/ssh_transcript.md`` and ``results/adb_transcript.md``. The phone is this machine: its ``benchmark_model`` is a stand-in that runs the
pushed artefact in LiteRT's Python runtime and prints as the binary does. Converted models stay in WORK_FOLDER for another call.
"""

import contextlib
import io
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from efficient360.cli.parser import run_command
from efficient360.core.formatting import scaled
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.device import Job, Schedule
from efficient360.deployment.devices.timing import result_of
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.errors import Efficient360Error
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SCHEDULE = Schedule(runs=60, seconds=1.0, blocks=6)
SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
"""
CLIENT = """
Host board
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/user_key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/{known}
  GlobalKnownHostsFile /dev/null
"""
TOOL = """#!{python}
import sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter
given = dict(a.lstrip("-").split("=", 1) for a in sys.argv[1:])
began = time.perf_counter()
model = Interpreter(given["graph"], num_threads=int(given["num_threads"]))
model.allocate_tensors()
init = time.perf_counter() - began
one = model.get_input_details()[0]
model.set_tensor(one["index"], np.random.default_rng(0).random(one["shape"], np.float32))
def timed(count, seconds):
    times, began = [], time.perf_counter()
    while len(times) < count or time.perf_counter() - began < seconds:
        start = time.perf_counter(); model.invoke(); times.append(round(1e6 * (time.perf_counter() - start)))
    first = f"first={{times[0]}} " if len(times) > 1 else ""
    print(f"INFO: count={{len(times)}} {{first}}curr={{times[-1]}} min={{min(times)}} max={{max(times)}} avg={{np.mean(times):g}} std={{np.std(times):.0f}}\\n")
    return times
warm = timed(int(given.get("warmup_runs", 1)), float(given["warmup_min_secs"]))
runs = timed(int(given["num_runs"]), float(given["min_secs"]))
print(f"INFO: Inference timings in us: Init: {{round(1e6 * init)}}, First inference: {{warm[0]}}, Warmup (avg): {{np.mean(warm):g}}, "
      f"Inference (avg): {{np.mean(runs):g}}")
"""


class Transcript:
    """What was typed and what came back."""

    def __init__(self, title: str, words: str) -> None:
        self.text = f"# {title}\n\n{words}\n"

    def say(self, heading: str, body: str) -> None:
        self.text += f"\n## {heading}\n\n```console\n{body.rstrip()}\n```\n"

    def command(self, heading: str, arguments: list[str], devices: int) -> None:
        """Run a command that lists devices, and show the last of them."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            run_command(arguments)
        listed = "\n".join(line.rstrip() for line in said.getvalue().splitlines()).rstrip().split("\n\n")
        self.say(heading, "\n\n".join([f"$ {shlex.join(['efficient360', *arguments])}", *(["…"] if len(listed) > devices else []), *listed[-devices:]]))

    def write(self, name: str, work: Path) -> None:
        hidden = self.text.replace(str(work), "WORK").replace(str(ROOT), "EFFICIENT360")
        (RESULTS / name).write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", hidden), encoding="utf-8")


def artefacts(work: Path) -> tuple[list[Artefact], Path, np.ndarray]:
    checkpoint = resolve(CheckpointSpec("digits-vit"))
    model = load_model(checkpoint, "cpu", None)
    images = np.random.default_rng(0).random((16, *model.size), np.float32)
    np.save(work / "probes.npy", images)
    with torch.no_grad():
        reference = model(torch.from_numpy(images)).numpy()
    source = ModelSource(checkpoint.digest, model.module, model.size, None, work / "artefacts")
    built = [build(source, name, Precision.FP32) for name in ("onnxruntime", "litert", "ncnn")]
    return [one for one in built if isinstance(one, Artefact)], work / "probes.npy", reference


def measured(address: str, found: list[Artefact], images: Path, reference: np.ndarray) -> str:
    lines = []
    try:
        for job, outcome in device_from_address(address).measure([Job(one, 1) for one in found], images, SCHEDULE, lambda done, total: None):
            cell = result_of(job.artefact, outcome, reference)
            if cell.failure is not None:
                lines.append(f"{job.artefact.label}: {cell.failure.status}, {cell.failure.message}\n  → {cell.failure.hint}")
                continue
            assert cell.timing is not None
            t, p = cell.timing, cell.parity
            answers = "no answers handed back" if p is None else f"logits off by {100 * p.relative:.2g} % of their spread, same class {100 * p.agreement:.0f} %"
            interval = f"[{scaled(t.interval.low, 's')}, {scaled(t.interval.high, 's')}]"
            lines.append(f"{job.artefact.label}: p50 {scaled(t.p50, 's')} {interval}, {t.runs} runs, {answers}")
            lines += [f"  {finding.message}" for finding in t.findings]
            if cell.reading is not None and cell.reading.facts:
                lines += [f"  {key}: {value}" for key, value in cell.reading.facts.items()]
    except Efficient360Error as error:
        lines.append(f"{error.code}: {error.message}\n  → {error.hint}")
    return "\n".join(lines)


def bare_python(work: Path) -> Path:
    """An interpreter that finds nothing but the standard library."""
    path = work / "bare_python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def sshd(work: Path) -> Iterator[None]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("host_key", "user_key"):
        if not (work / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "board", "-f", str(work / name)], check=True)
    (work / "authorized_keys").write_text((work / "user_key.pub").read_text())
    (work / "known").write_text(f"[127.0.0.1]:{port} {(work / 'host_key.pub').read_text()}")
    (work / "nobody").write_text("")
    (work / "sshd_config").write_text(SERVER.format(port=port, folder=work))
    (work / "ssh_config").write_text(CLIENT.format(port=port, folder=work, known="known"))
    (work / "stranger_config").write_text(CLIENT.format(port=port, folder=work, known="nobody"))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(work / "sshd_config")], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < until:
        time.sleep(0.05)
    yield
    process.terminate()
    process.wait()


@contextlib.contextmanager
def phone(work: Path) -> Iterator[str]:
    folder = work / "phone"
    for part in (folder / "bin", folder / "tmp", work / "binaries"):
        part.mkdir(parents=True, exist_ok=True)
    for path, text in (
        (folder / "bin" / "getprop", "#!/bin/sh\n[ \"$1\" = ro.product.model ] && echo 'stand-in, not a phone'\nexit 0\n"),
        (work / "binaries" / "benchmark_model", TOOL.format(python=sys.executable)),
    ):
        path.write_text(text)
        path.chmod(0o755)
    process = subprocess.Popen([sys.executable, str(ROOT / "tests/deployment/devices/small_adbd.py"), str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    serial = f"127.0.0.1:{process.stdout.readline().strip()}"
    subprocess.run(["adb", "connect", serial], check=True, capture_output=True)
    time.sleep(1)
    yield serial
    subprocess.run(["adb", "kill-server"], check=False, capture_output=True)
    process.kill()
    process.wait()


def main() -> None:
    work = Path(sys.argv[1]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.environ |= {"COLUMNS": "100", "ANDROID_ADB_SERVER_PORT": "15038"}
    found, images, reference = artefacts(work)
    os.chdir(work)
    with sshd(work):
        over = Transcript("A run over SSH", "The real client to a real sshd on loopback, called `board`; written by `benchmarks/transcripts.py`.")
        there = work / "there"
        there.mkdir(exist_ok=True)
        address = f"ssh://board?config=ssh_config&folder={there}&python={sys.executable}"
        over.command("A host whose key is not known", ["devices", "ssh://board?config=stranger_config"], 1)
        over.command("An interpreter without NumPy", ["devices", f"ssh://board?config=ssh_config&python={bare_python(work)}"], 1)
        over.command("Known", ["devices", address], 2)
        over.say("Artefacts of digits-vit, one thread", measured(address, found, images, reference))
        over.say("Left in the folder there", f"{len(list(there.iterdir()))} files")
        over.write("ssh_transcript.md", work)
    with phone(work) as serial:
        words = (
            "The real adb client to a small adbd on loopback. The phone is this machine, and its `benchmark_model` a stand-in that runs the pushed artefact\n"
            "in LiteRT's Python runtime and prints as the binary does: this shows the path and says nothing of any phone. Written by\n"
            "`benchmarks/transcripts.py`."
        )
        over = Transcript("A run over ADB", words)
        absolute = f"adb://{serial}?folder={work}/phone/tmp&binaries=binaries"
        over.command("Binaries for it", ["devices", absolute], 1)
        over.command("A phone that is not there", ["devices", "adb://R58M12345"], 1)
        over.say("Artefacts of digits-vit, one thread", measured(absolute, found, images, reference))
        over.say("Left in the phone's folder", f"{len(list((work / 'phone' / 'tmp').iterdir()))} files")
        over.write("adb_transcript.md", work)


if __name__ == "__main__":
    main()
