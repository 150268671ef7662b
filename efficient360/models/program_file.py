"""Files that hold a whole network as a program, ONNX, TorchScript or ``torch.export``: told by their content, and checked to be tensor operations only."""

import ast
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import torch

from efficient360.core.paths import is_file
from efficient360.errors import CheckpointError
from efficient360.models.torch_archive import require_sound

_ZIP: Final = b"PK\x03\x04"
_ROOM: Final = 64 * 2**20
"""Bytes of a graph's text."""
_NAMESPACES: Final = ("aten", "prim")
_SYMBOLIC: Final = re.compile(
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|ModularIndexing|IntTrueDiv|FloatTrueDiv|ToFloat"
    "|TruncToInt|RoundToInt|CeilToInt|FloorToInt|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|Equality|Unequality|(?:Strict)?(?:LessThan|GreaterThan)"
)
"""Functions in what ``torch.export`` writes for the size of a dimension; it is evaluated as Python when the file is loaded."""
_OPERATORS: Final = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context)
_ARITHMETIC: Final = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Name, ast.Subscript, ast.keyword, *_OPERATORS)
_FUNCTIONS: Final = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+|_operator\.(?:add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|getitem|and_|or_|not_)"
    r"|torch\.sym_\w+|math\.(?:ceil|floor|trunc|sqrt)|torch\.ops\.higher_order\.wrap_with_set_grad_enabled"
)
_HINT: Final = "export it again from tensor operations alone, or give its weights with --arch"


class ProgramKind(StrEnum):
    """What kind of program a file is."""

    ONNX = "ONNX"
    TORCHSCRIPT = "TorchScript"
    EXPORTED = "torch.export"


def program_kind(path: Path) -> ProgramKind | None:
    """The kind of a file, by its ending for ONNX and by its records else; ``None`` for weights and everything else."""
    if not is_file(path):
        return None
    if path.suffix.lower() == ".onnx":
        return ProgramKind.ONNX
    try:
        with path.open("rb") as file:
            if file.read(4) != _ZIP:
                return None
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] or name for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return None
    if any(name.startswith("models/") and name.endswith(".json") for name in names) or "serialized_exported_program.json" in names:
        return ProgramKind.EXPORTED
    return ProgramKind.TORCHSCRIPT if "constants.pkl" in names and any(name.startswith("code/") for name in names) else None


def program_digest(path: Path) -> str:
    """SHA-256 over a program's file, and over the file of an ONNX file's weights beside it."""
    sha = hashlib.sha256()
    for file in (path, *weights_beside(path)):
        with file.open("rb") as opened:
            sha.update(hashlib.file_digest(opened, "sha256").digest())
    return sha.hexdigest()


def weights_beside(path: Path) -> tuple[Path, ...]:
    """Files beside an ONNX file that exporters put its weights into."""
    if path.suffix.lower() != ".onnx":
        return ()
    candidates = (path.with_name(f"{path.name}.data"), path.with_name(f"{path.name}_data"))
    return tuple(file for file in candidates if is_file(file))


def require_harmless(path: Path, kind: ProgramKind) -> None:
    """Check, before anything of it is loaded, that a program only computes with tensors.

    ONNX Runtime has no operator that reads, writes or runs anything else. TorchScript has some, and ``torch.export`` files hold pickles and expressions that
    Python evaluates: each is looked through here without running it.

    Raises:
        CheckpointError: It is damaged (``weights-truncated``), or does more (``unsafe-program``); the message says what.
    """
    if kind is ProgramKind.ONNX:
        return
    with path.open("rb") as file:
        head = file.read(64)
    try:
        require_sound(path, head)
        with zipfile.ZipFile(path) as archive:
            found = next(_beyond_script(archive) if kind is ProgramKind.TORCHSCRIPT else _beyond_export(archive), None)
    except (ValueError, OverflowError, zipfile.BadZipFile, RecursionError) as error:
        message = f"{path} is truncated, damaged or no {kind} file ({' '.join(str(error).split())[:160]})"
        raise CheckpointError("weights-truncated", message, "copy or export it again, and compare its size") from error
    if found is not None:
        raise CheckpointError("unsafe-program", f"{path} does more than compute with tensors: {found}", _HINT)


