"""Images as users have them: pixels of every kind, folders with faults, and files that cannot be read."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qat.data import readable
from qat.data.datasets import Data, open_data
from qat.data.folders import class_names
from qat.data.images import FolderImages
from qat.data.readable import check_images, without
from qat.files.pixels import MOST_PIXELS, _ends_well, check_image, read_image, read_size
from siliquant.inputs.errors import InputError


def ramp(kind: str, top: float) -> np.ndarray:
    return np.linspace(0, top, 64).astype(kind).reshape(8, 8)


GREY = np.repeat((np.linspace(0, 255, 64).reshape(8, 8) + 0.5).astype(np.uint8)[..., None], 3, axis=2)


def tiff(pixels: np.ndarray, path: Path, bits: int = 16, white_is_zero: bool = False) -> None:
    """A plain grey TIFF, little-endian, with tags of our choice."""
    data = pixels.astype("<u2").tobytes()
    tags = [(256, 4, pixels.shape[1]), (257, 4, pixels.shape[0]), (258, 3, bits), (259, 3, 1),
            (262, 3, 0 if white_is_zero else 1), (273, 4, 8), (277, 3, 1), (278, 4, pixels.shape[0]),
            (279, 4, len(data)), (339, 3, 1)]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, kind, 1, v) for tag, kind, v in tags)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4))


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_grey_of_16_bits_is_scaled(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(ramp("uint16", 65535)).save(path)
    found = np.asarray(read_image(path)).astype(int)
    assert found.shape == (8, 8, 3)
    assert np.abs(found - GREY.astype(int)).max() <= 1
    assert (found[0, 0].tolist(), found[-1, -1].tolist()) == ([0] * 3, [255] * 3)
    assert check_image(path) == (8, 8)


def test_big_endian_fewer_bits_and_white_as_zero(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tiff(ramp("uint16", 65535), path, white_is_zero=True)
    assert np.abs(np.asarray(read_image(path)).astype(int) - (255 - GREY.astype(int))).max() <= 1
    big = ramp(">u2", 65535)
    Image.frombytes("I;16B", (8, 8), big.tobytes()).save(tmp_path / "b.tif")
    assert np.abs(np.asarray(read_image(tmp_path / "b.tif")).astype(int) - GREY.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("mode", "kind"), [("F", "floating-point"), ("I", "signed or 32-bit"), ("LAB", "LAB")]
)  # fmt: skip
def test_pixels_without_a_known_white_are_refused(tmp_path: Path, mode: str, kind: str) -> None:
    path = tmp_path / "x.tif"
    if mode == "LAB":
        Image.new("LAB", (8, 8)).save(path)
    else:
        Image.fromarray(ramp("float32" if mode == "F" else "int32", 1.0)).save(path)
    for read in (read_image, check_image):
        with pytest.raises(InputError, match=f"^{path}.*must .* {kind}"):
            read(path)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "CMYK"])
def test_other_modes_are_converted(tmp_path: Path, mode: str, recwarn: pytest.WarningsRecorder) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    image = Image.fromarray(GREY).convert(mode)
    if mode == "P":
        image.save(tmp_path / f"x.{suffix}", transparency=bytes(range(256)))
    else:
        image.save(tmp_path / f"x.{suffix}")
    found = np.asarray(read_image(tmp_path / f"x.{suffix}")).astype(int)
    assert np.abs(found - np.asarray(image.convert("RGB")).astype(int)).max() <= 12
    assert not recwarn.list


def test_a_transparent_pixel_keeps_its_colour_and_exif_turns_nothing(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 100, 50, 0)).save(tmp_path / "x.png")
    assert np.asarray(read_image(tmp_path / "x.png"))[0, 0].tolist() == [200, 100, 50]
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "x.jpg", exif=exif)
    assert read_size(tmp_path / "x.jpg") == (20, 40)
    assert read_image(tmp_path / "x.jpg").size == (40, 20)


def bomb(width: int, height: int, lines: int = 10) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((width // 8 + 1) * lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(8193, 8192), (20_000, 10_000), (2**31 - 1, 2**31 - 1)])
def test_images_that_would_fill_memory(
    tmp_path: Path, width: int, height: int, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "x.png").write_bytes(bomb(width, height, lines=10 if width < 2**20 else 1))
    for read in (read_image, read_size, check_image):
        with pytest.raises(InputError, match=rf"x\.png must have at most {MOST_PIXELS} pixels"):
            read(tmp_path / "x.png")
    assert not recwarn.list


def jpeg(size: int = 64) -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    Image.fromarray(pixels).save(content, "JPEG")
    return content.getvalue()


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) (w) file\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "it is a pointer of Git LFS"),
        (b"no image at all", "it has no BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP in a form"),
        (POSTSCRIPT, "it has no BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP in a form"),  # Pillow would start a program
        (jpeg()[:700], ""),
        (jpeg()[:100], ""),
        (bomb(8, 8)[:-30], ""),
        (b"P5\n9999999999 9999999999\n255\n", ""),
        (b"P5\n8 8\n0\n" + bytes(64), ""),
        (b"BM" + b"\xff" * 60, ""),
        (b"GIF89a" + b"\xff" * 20, ""),
        (b"II*\0\x08\0\0\0\xff\xff" + bytes(40), ""),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(40), ""),
    ],
)
def test_files_that_are_no_image(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    for read in (read_image, check_image):
        with pytest.raises(
            InputError, match=rf"^{tmp_path}/x\.jpg (is not an image that can be read: {reason}|must have)"
        ):
            read(tmp_path / "x.jpg")


def test_pipes_and_links_that_lead_nowhere(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("/nonexistent/x.png")
    (tmp_path / "folder.png").mkdir()
    for name, reason in (
        ("pipe", "a pipe"),
        ("link", r"no such file \(a link to /nonexistent/x\.png\)"),
        ("folder", "a folder"),
    ):
        with pytest.raises(InputError, match=rf"{name}\.png is not an image that can be read: .*{reason}"):
            read_image(tmp_path / f"{name}.png")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Classes a and b: five images to train, two to test."""
    for part, numbers in (("train", range(5)), ("val", range(2))):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            for number in numbers:
                Image.new("RGB", (12, 10), (number * 40, 0, 0)).save(tmp_path / part / name / f"{number}.png")
    return tmp_path


