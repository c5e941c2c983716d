from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import pytest

from agent.bundle.schema import LARGEST_FILE, MOST_FILES
from agent.errors import BundleFileError
from agent.update import bundle_files
from agent.update.bundle_files import FileDigest, bundle_digest, bundle_paths, digest_files
from tests.agent.update.handmade import write_files


def test_digest_by_definition(tmp_path: Path) -> None:
    files = {"b": b"two", "a/c": b"", "a-b": b"one"}
    expected = hashlib.sha256()
    # "a-b" comes before "a/c": the order is that of bytes, and 0x2d is below 0x2f.
    for path in ("a-b", "a/c", "b"):
        content = files[path]
        expected.update(struct.pack("<H", len(path)) + path.encode())
        expected.update(struct.pack("<Q", len(content)) + hashlib.sha256(content).digest())
    digests = digest_files(write_files(tmp_path / "bundle", files))
    assert [file.path for file in digests] == ["a-b", "a/c", "b"]
    assert bundle_digest(digests) == expected.hexdigest()
    assert bundle_digest(reversed(digests)) == expected.hexdigest()


def test_nothing_changes_unnoticed(tmp_path: Path) -> None:
    one = FileDigest("a", 3, "00" * 32)
    others = [
        [FileDigest("b", 3, "00" * 32)],
        [FileDigest("a", 4, "00" * 32)],
        [FileDigest("a", 3, "01" * 32)],
        [one, FileDigest("b", 0, "00" * 32)],
        [],
    ]
    assert bundle_digest([one]) not in [bundle_digest(files) for files in others]


def test_what_starts_with_a_dot_is_no_part(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"a": b"1", ".b": b"2", ".c/d": b"3"})
    assert bundle_paths(folder) == ["a"]


def test_a_link_is_no_file_of_a_bundle(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"a": b"1"})
    (folder / "b").symlink_to("a")
    with pytest.raises(BundleFileError, match="not a regular file"):
        digest_files(folder)


def test_a_name_that_bundles_do_not_use(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"a b": b"1"})
    with pytest.raises(BundleFileError, match="has a name that bundles do not use"):
        digest_files(folder)


def test_folders_without_end(tmp_path: Path) -> None:
    write_files(tmp_path, {"/".join("d" * 18) + "/a": b"1"})
    with pytest.raises(BundleFileError, match="not a regular file"):
        digest_files(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleFileError, match="name a bundle") as caught:
        digest_files(tmp_path / "missing")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_file_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_files(tmp_path, {"a": b"1"})
    paths = bundle_paths(folder)
    (folder / "a").unlink()
    monkeypatch.setattr(bundle_files, "bundle_paths", lambda _: paths)
    with pytest.raises(BundleFileError, match="restore the bundle"):
        digest_files(folder)


def test_too_many_files(tmp_path: Path) -> None:
    write_files(tmp_path, {f"f{number}": b"" for number in range(MOST_FILES + 1)})
    with pytest.raises(BundleFileError, match=f"more than {MOST_FILES} files"):
        digest_files(tmp_path)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_files(tmp_path, {"a": b""}) / "a"
    os.truncate(path, LARGEST_FILE + 1)  # a hole: nothing is on the disk
    with pytest.raises(BundleFileError, match=f"larger than {LARGEST_FILE} bytes"):
        digest_files(tmp_path)
    os.truncate(path, 2000)
    monkeypatch.setattr(bundle_files, "LARGEST_BUNDLE", 1999)
    with pytest.raises(BundleFileError, match="more than 1999 bytes"):
        digest_files(tmp_path)