def _beyond_script(archive: zipfile.ZipFile) -> Iterator[str]:
    """What a TorchScript archive does beside computing with tensors."""
    for name in archive.namelist():
        data = archive.read(name) if name.endswith((".py", ".pkl")) else b""
        if b"torch.classes" in data:
            yield f"it holds an object of a class written in C++ ({name})"
        if name.endswith(".py"):
            if len(data) > _ROOM:
                raise OverflowError
            for node in ast.walk(ast.parse(data.decode())):
                if isinstance(node, ast.Attribute) and (operator := _operator(node)) is not None and not _computes(*operator):
                    yield f"it calls {'::'.join(operator)}"


def _operator(node: ast.Attribute) -> tuple[str, str] | None:
    """Namespace and name of an operator that an attribute means: ``torch.add``, ``ops.prim.data``."""
    if isinstance(node.value, ast.Name) and node.value.id == "torch":
        return "aten", node.attr
    inner = node.value
    if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "ops":
        return inner.attr, node.attr
    return None


def _computes(namespace: str, name: str) -> bool:
    """Whether an operator is one of torch's own that takes no file, and calls nothing elsewhere."""
    if namespace not in _NAMESPACES or name.startswith("rpc"):
        return False
    schemas = torch._C._jit_get_schemas_for_operator(f"{namespace}::{name}")
    return all(argument.name not in ("filename", "file", "path") for schema in schemas for argument in schema.arguments)


def _beyond_export(archive: zipfile.ZipFile) -> Iterator[str]:
    """What a ``torch.export`` archive does beside computing with tensors."""
    for name in archive.namelist():
        data = archive.read(name)
        if name.endswith((".json", "serialized_exported_program.json")):
            yield from _beyond_graph(json.loads(data))
        elif name.endswith((".pt", ".pth", ".pkl")):  # tensors that are no pickles lie there as bytes, which the JSON says
            try:  # loaded so, it holds tensors only, whatever loads it later
                torch.load(archive.open(name), map_location="cpu", weights_only=True)
            except Exception:  # damaged bytes make the reader fail in any way
                yield f"it holds a pickle of more than tensors ({name})"
        elif name.endswith((".so", ".cpp", ".cubin", ".o")):
            yield f"it holds compiled code ({name})"


def _only_sizes(expression: str) -> bool:
    """Whether a Python expression is arithmetic on sizes: numbers, names, ``x.size()[0]``, and sympy's functions for such."""
    try:
        nodes = list(ast.walk(ast.parse(expression.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError):
        return False
    return all(_is_of_sizes(node) for node in nodes)


def _is_of_sizes(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float) or (isinstance(node.value, str) and node.value.isidentifier())
    if isinstance(node, ast.Attribute):
        return node.attr in ("size", "shape")
    if isinstance(node, ast.Call):
        return (isinstance(node.func, ast.Name) and _SYMBOLIC.fullmatch(node.func.id) is not None) or (
            isinstance(node.func, ast.Attribute) and not node.args and not node.keywords
        )
    return isinstance(node, _ARITHMETIC)


def _beyond_graph(data: Any) -> Iterator[str]:
    """What stands in a graph's JSON that is looked up or evaluated as Python."""
    if isinstance(data, dict):
        for key, value in data.items():
            if (
                key == "target"
                and isinstance(value, str)
                and not (_FUNCTIONS.fullmatch(value) and _computes("aten", value.split(".")[3] if "aten" in value else "add"))
            ):
                yield f"it calls {value[:100]}"
            elif key == "expr_str" and not _only_sizes(str(value)):
                yield f"it evaluates {str(value)[:100]!r}"
            elif key == "guards_code" and value:
                yield from (f"it runs the check {str(line)[:100]!r}" for line in value if not _only_sizes(str(line)))
            elif (key in ("use_pickle", "custom_obj_name") and value) or (key == "path_name" and isinstance(value, str) and "custom_obj" in value):
                yield "it holds an object that is no tensor"
            else:
                yield from _beyond_graph(value)
    elif isinstance(data, list):
        for value in data:
            yield from _beyond_graph(value)
