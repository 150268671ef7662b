"""Program files, told apart and looked through before anything of them is loaded."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from little_vit import fails, little_network
from torch import Tensor, nn

from efficient360.errors import CheckpointError
from efficient360.models.program_file import ProgramKind, program_digest, program_kind, require_harmless

IMAGES = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))


def traced(path: Path) -> Path:
    torch.jit.save(torch.jit.trace(little_network().eval(), (IMAGES,)), str(path))
    return path


def exported(path: Path, dynamic: bool = False) -> Path:
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    torch.export.save(torch.export.export(little_network().eval(), (IMAGES.repeat(2, 1, 1, 1),), dynamic_shapes=shapes), path)
    return path


def refused(path: Path, words: str) -> None:
    kind = program_kind(path)
    assert kind is not None
    with pytest.raises(CheckpointError) as caught:
        require_harmless(path, kind)
    assert caught.value.code == "unsafe-program"
    assert words in caught.value.message


def test_kinds_are_told_by_content(tmp_path) -> None:
    assert program_kind(traced(tmp_path / "m.pth")) is ProgramKind.TORCHSCRIPT
    assert program_kind(exported(tmp_path / "m.bin")) is ProgramKind.EXPORTED
    torch.save(little_network().state_dict(), tmp_path / "w.pt2")
    assert program_kind(tmp_path / "w.pt2") is None
    assert program_kind(tmp_path / "nothing.onnx") is None


@pytest.mark.parametrize("dynamic", [False, True])
def test_what_torch_exports_is_harmless(tmp_path, dynamic) -> None:
    require_harmless(exported(tmp_path / "m.pt2", dynamic), ProgramKind.EXPORTED)


def test_what_torch_traces_and_scripts_is_harmless(tmp_path) -> None:
    class Scripted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.BatchNorm1d(4)])

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            for layer in self.layers:
                x = layer(x)
            if x.sum() > 0:
                x = x.masked_fill(x < 0, float("inf"))
            return {"logits": x}

    require_harmless(traced(tmp_path / "a.pt"), ProgramKind.TORCHSCRIPT)
    torch.jit.save(torch.jit.script(Scripted()), str(tmp_path / "b.pt"))
    require_harmless(tmp_path / "b.pt", ProgramKind.TORCHSCRIPT)


def test_a_script_that_reads_or_writes_a_file_is_refused(tmp_path) -> None:
    class Maps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.from_file("/tmp/efficient360-never-written", shared=True, size=4)

    torch.jit.save(torch.jit.script(Maps()), str(tmp_path / "a.pt"))
    refused(tmp_path / "a.pt", "aten::from_file")

    class Saves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            torch.save(x, "/tmp/efficient360-never-written")
            return x

    torch.jit.save(torch.jit.script(Saves()), str(tmp_path / "b.pt"))
    refused(tmp_path / "b.pt", "aten::save")


def changed(path: Path, record: str, change) -> Path:
    """A copy of an archive with one record changed, or added where none ends so."""
    other = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        names = source.namelist()
        for name in names:
            target.writestr(name, change(source.read(name)) if name.endswith(record) else source.read(name))
        if not any(name.endswith(record) for name in names):
            target.writestr(f"{names[0].partition('/')[0]}/{record}", change(b""))
    return other


class Evil:
    def __reduce__(self):
        return print, ("ran",)


def test_an_exported_program_with_a_pickle_is_refused(tmp_path) -> None:
    torch.save({"x": Evil()}, tmp_path / "evil.pt")
    bad = changed(exported(tmp_path / "m.pt2"), "data/constants/evil.pt", lambda _: (tmp_path / "evil.pt").read_bytes())
    refused(bad, "a pickle of more than tensors")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("torch.ops.aten.addmm.default", "torch.ops.aten.from_file.default", "torch.ops.aten.from_file.default"),
        ("torch.ops.aten.addmm.default", "os.system", "os.system"),
        ("torch.ops.aten.addmm.default", "_operator.call", "_operator.call"),
    ],
)
def test_an_exported_program_that_calls_something_else_is_refused(tmp_path, before, after, words) -> None:
    good = exported(tmp_path / "m.pt2")
    with zipfile.ZipFile(good) as archive:
        record = next(name for name in archive.namelist() if name.startswith(f"{name.partition('/')[0]}/models/"))
        text = archive.read(record).decode()
    before = before if before in text else "torch.ops.aten.linear.default"
    assert before in text
    refused(changed(good, record.partition("/")[2], lambda data: data.decode().replace(before, after).encode()), words)


def test_an_exported_program_that_evaluates_python_is_refused(tmp_path) -> None:
    good = exported(tmp_path / "m.pt2", dynamic=True)
    with zipfile.ZipFile(good) as archive:
        record = next(name for name in archive.namelist() if "/models/" in name)

    def spoilt(data: bytes) -> bytes:
        graph = json.loads(data)
        graph["guards_code"] = ["__import__('os').system('true')"]
        return json.dumps(graph).encode()

    refused(changed(good, record.partition("/")[2], spoilt), "__import__")

    def expression(data: bytes) -> bytes:
        text = data.decode()
        assert '"expr_str"' in text
        return text.replace('"expr_str": "', '"expr_str": "().__class__ and ', 1).encode()

    refused(changed(good, record.partition("/")[2], expression), "__class__")


def test_a_damaged_program_is_told(tmp_path) -> None:
    good = traced(tmp_path / "m.pt")
    cut = tmp_path / "cut.pt"
    shutil.copyfile(good, cut)
    data = bytearray(cut.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    cut.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        require_harmless(cut, ProgramKind.TORCHSCRIPT)
    assert caught.value.code == "weights-truncated"


def test_its_digest_holds_the_weights_beside_an_onnx_file(tmp_path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"graph")
    first = program_digest(path)
    (tmp_path / "m.onnx.data").write_bytes(b"weights")
    assert program_digest(path) != first


def test_what_wants_weights_refuses_a_program(tmp_path) -> None:
    fails(str(traced(tmp_path / "m.pt")), "program-file", "TorchScript")