def opened(folder: Path) -> Data:
    return open_data(f"imagefolder:{folder}", image_size=8)


def test_faults_are_found_at_once_and_named(images: Path) -> None:
    (images / "train" / "b" / "1.png").write_bytes(b"x")
    (images / "val" / "a" / "0.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        check_images(opened(images))
    assert "train/b/1.png is not an image that can be read: " in str(caught.value)
    assert str(caught.value).endswith("2 of 14 images cannot be read, and at most 0 may be: mend them")
    for skip in (0, 1):
        with pytest.raises(InputError, match=r"2 of 14 images cannot be read, and at most .* may be") as caught:
            check_images(opened(images), skip=skip)
        assert str(caught.value).endswith(
            f"at most {skip} may be: mend them, or leave them out with --skip-unreadable N"
        )


@pytest.mark.parametrize("few", [0, 1024])
def test_skipped_images_are_recorded_and_the_others_keep_order_and_label(
    images: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By several processes or by one; then by the names alone, when the files are whole again."""
    monkeypatch.setattr(readable, "_FEW", few)
    monkeypatch.setattr(readable, "_CHUNK", 3)
    whole = (images / "train" / "b" / "1.png").read_bytes()
    (images / "train" / "b" / "1.png").write_bytes(whole[: len(whole) // 2])
    (images / "val" / "a" / "0.png").write_bytes(b"")
    reported: list[tuple[int, int]] = []
    data, names = check_images(
        opened(images), skip=2, processes=2, report=lambda done, total: reported.append((done, total))
    )
    assert names == {"train": ["b/1.png"], "test": ["a/0.png"]}
    assert reported[-1] == (14, 14)
    assert isinstance(data.train, FolderImages)
    assert isinstance(data.test, FolderImages)
    assert data.train.labels.tolist() == [0] * 5 + [1] * 4
    assert [name.decode() for name in data.train.names[5:]] == ["b/0.png", "b/2.png", "b/3.png", "b/4.png"]
    assert data.train.measured.tolist() == [[10, 12]] * 9
    assert data.classes == ("a", "b")
    assert len(data.train.fetch(np.arange(9))) == 9
    again = without(opened(images), names)
    assert again.train.fingerprint == data.train.fingerprint


def test_damage_inside_is_found_where_images_may_be_skipped(images: Path) -> None:
    path = images / "train" / "a" / "0.png"
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(content)
    assert check_images(opened(images))[1] == {}
    assert check_images(opened(images), skip=1)[1] == {"train": ["a/0.png"]}


def test_long_paths_are_named_by_their_ends(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    for part in ("train", "val"):
        for name in "ab":
            (folder / part / name).mkdir(parents=True)
            for number in range(3):
                (folder / part / name / f"{number}.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        check_images(opened(folder), skip=0)
    assert all(f"/train/a/{number}.png is not an image" in str(caught.value) for number in range(3))
    assert len(str(caught.value)) <= 500


class Counted(io.BytesIO):
    """A file that knows how many bytes were read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_of_a_whole_file_few_bytes_are_read(kind: str) -> None:
    content = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    Image.fromarray(pixels).save(content, kind)
    whole = content.getvalue()
    assert len(whole) > 1 << 14
    stream = Counted(whole)
    assert _ends_well(kind, stream)
    assert stream.count < 64
    assert not _ends_well(kind, io.BytesIO(whole[:-100]))
    assert _ends_well(kind, io.BytesIO(whole + bytes(1000)))  # as some cameras and old programs write


def test_a_class_keeps_an_image(images: Path) -> None:
    for number in range(5):
        (images / "train" / "a" / f"{number}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"train/a must hold an image that can be read$"):
        check_images(opened(images), skip=9)


def test_a_class_folder_that_leads_nowhere_is_refused(images: Path) -> None:
    """Without it, b would become class 0."""
    (images / "train" / "a").rename(images / "elsewhere")
    (images / "train" / "a").symlink_to(images / "gone", target_is_directory=True)
    with pytest.raises(InputError, match=r"train/a: is a link to .*gone.*, which does not exist$"):
        opened(images)
    (images / "train" / "a").unlink()
    (images / "train" / "a").symlink_to(images / "elsewhere", target_is_directory=True)
    assert opened(images).train.labels.tolist() == [0] * 5 + [1] * 5
    (images / "train" / "loop").symlink_to(images / "train" / "loop")
    with pytest.raises(InputError, match="loop: is a link to"):
        class_names(images / "train")


def moved(folder: Path) -> None:
    for name in "ab":
        (folder / "train" / name / "images").mkdir()
        for file in (folder / "train" / name).glob("*.png"):
            file.rename(folder / "train" / name / "images" / file.name)


def flat(folder: Path) -> None:
    for name in "ab":
        for file in (folder / "val" / name).iterdir():
            file.rename(folder / "val" / f"{name}{file.name}")
        (folder / "val" / name).rmdir()


def foreign(folder: Path) -> None:
    for file in (folder / "val" / "a").iterdir():
        file.rename(file.with_suffix(".avif"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (moved, "train/a must hold images, but it holds none but images/; read are files in the folder itself that "),
        (flat, "val must hold one folder for each class, but it holds none but a0.png, a1.png, b0.png, b1.png"),
        (lambda folder: (folder / "val").rename(folder / "valid"), "but it is not a folder; .* holds train/, valid/"),
        (foreign, r"\.avif must be an image of a kind that is read: \.bmp, "),
        (lambda folder: (folder / "train" / "c").mkdir(), "train/c must hold images, but it holds none"),
        (lambda folder: (folder / "val" / "c").mkdir(), "val/c is a class that the training images do not have"),
    ],
)  # fmt: skip
def test_what_a_folder_holds_is_said(images: Path, change: Callable[[Path], object], message: str) -> None:
    change(images)
    with pytest.raises(InputError, match=message):
        opened(images)


def test_pgm_gif_and_files_that_are_none(images: Path) -> None:
    Image.new("L", (9, 9), 77).save(images / "train" / "a" / "x.pgm")
    Image.new("P", (9, 9)).save(images / "train" / "a" / "y.GIF")
    for name in ("Thumbs.db", "._x.png", "notes.txt", ".DS_Store"):
        (images / "train" / "a" / name).write_bytes(b"x")
    data, _ = check_images(opened(images))
    assert len(data.train.labels) == 12
    assert len(data.train.fetch(np.arange(12))) == 12
