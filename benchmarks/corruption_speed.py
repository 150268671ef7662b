"""Our corruptions against the packages imagecorruptions-imaug and imagenet-c: images a second, statistics of the images, accuracy of a model.

    python benchmarks/corruption_speed.py speed [--images 12] [--threads 1]
    python benchmarks/corruption_speed.py statistics [--images 24]
    python benchmarks/corruption_speed.py accuracy CHECKPOINT --data-dir DIR [--examples 500] [--severities 1 3 5]

All take --peer imagecorruptions or --peer imagenet_c, and --out FILE to append their table to. Install the peers without their pins:

    pip install --no-deps imagecorruptions-imaug imagenet-c numba llvmlite scikit-image lazy_loader imageio tifffile opencv-python-headless wand
    apt-get install libmagickwand-6.q16-6

The images are crops of 224 pixels of the two photographs that scikit-learn brings along. Ours and theirs take turns, image by image.
"""

import argparse
import sys
import time
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from efficient360.methods.corruptions import frost
from efficient360.methods.corruptions.imagenet_c import COMMON, EXTRA, SEVERITIES, CorruptionSetting, corrupt_image

Peer = Callable[[np.ndarray, int, str], np.ndarray]
SIDE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, default in (("speed", 12), ("statistics", 24)):
        command = commands.add_parser(name)
        command.add_argument("--images", type=int, default=default)
        command.add_argument("--threads", type=int, default=1)
        command.set_defaults(run={"speed": speed, "statistics": compare}[name])
    command = commands.add_parser("accuracy")
    command.add_argument("checkpoint")
    command.add_argument("--data-dir", required=True)
    command.add_argument("--dataset", default="cifar10")
    command.add_argument("--examples", type=int, default=500)
    command.add_argument("--severities", type=int, nargs="+", default=[1, 3, 5])
    command.add_argument("--threads", type=int, default=1)
    command.set_defaults(run=accuracy)
    for command in commands.choices.values():
        command.add_argument("--peer", choices=("imagecorruptions", "imagenet_c"), default="imagecorruptions")
        command.add_argument("--names", nargs="+", default=[*COMMON, *EXTRA])
        command.add_argument("--out", type=Path)
    args = parser.parse_args()
    peer = PEERS[args.peer]()
    torch.set_num_threads(args.threads)
    lines = args.run(args, peer)
    print("\n".join(lines))
    if args.out:
        with args.out.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n\n")


def imagecorruptions() -> Peer:
    import cv2
    import imagecorruptions

    cv2.setNumThreads(1)
    return imagecorruptions.corrupt


def imagenet_c() -> Peer:
    """The package of 2018 under today's libraries: what has moved since is put where it looks for it, and its missing photographs are found."""
    import cv2
    import scipy.ndimage
    import skimage.filters

    cv2.setNumThreads(1)
    smooth = skimage.filters.gaussian

    def gaussian(image: np.ndarray, sigma: float, multichannel: bool = False, **settings: object) -> np.ndarray:
        return smooth(image, sigma, channel_axis=-1 if multichannel else None, **settings)

    def resource_filename(_package: str, name: str) -> str:
        return str(frost.photograph_folder() / Path(name).name)

    skimage.filters.gaussian = gaussian
    np.float_, np.fromstring = np.float64, np.frombuffer
    sys.modules["scipy.ndimage.interpolation"] = scipy.ndimage
    sys.modules["pkg_resources"] = types.SimpleNamespace(resource_filename=resource_filename)
    import imagenet_c

    return imagenet_c.corrupt


PEERS: dict[str, Callable[[], Peer]] = {"imagecorruptions": imagecorruptions, "imagenet_c": imagenet_c}


