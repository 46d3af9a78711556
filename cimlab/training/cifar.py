"""CIFAR-10: found or downloaded, verified, never by way of pickle.

The canonical archive comes in three forms of the same pixels; this reads the *binary* one,
because the "python" form is pickles, and unpickling runs what a file says. Looked for, in this
order, in the folder that CIMLAB_DATA names and in the user's cache:

- `cifar-10-binary.tar.gz`, verified by its MD5 (the authors publish no other sum);
- a folder `cifar10` of images, `train/CLASS/*.jpg` and `test/CLASS/*.jpg` (or .png);
- an archive `cifar10*.tar.xz` of such a folder. Its pictures are decoded once, into the cache.

Else the canonical archive is downloaded into the cache. `Images.source` says what was read: a
folder of JPEGs is a lossy copy, and figures from it must say so.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
from numpy.typing import NDArray

from cimlab.core.errors import DataError

from .data import CONNECT_TIMEOUT, READ_TIMEOUT, Images

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
ARCHIVE = "cifar-10-binary.tar.gz"
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32
_TRAIN = tuple(f"cifar-10-batches-bin/data_batch_{k}.bin" for k in range(1, 6))
_TEST = ("cifar-10-batches-bin/test_batch.bin",)
_PICTURE = re.compile(rf"(?:.*/)?(train|test)/({'|'.join(CLASSES)})/[^/]+\.(?:jpe?g|png)")
_PICTURE_BYTES = 1 << 20
_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
# what damaged archives and pictures raise
_UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, ValueError)


def load_cifar10() -> Images:
    """CIFAR-10 as arrays, downloaded at the first call.

    Raises:
        DataError: No source could be used, or what was found is damaged.
    """
    return _read(fetch_cifar10())


def fetch_cifar10(progress: bool = False) -> Path:
    """Make CIFAR-10 available; returns the archive or folder that holds it.

    Args:
        progress: Show the progress of a download on standard error.

    Raises:
        DataError: As load_cifar10.
    """
    cache = _cache()
    named = os.environ.get("CIMLAB_DATA")
    for folder in [Path(named)] if named else []:
        if found := next(_candidates(folder), None):
            return found
    if (kept := cache / ARCHIVE).is_file():
        return kept
    try:
        download = pooch.HTTPDownloader(
            progressbar=progress, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
        )
        return Path(pooch.retrieve(URL, f"md5:{MD5}", ARCHIVE, cache, downloader=download))
    except (OSError, ValueError) as error:
        brief = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise DataError(
            f"CIFAR-10 is not on this machine and could not be downloaded: {URL}: {brief}\n"
            f"Put {ARCHIVE} (md5 {MD5}), or a folder cifar10 with train/CLASS/*.jpg and "
            "test/CLASS/*.jpg, into a folder and set CIMLAB_DATA to it"
        ) from error


def _cache() -> Path:
    return Path(pooch.os_cache("cimlab")) / "cifar10"


def _candidates(folder: Path) -> Iterator[Path]:
    """What in a folder may hold the data set, best first."""
    if (canonical := folder / ARCHIVE).is_file():
        yield canonical
    for images in (folder / "cifar10", folder):
        if (images / "train").is_dir() and (images / "test").is_dir():
            yield images
    yield from sorted(folder.glob("cifar10*.tar.xz"))


def _read(path: Path) -> Images:
    try:
        if path.name == ARCHIVE:
            return _canonical(path)
        if path.is_dir():
            return _shuffled(_pictures(_of_folder(path), f"images of {path.name}"))
        return _shuffled(_of_copy(path))
    except _UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _shuffled(images: Images) -> Images:
    """In an order that means nothing, always the same: folders are sorted by class.

    So the first images, for calibration or a short test, are a sample of all classes, as those
    of the canonical archive are.
    """
    rng = np.random.default_rng(0)
    parts = (("train_images", "train_labels"), ("test_images", "test_labels"))
    orders = [rng.permutation(len(getattr(images, labels))) for _, labels in parts]
    return replace(
        images,
        **{n: getattr(images, n)[o] for names, o in zip(parts, orders, strict=True) for n in names},
    )


def _canonical(path: Path) -> Images:
    """The binary archive: records of a label and three planes of 1,024 bytes."""
    whole = path.read_bytes()
    if (got := hashlib.md5(whole, usedforsecurity=False).hexdigest()) != MD5:
        raise DataError(f"{path} is corrupt: md5 {got}, not {MD5}")
    with tarfile.open(fileobj=io.BytesIO(whole), mode="r:gz") as archive:
        return Images(*_records(archive, _TRAIN), *_records(archive, _TEST))


def _records(
    archive: tarfile.TarFile, names: Iterable[str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (n, 3, 32, 32) and labels (n,) of files of records."""
    parts = []
    for name in names:
        try:
            member = archive.extractfile(name)
        except KeyError:
            member = None
        if member is None:
            raise DataError(f"the archive has no file {name}")
        parts.append(records(member.read(), name))
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def records(contents: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (n, 3, 32, 32) and labels (n,) of the bytes of one file of records.

    Raises:
        DataError: These are not whole records, or a label is none of the ten.
    """
    if not contents or len(contents) % _RECORD:
        raise DataError(f"{name}: {len(contents)} bytes are not records of {_RECORD}")
    table = np.frombuffer(contents, np.uint8).reshape(-1, _RECORD)
    if table[:, 0].max() >= len(CLASSES):
        raise DataError(f"{name}: a label is {table[:, 0].max()}, not 0 to 9")
    return table[:, 1:].reshape(-1, *SHAPE).copy(), table[:, 0].copy()


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("t*/*/*")):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def _of_copy(path: Path) -> Images:
    """An archive of pictures, decoded once and then kept as plain arrays in the cache."""
    stat = path.stat()
    kept = _cache() / f"{path.name}-{stat.st_size}-{stat.st_mtime_ns}.npz"
    source = "JPEG copy" if "jpeg" in path.name or "jpg" in path.name else f"images of {path.name}"
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as arrays:
            train, train_labels, test, test_labels = (arrays[name] for name in _ARRAYS)
        return Images(train, train_labels, test, test_labels, source)
    with tarfile.open(path, mode="r|xz") as archive:
        images = _pictures(_of_archive(archive), source)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as part:
        np.savez(part, **{name: getattr(images, name) for name in _ARRAYS})
    Path(part.name).replace(kept)
    return images


def _of_archive(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        if member.isfile() and member.size <= _PICTURE_BYTES:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name, file.read()


def _pictures(files: Iterable[tuple[str, bytes]], source: str) -> Images:
    """Images of files named (train|test)/CLASS/picture; other files are passed over."""
    found: dict[str, tuple[list[NDArray[np.uint8]], list[int]]] = {
        "train": ([], []),
        "test": ([], []),
    }
    for name, contents in files:
        if match := _PICTURE.fullmatch(name):
            images, labels = found[match[1]]
            images.append(_decoded(name, contents))
            labels.append(CLASSES.index(match[2]))
    for part, (images, _) in found.items():
        if not images:
            raise DataError(f"{source}: no picture {part}/CLASS/*.jpg of CIFAR-10's classes")
    (train, train_labels), (test, test_labels) = found["train"], found["test"]
    return Images(
        np.stack(train),
        np.array(train_labels, np.uint8),
        np.stack(test),
        np.array(test_labels, np.uint8),
        source,
    )


def _decoded(name: str, contents: bytes) -> NDArray[np.uint8]:
    """A picture as (3, 32, 32)."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(contents), formats=("JPEG", "PNG")) as picture:
            if picture.size != SHAPE[:0:-1]:
                raise DataError(f"{name} has {picture.size} pixels, not {SHAPE[:0:-1]}")
            return np.asarray(picture.convert("RGB"), np.uint8).transpose(2, 0, 1)
    except (*_UNREADABLE, SyntaxError) as error:
        raise DataError(f"{name} is no picture: {error}") from error
