"""What stands around a program that somebody else exported: pixels in [0, 1] become what it wants, and its answer logits of the classes that are kept."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = NDArray[Any]


def prepared(run: Callable[[Arrays], Arrays], settings: "dict[str, Any]") -> Callable[[Arrays], Arrays]:
    """``run`` behind the preparation that the settings name under ``prepare``, a JSON object; itself where they name none.

    ``mean`` and ``std`` by channel; ``last``: channels come last; ``dtype``: of its input; ``keep``: indices of the outputs that are kept, or null.
    """
    if "prepare" not in settings:
        return run
    want = json.loads(settings["prepare"])
    mean, std = (np.asarray(want[name], np.float32).reshape(1, -1, 1, 1) for name in ("mean", "std"))

    def call(images: Arrays) -> Arrays:
        normalised = ((images - mean) / std).astype(want["dtype"])
        logits = np.asarray(run(np.ascontiguousarray(normalised.transpose(0, 2, 3, 1)) if want["last"] else normalised), np.float32)
        return logits if want["keep"] is None else np.ascontiguousarray(logits[:, want["keep"]])

    return call
