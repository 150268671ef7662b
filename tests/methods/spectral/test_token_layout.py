"""Which tensors hold a map of tokens."""

import pytest
import torch

from efficient360.methods.spectral.token_layout import PREFIXES, grid_of, map_of, split


@pytest.mark.parametrize(
    ("count", "aspect", "grid"),
    [
        (196, 1.0, (14, 14)),
        (64, 1.0, (8, 8)),
        (195, 1.0, None),
        (50, 0.5, (5, 10)),
        (32, 2.0, (8, 4)),
        (12, 0.8, (3, 4)),
        (0, 1.0, None),
    ],
)
def test_tokens_that_cover_an_image(count: int, aspect: float, grid: tuple[int, int] | None) -> None:
    assert grid_of(count, aspect) == grid


@pytest.mark.parametrize(
    ("count", "prefixes", "expected"),
    [
        (197, PREFIXES, (1, 14, 14)),
        (198, PREFIXES, (2, 14, 14)),
        (201, (5, *PREFIXES), (5, 14, 14)),
        (196, (1, *PREFIXES), (0, 14, 14)),
        (1, PREFIXES, None),
        (3, PREFIXES, None),
    ],
)
def test_class_and_register_tokens_come_first(count: int, prefixes: tuple[int, ...], expected: tuple[int, int, int] | None) -> None:
    assert split(count, 1.0, prefixes) == expected


def test_a_sequence_loses_its_first_tokens_and_becomes_rows() -> None:
    tokens = torch.arange(2 * 5 * 3.0).view(2, 5, 3)
    found = map_of(tokens, 2, 1.0, PREFIXES)
    assert found is not None
    assert torch.equal(found, tokens[:, 1:].reshape(2, 2, 2, 3))


def test_maps_with_channels_first_and_last_are_the_same_map() -> None:
    last = torch.rand(2, 4, 4, 7)
    for given in (last, last.permute(0, 3, 1, 2), [torch.zeros(2), last], (last, (4, 4))):
        found = map_of(given, 2, 1.0, PREFIXES)
        assert found is not None
        assert torch.equal(found, last)


def test_a_wide_image_tells_the_layout() -> None:
    first = torch.rand(1, 4, 4, 8)  # 4 channels of 4 × 8 tokens
    found = map_of(first, 1, 0.5, PREFIXES)
    assert found is not None
    assert found.shape == (1, 4, 8, 4)


@pytest.mark.parametrize(
    "given",
    [
        torch.rand(8, 16, 3),  # windows or pieces of two images
        torch.rand(2, 1, 16),  # a class token alone
        torch.rand(2, 16, 196, 5),  # blocks of tokens apart
        torch.rand(2, 10),
        torch.ones(2, 16, 3, dtype=torch.long),
        "tokens",
        None,
    ],
)
def test_what_is_no_map(given: object) -> None:
    assert map_of(given, 2, 1.0, PREFIXES) is None
