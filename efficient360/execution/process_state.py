"""What one evaluator could leave behind in the process for the next: each part by name, how it is read, and how it is put back."""

import contextlib
import decimal
import gc
import locale
import logging
import os
import pickle
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from PIL import Image, ImageFile

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2)


@final
@dataclass(frozen=True)
class _Part:
    """A part of the process's state. ``read`` returns what compares equal when nothing changed; ``write`` puts that back."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]


@contextlib.contextmanager
def restored_process() -> Iterator[None]:
    """Afterwards the process's global state is as it was before, however the block ended.

    Covers torch's defaults, modes, threads and generators, NumPy's and Python's generators, error handling and printing, warnings, logging, environment,
    folder, import path, standard streams, signal handlers and timers, locale and Pillow's limits.
    """
    before = [(part, part.read()) for part in _PARTS]
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for part, value in before:
                with contextlib.suppress(OSError, ValueError, RuntimeError):  # a folder that is gone, a handler that only the main thread may set
                    if part.read() != value:
                        part.write(value)


def _determinism() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _backends() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, torch.backends.mkldnn.enabled


def _set_backends(values: tuple[Any, ...]) -> None:
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    mkldnn: Any = torch.backends.mkldnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32, mkldnn.enabled = values


def _autocast() -> tuple[bool, bool, bool]:
    return torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda"), torch.is_autocast_cache_enabled()


def _set_autocast(values: tuple[bool, bool, bool]) -> None:
    torch.set_autocast_enabled("cpu", values[0])
    torch.set_autocast_enabled("cuda", values[1])
    torch.set_autocast_cache_enabled(values[2])


def _set_default_device(name: str) -> None:
    torch.set_default_device(None if name == "cpu" else name)  # naming the CPU would slow every call down


def _torch_generators() -> tuple[bytes, ...]:
    cuda: Any = torch.cuda
    on_gpus = cuda.get_rng_state_all() if cuda.is_initialized() else []
    return tuple(state.numpy().tobytes() for state in (torch.default_generator.get_state(), *on_gpus))


def _set_torch_generators(states: tuple[bytes, ...]) -> None:
    cpu, *gpus = (torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in states)
    torch.default_generator.set_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)


def _set_environment(values: dict[str, str]) -> None:
    for name in set(os.environ) - set(values):
        del os.environ[name]
    os.environ.update(values)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - plain text, to be compared
    except FileNotFoundError:
        return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _import_path() -> tuple[int, list[str], list[str]]:
    return id(sys.path), list(sys.path), list(sys.argv)


def _set_import_path(values: tuple[int, list[str], list[str]]) -> None:
    sys.path[:] = values[1]
    sys.argv[:] = values[2]


def _hooks() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook, sys.unraisablehook


def _set_hooks(values: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook, sys.unraisablehook = values


def _tracing() -> tuple[Any, ...]:
    return sys.getprofile(), sys.gettrace(), sys.getrecursionlimit(), sys.getswitchinterval()


def _set_tracing(values: tuple[Any, ...]) -> None:
    sys.setprofile(values[0])
    sys.settrace(values[1])
    sys.setrecursionlimit(values[2])
    sys.setswitchinterval(values[3])


def _handlers() -> list[Any]:
    return [signal.getsignal(number) for number in _SIGNALS]


def _set_handlers(handlers: list[Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            if handler is not None:
                signal.signal(number, handler)


def _timers() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _stop_timers(running: bool) -> None:
    if not running:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _logging() -> tuple[int, list[logging.Handler], int, type[logging.Logger]]:
    root = logging.getLogger()
    return root.level, list(root.handlers), root.manager.disable, logging.getLoggerClass()


def _set_logging(values: tuple[int, list[logging.Handler], int, type[logging.Logger]]) -> None:
    root = logging.getLogger()
    root.setLevel(values[0])
    root.handlers[:] = values[1]
    root.manager.disable = values[2]
    logging.setLoggerClass(values[3])


def _set_pillow(values: tuple[Any, ...]) -> None:
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK, Image.WARN_POSSIBLE_FORMATS = values


_PARTS = (
    _Part("standard streams and hooks", _hooks, _set_hooks),  # first: what follows may print
    _Part("tracing and limits of the interpreter", _tracing, _set_tracing),
    _Part("signal handlers", _handlers, _set_handlers),
    _Part("timers", _timers, _stop_timers),
    _Part("default dtype", torch.get_default_dtype, torch.set_default_dtype),
    _Part("default device", lambda: str(torch.get_default_device()), _set_default_device),
    _Part("gradients", torch.is_grad_enabled, torch.set_grad_enabled),
    _Part("anomaly detection", torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    _Part("deterministic algorithms", _determinism, lambda values: torch.use_deterministic_algorithms(values[0], warn_only=values[1])),
    _Part("autocast", _autocast, _set_autocast),
    _Part("precision of matrix products", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    _Part("backends", _backends, _set_backends),
    _Part("threads", torch.get_num_threads, torch.set_num_threads),
    _Part("generators of torch", _torch_generators, _set_torch_generators),
    _Part("generator of NumPy", lambda: pickle.dumps(np.random.get_state(legacy=False)), lambda state: np.random.set_state(pickle.loads(state))),
    _Part("generator of Python", random.getstate, random.setstate),
    _Part("errors of NumPy", np.geterr, lambda values: np.seterr(**values)),
    _Part("error callback of NumPy", np.geterrcall, np.seterrcall),
    _Part("printing of NumPy", np.get_printoptions, lambda values: np.set_printoptions(**values)),
    _Part("decimal context", lambda: decimal.getcontext().copy(), decimal.setcontext),
    _Part("environment", lambda: dict(os.environ), _set_environment),
    _Part("folder", _folder, lambda folder: None if folder is None else os.chdir(folder)),
    _Part("file mode mask", _umask, os.umask),
    _Part("import path", _import_path, _set_import_path),
    _Part("locale", lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    _Part("logging", _logging, _set_logging),
    _Part("garbage collection", gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    _Part("time limit of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    _Part(
        "limits of Pillow",
        lambda: (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK, Image.WARN_POSSIBLE_FORMATS),
        _set_pillow,
    ),
)
