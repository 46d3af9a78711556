"""CIFAR-10 from archives and folders, tiny ones; damage is told, nothing is unpickled."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cimlab.core.errors import DataError
from cimlab.training import cifar

RNG = np.random.default_rng(0)


def record(label: int, image: np.ndarray) -> bytes:
    return bytes([label]) + image.tobytes()


def pictures() -> dict[str, np.ndarray]:
    """Two flat pictures a class and part; flat ones survive JPEG."""
    found = {}
    for part in ("train", "test"):
        for k, name in enumerate(cifar.CLASSES):
            for n in range(2):
                colour = np.array([20 * k, 250 - 20 * k, 100 * n + (part == "test")], np.uint8)
                found[f"{part}/{name}/{n:04}.png"] = np.tile(colour, (32, 32, 1))
    return found


def encoded(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def add(archive: tarfile.TarFile, name: str, contents: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(contents)
    archive.addfile(member, io.BytesIO(contents))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder as CIMLAB_DATA, an empty cache, and nothing to download from."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("CIMLAB_DATA", str(folder))
    monkeypatch.setattr(cifar.pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setattr(cifar, "URL", "http://127.0.0.1:9/none.tar.gz")
    return folder


def canonical(folder: Path, monkeypatch, leave_out: str = "") -> np.ndarray:
    """A small archive of the canonical form; returns its images, the test's last."""
    images = RNG.integers(0, 256, (6, 3, 32, 32)).astype(np.uint8)
    with tarfile.open(folder / cifar.ARCHIVE, "w:gz") as archive:
        names = [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"]
        for k, name in enumerate(names):
            if name != leave_out:
                add(archive, f"cifar-10-batches-bin/{name}", record(k, images[k]))
    sum_ = hashlib.md5((folder / cifar.ARCHIVE).read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(cifar, "MD5", sum_)
    return images


def test_the_canonical_archive(place, monkeypatch) -> None:
    images = canonical(place, monkeypatch)
    found = cifar.load_cifar10()
    assert np.array_equal(found.train_images, images[:5])
    assert np.array_equal(found.test_images, images[5:])
    assert found.train_labels.tolist() == [0, 1, 2, 3, 4]
    assert found.test_labels.tolist() == [5]
    assert found.source == "canonical"


def test_damage_of_the_canonical_archive_is_told(place, monkeypatch) -> None:
    canonical(place, monkeypatch, leave_out="data_batch_3.bin")
    with pytest.raises(DataError, match="no file .*data_batch_3"):
        cifar.load_cifar10()
    whole = bytearray((place / cifar.ARCHIVE).read_bytes())
    whole[len(whole) // 2] ^= 1
    (place / cifar.ARCHIVE).write_bytes(whole)
    with pytest.raises(DataError, match="corrupt: md5"):
        cifar.load_cifar10()


@given(st.binary(max_size=2 * 3073 + 1) | st.binary(min_size=3073, max_size=3073))
def test_any_bytes_are_records_or_a_data_error(contents: bytes) -> None:
    try:
        images, labels = cifar.records(contents, "any")
    except DataError:
        return
    assert b"".join(map(record, labels.tolist(), images)) == contents
    assert labels.max() < 10


@pytest.mark.parametrize("below", ["", "cifar10/"])
def test_a_folder_of_pictures(place, below) -> None:
    for name, picture in pictures().items():
        file = place / below / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(picture))
    check(cifar.load_cifar10())


def check(found: cifar.Images) -> None:
    for part, images, labels in (
        ("train", found.train_images, found.train_labels),
        ("test", found.test_images, found.test_labels),
    ):
        wanted = {
            (cifar.CLASSES.index(name.split("/")[1]), p.transpose(2, 0, 1).tobytes())
            for name, p in pictures().items()
            if name.startswith(part)
        }
        got = [(int(k), image.tobytes()) for k, image in zip(labels, images, strict=True)]
        assert len(got) == len(wanted)
        assert set(got) == wanted
        # the first half of a sorted folder would be of five classes
        assert len(set(labels[:10].tolist())) > 5


def test_an_archive_of_pictures_is_decoded_once(place, monkeypatch) -> None:
    archive = place / "cifar10-jpeg.tar.xz"
    with tarfile.open(archive, "w:xz") as file:
        add(file, "README.md", b"not a picture")
        for name, picture in pictures().items():
            add(file, name, encoded(picture))
    found = cifar.load_cifar10()
    check(found)
    assert found.source == "JPEG copy"
    monkeypatch.delattr(cifar, "_of_archive")
    check(cifar.load_cifar10())


@pytest.mark.parametrize(
    ("contents", "message"),
    [(b"no picture at all", "no picture"), (encoded(np.zeros((31, 32, 3), np.uint8)), "pixels")],
)
def test_what_is_no_picture_is_told(place, contents, message) -> None:
    for part in ("train", "test"):
        (place / part / "cat").mkdir(parents=True)
        (place / part / "cat" / "0.png").write_bytes(contents)
    with pytest.raises(DataError, match=message):
        cifar.load_cifar10()


def test_without_pictures_or_with_half_an_archive(place) -> None:
    (place / "train").mkdir()
    (place / "test").mkdir()
    with pytest.raises(DataError, match="no picture train"):
        cifar.load_cifar10()
    (place / "train").rmdir()
    (place / "cifar10-jpeg.tar.xz").write_bytes(b"\xfd7zXZ\0 and no more")
    with pytest.raises(DataError, match="cannot be read"):
        cifar.load_cifar10()


def test_without_any_source(place) -> None:
    with pytest.raises(DataError, match="CIMLAB_DATA"):
        cifar.load_cifar10()