def random_crops(count: int) -> list[np.ndarray]:
    """Crops (224, 224, 3) at random places of the two photographs, half size: as much of a scene as a crop of ImageNet shows."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    rng, crops = np.random.default_rng(0), []
    photographs = [np.asarray(Image.fromarray(image).resize((480, 320), Image.Resampling.BICUBIC)) for image in load_sample_images().images]
    for i in range(count):
        photograph = photographs[i % 2]
        top, left = (int(rng.integers(side - SIDE + 1)) for side in photograph.shape[:2])
        crops.append(np.ascontiguousarray(photograph[top : top + SIDE, left : left + SIDE]))
    return crops


def ours(planar: np.ndarray, example: str, name: str, severity: int) -> np.ndarray:
    return corrupt_image(planar, example, CorruptionSetting(name, severity, "imagenet-c"), 0)


def speed(args: argparse.Namespace, peer: Peer) -> list[str]:
    images = random_crops(args.images)
    planar = [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in images]
    lines = [
        f"## Speed at 224×224 against {args.peer}, {args.threads} thread(s) of ours, one of theirs; {args.images} images at all five severities, in turns",
        "",
        "| corruption | ours, images/s | theirs, images/s | ratio |",
        "| --- | --- | --- | --- |",
    ]
    totals = np.zeros(2)
    with ThreadPoolExecutor(args.threads) as pool:
        for name in args.names:
            spent = np.zeros(2)
            for severity in SEVERITIES:
                ours(planar[0], "warm", name, severity)
                peer(images[0], severity, name)
                for start in range(0, len(images), args.threads):
                    part = range(start, min(start + args.threads, len(images)))
                    began = time.perf_counter()
                    list(pool.map(lambda i: ours(planar[i], str(i), name, severity), part))  # noqa: B023 - drained at once
                    middle = time.perf_counter()
                    for i in part:
                        peer(images[i], severity, name)
                    spent += middle - began, time.perf_counter() - middle
            totals += spent * (name in COMMON)
            n = len(images) * len(SEVERITIES)
            lines.append(f"| {name} | {n / spent[0]:,.0f} | {n / spent[1]:,.0f} | {spent[1] / spent[0]:.1f} |")
    n = len(images) * len(SEVERITIES)
    lines.append(f"| **the fifteen, one of each** | {n / totals[0]:,.1f} | {n / totals[1]:,.1f} | **{totals[1] / totals[0]:.1f}** |")
    return lines


def compare(args: argparse.Namespace, peer: Peer) -> list[str]:
    """Mean and standard deviation of an image's levels, and of its differences between neighbours: brightness, contrast, sharpness."""
    np.random.seed(0)  # what the peers draw from
    images = random_crops(args.images)
    lines = [
        f"## Statistics at 224×224 against {args.peer}: {args.images} images each, levels 0 … 255, ours / theirs",
        "",
        "Sharpness is the mean absolute difference between neighbours. z is the largest of the three differences over its standard error between images.",
        "",
        "| corruption | severity | mean | deviation | sharpness | z |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in args.names:
        for severity in SEVERITIES:
            mine = np.array([_moments(ours(np.ascontiguousarray(im.transpose(2, 0, 1)), str(i), name, severity)) for i, im in enumerate(images)])
            theirs = np.array([_moments(peer(im, severity, name).transpose(2, 0, 1)) for im in images])
            apart = mine - theirs
            error = np.maximum(apart.std(axis=0, ddof=1) / len(images) ** 0.5, 0.05)
            z = np.abs(apart.mean(axis=0) / error).max()
            cells = " | ".join(f"{a:.1f} / {b:.1f}" for a, b in zip(mine.mean(axis=0), theirs.mean(axis=0), strict=True))
            lines.append(f"| {name} | {severity} | {cells} | {z:.1f} |")
    return lines


def _moments(image: np.ndarray) -> tuple[float, float, float]:
    levels = image.astype(np.float32)
    return float(levels.mean()), float(levels.std()), float(np.abs(np.diff(levels, axis=2)).mean())


def accuracy(args: argparse.Namespace, peer: Peer) -> list[str]:
    """Share of right answers on the same images under both, at the strengths for 224 pixels that the peers know."""
    from efficient360.datasets.loader import open_dataset
    from efficient360.datasets.spec import DatasetSpec
    from efficient360.models.building import load_model
    from efficient360.models.checkpoint import CheckpointSpec
    from efficient360.models.references import resolve

    np.random.seed(0)  # what the peers draw from
    checkpoint = resolve(CheckpointSpec(args.checkpoint))
    model, spec = load_model(checkpoint), DatasetSpec(args.dataset, Path(args.data_dir), max_examples=args.examples)
    batch = next(open_dataset(spec, checkpoint, 0).examples.batches(args.examples))
    pixels = (batch.images * 255).round().byte().numpy()

    def right(made: list[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            predicted = torch.cat([model(part.float() / 255).argmax(1) for part in torch.from_numpy(np.stack(made)).split(50)])
            return (predicted == batch.labels).double().numpy()

    lines = [
        f"## Accuracy of {checkpoint.name} on the same {len(batch)} images, against {args.peer}: clean {right(list(pixels)).mean():.1%}",
        "",
        "z is the difference over its standard error from pairs.",
        "",
        "| corruption | severity | ours | theirs | z |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in args.names:
        for severity in args.severities:
            mine = right([ours(image, example, name, severity) for image, example in zip(pixels, batch.ids, strict=True)])
            theirs = right([peer(np.ascontiguousarray(image.transpose(1, 2, 0)), severity, name).transpose(2, 0, 1) for image in pixels])
            error = (mine - theirs).std(ddof=1) / len(mine) ** 0.5
            z = (mine.mean() - theirs.mean()) / max(error, 1 / len(mine))
            lines.append(f"| {name} | {severity} | {mine.mean():.1%} | {theirs.mean():.1%} | {z:+.1f} |")
    return lines


if __name__ == "__main__":
    main()
