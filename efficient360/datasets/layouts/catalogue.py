"""The layouts that are read, by what is typed before the colon."""

from collections.abc import Mapping, Sequence
from typing import Final

from efficient360.datasets.layouts.hub_dataset import HubDataset
from efficient360.datasets.layouts.image_folder import ImageFolder, ImageNet
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.layouts.manifest import Manifest
from efficient360.datasets.layouts.numpy_file import NumpyFile
from efficient360.datasets.layouts.parquet import Parquet
from efficient360.datasets.layouts.saved import SavedDataset
from efficient360.datasets.layouts.torchvision_files import TorchvisionFiles
from efficient360.datasets.layouts.webdataset import WebDataset

_ALL: Final[Sequence[Layout]] = (
    ImageFolder(),
    ImageNet(),
    Parquet(),
    Manifest(),
    WebDataset(),
    SavedDataset(),
    TorchvisionFiles(),
    NumpyFile(),
    HubDataset(),
)
LAYOUTS: Final[Mapping[str, Layout]] = {layout.kind: layout for layout in _ALL}
"""Each layout by its kind."""
ALIASES: Final[Mapping[str, str]] = {
    "image-folder": "imagefolder",
    "folder": "imagefolder",
    "csv": "manifest",
    "tsv": "manifest",
    "json": "manifest",
    "jsonl": "manifest",
    "wds": "webdataset",
    "numpy": "npz",
    "hf-hub": "hub",
    "hf": "hub",
    "arrow": "save_to_disk",
}
"""What else may be typed for a kind."""
