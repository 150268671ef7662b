"""The matrix-vector products of ``clustering_traffic.c`` as Python functions, and functions timed in turns."""

import ctypes
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.models.weight_codes import pack_bits

SOURCE = Path(__file__).with_name("clustering_traffic.c")
CLUSTERS, BITS = 64, 6
FLOP_PER_ROUND = 192
BEYOND = 64
"""Bytes that a kernel may read beyond its codes."""


def compiled() -> Any:
    """The library, built by the system's C compiler.

    Raises:
        SystemExit: There is none, or this CPU has no AVX2.
    """
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise SystemExit("no C compiler (cc, gcc, clang): the kernel can't be built")
    if "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        raise SystemExit("this CPU has no AVX2, which the kernel is written for")
    library = Path(mkdtemp()) / "kernels.so"
    subprocess.run([compiler, "-O3", "-mavx2", "-mfma", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return ctypes.CDLL(str(library))


class Products:
    """A random clustered matrix ``(rows, columns)`` in all forms, and a product with one vector by each.

    Args:
        library: From :func:`compiled`.
        rows: A multiple of 4.
        columns: A multiple of 32.
    """

    def __init__(self, library: Any, rows: int, columns: int) -> None:
        rng = np.random.default_rng(0)
        self.library, self.rows, self.columns = library, rows, columns
        table = np.sort(rng.standard_normal(CLUSTERS)).astype(np.float32)
        self.table: NDArray[np.float32] = (table.view(np.uint32) & 0xFFFF0000).view(np.float32)  # every kernel then has the same table
        self.codes = rng.integers(0, CLUSTERS, rows * columns + BEYOND, dtype=np.uint8)
        packed = pack_bits(torch.from_numpy(self.codes[: rows * columns]), BITS).numpy()
        self.packed = np.concatenate([packed, np.zeros(BEYOND, np.uint8)])
        self.weights = self.table[self.codes[: rows * columns]].reshape(rows, columns)
        self.x = rng.standard_normal(columns).astype(np.float32)
        self.y, self._scratch = np.empty(rows, np.float32), np.empty(columns, np.float32)

    def functions(self) -> Mapping[str, tuple[int, Callable[[], Any]]]:
        """Bytes of weights read, and a call that leaves the product in ``y``, by name."""
        n = self.rows * self.columns
        return {
            "float32": (4 * n, self.float32),
            "float32, numpy (OpenBLAS)": (4 * n, lambda: np.dot(self.weights, self.x, out=self.y)),
            "byte index, float32 table": (n, self._by("gemv_bytes", self.codes)),
            "6-bit index, float32 table": (n * BITS // 8, self._by("gemv_packed", self.packed)),
            "byte index, bfloat16 table": (n, self._by("gemv_bytes_bfloat16", self.codes)),
            "6-bit index, bfloat16 table": (n * BITS // 8, self._by("gemv_packed_bfloat16", self.packed)),
            "byte index, gather instruction": (n, self._by("gemv_gather", self.codes)),
        }

    def float32(self) -> None:
        """With float32 weights."""
        self.library.gemv_float32(*map(_address, (self.weights, self.x, self.y)), *self._shape())

    def read(self) -> None:
        """Only read the float32 weights."""
        self.library.read_once(_address(self.weights), ctypes.c_size_t(self.weights.size))

    def _by(self, name: str, codes: NDArray[np.uint8]) -> Callable[[], Any]:
        kernel = getattr(self.library, name)
        return lambda: kernel(*map(_address, (codes, self.table, self.x, self.y, self._scratch)), *self._shape())

    def _shape(self) -> tuple[ctypes.c_size_t, ctypes.c_size_t]:
        return ctypes.c_size_t(self.rows), ctypes.c_size_t(self.columns)


def _address(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def in_turns(functions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, NDArray[np.float64]]:
    """Seconds of each call of each function, called one after the other, ``(rounds,)`` each.

    CPU time of the process, which waits for memory but not for other processes: for work on one thread it is wall-clock time on a machine of its own.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.process_time()
            function()
            seconds[name].append(time.process_time() - began)
    return {name: np.array(values) for name, values in seconds.items()}


def times_as_fast(reference: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float, float]:
    """Median of reference over other, round by round, with its 95 % interval from order statistics."""
    from efficient360.core.statistics import median_interval

    ratios = reference / other
    ends = median_interval(ratios)
    return float(np.median(ratios)), ends.low, ends.high


def machine(library: Any, products: Products, rounds: int) -> tuple[float, float]:
    """FLOP/s of fused multiply-adds and bytes/s read from memory, one thread: of the best call each."""
    flops = 5_000_000
    calls = {"compute": lambda: library.multiply_adds(ctypes.c_size_t(flops)), "read": products.read, "product": products.float32}
    seconds = {name: float(values.min()) for name, values in in_turns(calls, rounds).items()}
    return FLOP_PER_ROUND * flops / seconds["compute"], products.weights.nbytes / min(seconds["read"], seconds["product"])
