import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from efficient360.core.plain import number, plain, whole


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (torch.tensor(2.0), 2.0),
        (torch.tensor([1, 2]), [1, 2]),
        (Path("a/b"), "a/b"),
        ({"x": (np.float64(1), None)}, {"x": [1.0, None]}),
        ({"b", "a"}, ["a", "b"]),
    ],
)
def test_what_is_plainly_meant(value: Any, expected: object) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


@pytest.mark.parametrize("value", [object(), print, 1j, np.complex64(1), {"x": object()}])
def test_what_is_no_plain_value(value: Any) -> None:
    with pytest.raises(TypeError):
        plain(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64("nan"), torch.tensor(math.inf), "\ud800", ["\udfff"]])
def test_what_no_json_holds(value: Any) -> None:
    with pytest.raises(ValueError, match="no finite number|no Unicode"):
        plain(value)


def test_numbers() -> None:
    assert (number(np.array([[2]])), number(True + 1), whole(3.0), whole(torch.tensor(4))) == (2.0, 2.0, 3, 4)
    for wrong in ("1", True, [1, 2], None):
        with pytest.raises(TypeError):
            number(wrong)
    with pytest.raises(ValueError, match="no whole number"):
        whole(1.5)
    with pytest.raises(ValueError, match="too large"):
        number(10**400)
