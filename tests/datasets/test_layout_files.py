"""Files of layouts that lie: tars cut off, headers that promise too much, pickles that would do something, lists that are none."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from layout_zoo import idx, put, tar
from PIL import Image

from efficient360.datasets.card import Card, Source
from efficient360.datasets.layouts.delimited import read_rows
from efficient360.datasets.layouts.pixel_arrays import array_images
from efficient360.datasets.layouts.torchvision_files import TorchvisionFiles, read_idx
from efficient360.datasets.layouts.webdataset import WebDataset, expanded
from efficient360.datasets.split_names import is_split, loose_kind, named_splits
from efficient360.errors import DatasetError

CARD = Card("x", "x", Source("npz", "x"), {"all": ""}, image="", label="")


def code(call, *arguments) -> str:
    with pytest.raises(DatasetError) as caught:
        call(*arguments)
    assert caught.value.hint
    return caught.value.code


@given(arrays(np.uint8, (2, 5, 4, 3)))
def test_pixels_go_through_their_encoding_unchanged_in_every_form(pixels: np.ndarray) -> None:
    forms = [pixels, pixels.transpose(0, 3, 1, 2), pixels.astype(np.int64), pixels.astype(np.float32) / 255, pixels.astype(np.float64)]
    for form in forms[: 5 if pixels.max() > 1 else 3]:
        for i in range(2):
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(array_images(form, "x")[i]))), pixels[i])
    grey = array_images(pixels[..., 0], "x")[0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(grey))), pixels[0, ..., 0])
    square = np.ascontiguousarray(pixels[:, :4].transpose(0, 3, 1, 2)).reshape(2, -1)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(array_images(square, "x")[0]))), pixels[0, :4])


@pytest.mark.parametrize("pixels", [np.full((1, 4, 4, 3), -1.0), np.full((1, 4, 4, 3), 300), np.full((1, 4, 4, 3), 0.1234), np.full((1, 4, 4), np.nan)])
def test_arrays_that_8_bits_do_not_hold_are_refused(pixels: np.ndarray) -> None:
    assert code(array_images, pixels, "x") == "pixel-range"


@pytest.mark.parametrize("shape", [(3,), (2, 7), (1, 4, 4, 2), (0, 4, 4, 3), (1, 1, 4, 4, 3)])
def test_arrays_of_other_shapes_are_no_images(shape: tuple[int, ...]) -> None:
    assert code(array_images, np.zeros(shape, np.uint8), "x") == "not-an-image"


def test_an_idx_file_holds_what_its_header_says(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    put(tmp_path / "a", idx(array))
    assert np.array_equal(read_idx(tmp_path / "a"), array)
    for data in (idx(array)[:-1], b"\0\0\x09\x01", b"", bytes([0, 0, 8, 1]) + b"\0\0\0\x09abc", b"\x1f\x8bnothing"):
        put(tmp_path / "a", data)
        assert code(read_idx, tmp_path / "a") == "unreadable-dataset"
    put(tmp_path / "a", bytes([0, 0, 8, 3]) + b"\xff\xff\xff\xff" * 3)
    assert code(read_idx, tmp_path / "a") == "array-oversized"


class _Evil:
    def __reduce__(self):
        return print, ("would have run",)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps({b"data": _Evil()}, protocol=2),
        pickle.dumps({b"data": np.array([object()], dtype=object)}, protocol=2),
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I99999999999\ntS'b'\ntR.",
        pickle.dumps([1, 2]),
        b"",
        b"not a pickle",
    ],
    ids=["a call", "objects", "a vast array", "no mapping", "nothing", "text"],
)
def test_batches_are_plain_arrays_or_refused_unrun(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "test_batch", data)
    assert code(TorchvisionFiles().open, str(tmp_path), "test", CARD) in ("unsafe-or-broken", "unreadable-dataset")
    assert "would have run" not in capsys.readouterr().out


def test_a_tar_cut_off_or_packed_is_an_error(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [("1.png", b"x" * 5000), ("1.cls", b"0")])
    whole = (tmp_path / "a.tar").read_bytes()
    put(tmp_path / "b.tar", whole[:2000])
    assert code(WebDataset().open, str(tmp_path / "b.tar"), "", CARD) == "unreadable-dataset"
    put(tmp_path / "c.tar", b"no tar at all")
    assert code(WebDataset().open, str(tmp_path / "c.tar"), "", CARD) == "unreadable-dataset"
    put(tmp_path / "d.tar.gz", b"\x1f\x8b")
    assert code(WebDataset().files, str(tmp_path / "d.tar.gz")) == "not-a-tar"
    assert code(WebDataset().files, str(tmp_path / "e-{0..3}.tar")) == "no-files"


def test_links_in_a_tar_lead_nowhere(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        entry = tarfile.TarInfo("1.png")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(entry)
    assert code(WebDataset().open, str(tmp_path / "a.tar"), "", CARD) == "empty-split"


@pytest.mark.parametrize(
    ("pattern", "count", "last"),
    [("a.tar", 1, "a.tar"), ("{08..11}.tar", 4, "11.tar"), ("{train,val}-{0..2}.tar", 6, "val-2.tar"), ("{}.tar", 1, "{}.tar")],
)
def test_braces_stand_for_what_shells_take_them_for(pattern: str, count: int, last: str) -> None:
    assert len(expanded(pattern)) == count
    assert expanded(pattern)[-1] == last


def test_braces_that_stand_for_millions_are_refused() -> None:
    assert code(expanded, "{0..999999999}.tar") == "no-files"
    assert code(expanded, "{0..999}{0..999}{0..999}.tar") == "no-files"


@pytest.mark.parametrize(
    ("name", "data"), [("a.csv", b""), ("a.csv", b"\xff\xfe\0"), ("a.csv", b"a,b\n1,2,3\n"), ("a.json", b"[1, 2]"), ("a.json", b"{"), ("a.jsonl", b"[]\n")]
)
def test_lists_that_are_none_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    put(tmp_path / name, data)
    assert code(read_rows, tmp_path / name) == "bad-manifest"


@given(st.lists(st.sampled_from(["test", "VAL", "valid", "Train", "eval", "extra", "test_set", "dev"]), unique=True, min_size=1))
def test_splits_keep_their_own_names_and_none_is_lost(own: list[str]) -> None:
    assert sorted(named_splits(own).values()) == sorted(own)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ILSVRC2012_img_val", "val"),
        ("Test-Set", "test"),
        ("images_train", "train"),
        ("valley", "valley"),
        ("test tube", "testtube"),
        ("imagenet", "imagenet"),
        ("dev", "val"),
    ],
)
def test_looser_names_of_splits(name: str, kind: str) -> None:
    assert loose_kind(name) == kind


@pytest.mark.parametrize("name", ["(train)", "train!", "te\nst", "-val", "*test"])
def test_odd_names_are_no_splits(name: str) -> None:
    assert not is_split(name)
