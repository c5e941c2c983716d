from __future__ import annotations

import io
import lzma
import random
import tarfile
from pathlib import Path

import pytest

from agent.bundle.schema import LARGEST_FILE, MOST_FILES
from agent.errors import ImageError
from agent.update import full_image
from agent.update.full_image import unpack_image
from converters.updates.image_writer import write_image
from tests.agent.update.handmade import Files, read_files, write_files

FILES = {"a": b"one", "b/c.tflite": bytes(range(256)) * 40, "b/empty": b""}


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def image_of(files: Files) -> bytes:
    return tar_of(*(member(path, content) for path, content in files.items()))


def unpacked(content: bytes, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    unpack_image(io.BytesIO(content), folder)
    return read_files(folder)


@pytest.mark.parametrize("pack", [bytes, lzma.compress], ids=["plain", "xz"])
def test_there_and_back(pack, tmp_path: Path) -> None:
    assert unpacked(pack(image_of(FILES)), tmp_path / "result") == FILES


def test_what_publish_writes(tmp_path: Path) -> None:
    bundle = write_files(tmp_path / "bundle", FILES)
    (bundle / ".hidden").write_bytes(b"not part of a bundle")
    write_image(bundle, tmp_path / "image")
    write_image(bundle, tmp_path / "again")
    content = (tmp_path / "image").read_bytes()
    assert content == (tmp_path / "again").read_bytes()
    assert unpacked(content, tmp_path / "result") == FILES


def test_folders_are_allowed(tmp_path: Path) -> None:
    content = tar_of(
        member("./", type=tarfile.DIRTYPE), member("b", type=tarfile.DIRTYPE), member("./b/c", b"1")
    )
    assert unpacked(content, tmp_path / "result") == {"b/c": b"1"}


_FORBIDDEN = {
    "a path that climbs": member("../a", b"1"),
    "a path that climbs in the middle": member("b/../../a", b"1"),
    "an absolute path": member("/tmp/a", b"1"),
    "a hidden file": member(".a", b"1"),
    "a hidden folder": member("b/.c/d", b"1"),
    "a symbolic link": member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": member("a", type=tarfile.LNKTYPE, linkname="b"),
    "a device": member("a", type=tarfile.CHRTYPE),
    "a pipe": member("a", type=tarfile.FIFOTYPE),
    "a folder that climbs": member("..", type=tarfile.DIRTYPE),
    "a name with a newline": member("a\nb", b"1"),
}


@pytest.mark.parametrize("forbidden", _FORBIDDEN.values(), ids=_FORBIDDEN.keys())
def test_forbidden_members(forbidden: tuple[tarfile.TarInfo, bytes], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="which no bundle may"):
        unpacked(tar_of(member("first", b"1"), forbidden), tmp_path / "result")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result"]
    assert read_files(tmp_path / "result") == {"first": b"1"}


def test_a_file_twice(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds a twice"):
        unpacked(tar_of(member("a", b"1"), member("a", b"2")), tmp_path / "result")


def test_too_many_files(tmp_path: Path) -> None:
    content = tar_of(*(member(f"f{number}") for number in range(MOST_FILES + 1)))
    with pytest.raises(ImageError, match="more than a bundle may"):
        unpacked(content, tmp_path / "result")


def test_a_file_that_announces_gigabytes(tmp_path: Path) -> None:
    info, _ = member("a")
    for size in (LARGEST_FILE + 1, 1 << 40):
        info.size = size
        content = info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
        with pytest.raises(ImageError, match="more than a bundle may"):
            unpacked(content, tmp_path / str(size))


def test_cut_off(tmp_path: Path) -> None:
    for number, content in enumerate(
        (image_of(FILES)[:2000], lzma.compress(image_of(FILES))[:-40])
    ):
        with pytest.raises(ImageError):
            unpacked(content, tmp_path / str(number))


def test_cut_off_at_every_tenth(tmp_path: Path) -> None:
    for packed in (False, True):
        whole = image_of(FILES)
        whole = lzma.compress(whole) if packed else whole
        for tenth in range(1, 6):  # behind that a plain tar is only padding
            with pytest.raises(ImageError):
                unpacked(whole[: len(whole) * tenth // 10], tmp_path / f"{packed}-{tenth}")


def test_a_tar_that_was_cut_off_before_it_was_packed(tmp_path: Path) -> None:
    whole = image_of(FILES)
    # In the content of the second file, which begins at byte 1536.
    with pytest.raises(ImageError, match="no tar of a bundle"):
        unpacked(lzma.compress(whole[:5000]), tmp_path / "result")


def test_an_image_that_unpacks_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_image, "_LARGEST_TAR", 5000)
    with pytest.raises(ImageError, match="unpacks to more than 5000 bytes"):
        unpacked(lzma.compress(image_of(FILES)), tmp_path / "result")


def test_an_unpacker_that_wants_too_much_memory(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 128 << 20}]
    content = lzma.compress(image_of(FILES), filters=filters)
    with pytest.raises(ImageError, match="no tar of a bundle"):
        unpacked(content, tmp_path / "result")


@pytest.mark.parametrize("content", [b"", b"\xfd7zXZ\x00", b"nonsense" * 200])
def test_something_else(content: bytes, tmp_path: Path) -> None:
    try:
        assert unpacked(content, tmp_path / "result") == {}
    except ImageError:
        assert read_files(tmp_path / "result") == {}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "xz"])
def test_mutations(packed: bool, tmp_path: Path) -> None:
    """Whatever is wrong with an image is an ImageError."""
    whole = image_of(FILES)
    whole = lzma.compress(whole) if packed else whole
    for seed in range(150):
        generator = random.Random(seed)
        content = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            unpack_image(io.BytesIO(bytes(content)), folder)
        except ImageError:
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
