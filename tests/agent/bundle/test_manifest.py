"""Bundles on disk: whole ones load, everything else is refused with a sentence that helps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agent.bundle.manifest import MANIFEST, LayoutEntry, load_bundle
from agent.errors import BundleFileError, ManifestError
from tests.agent.toy_bundle import TOKENS, write_toy_bundle, write_toy_manifest


@pytest.fixture
def directory(toy_directory: Path, tmp_path: Path) -> Path:
    """A bundle that may be changed."""
    return Path(shutil.copytree(toy_directory, tmp_path / "toy"))


def _change(directory: Path, **changes: object) -> None:
    path = directory / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_whole_bundle(toy_directory: Path):
    bundle = load_bundle(toy_directory)
    assert bundle.manifest.name == "toy"
    assert bundle.path("encoder_slow") == toy_directory / "encoder_slow.tflite"
    assert bundle.tokens() == (TOKENS[0], " ", *TOKENS[2:])
    roles = {entry.path: entry.role for entry in bundle.manifest.files}
    assert roles["wake/beep.tflite"] == "wake"
    assert roles["selftest/0.flac"] == "selftest"
    assert roles["CARD.md"] == "card"
    assert MANIFEST not in roles


def test_a_missing_role_is_named(directory: Path):
    with pytest.raises(BundleFileError, match="role 'encoder_fast'"):
        load_bundle(directory).path("encoder_fast")


def test_the_same_files_give_the_same_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    first = write_toy_bundle(tmp_path / "a") / MANIFEST
    second = write_toy_bundle(tmp_path / "b") / MANIFEST
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(first.read_text())["created"] == "2026-01-01T00:00:00Z"


def test_writing_again_leaves_no_temporary_file(directory: Path):
    before = sorted(directory.rglob("*"))
    write_toy_manifest(directory)
    assert sorted(directory.rglob("*")) == before


def test_macs_come_from_the_layout(directory: Path):
    assert load_bundle(directory).macs_per_frame() is None
    entries = [
        LayoutEntry(file=file, tensor=f"w{n}", offset=100, rows=4, cols=5 + n, scale_offset=200)
        for n, file in enumerate(("encoder_slow.tflite", "encoder_slow.tflite", "joiner.tflite"))
    ]
    write_toy_manifest(directory, layout=tuple(entries))
    assert load_bundle(directory).macs_per_frame() == 4 * 5 + 4 * 6


def test_a_missing_file(directory: Path):
    (directory / "joiner.tflite").unlink()
    with pytest.raises(BundleFileError, match=r"joiner.tflite is missing; restore the bundle"):
        load_bundle(directory)


def test_a_truncated_file(directory: Path):
    path = directory / "joiner.tflite"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleFileError, match=f"{size - 1} bytes instead of {size}"):
        load_bundle(directory, verify=False)


def test_one_altered_bit(directory: Path):
    path = directory / "joiner.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    load_bundle(directory, verify=False)  # the size is still right
    with pytest.raises(BundleFileError, match=r"joiner.tflite was altered"):
        load_bundle(directory)


def test_a_directory_in_place_of_a_file(directory: Path):
    (directory / "joiner.tflite").unlink()
    (directory / "joiner.tflite").mkdir()
    with pytest.raises(BundleFileError, match="is missing"):
        load_bundle(directory)


def test_optional_files_may_be_missing_but_not_altered(directory: Path):
    table = json.loads((directory / MANIFEST).read_text())
    for entry in table["files"]:
        entry["optional"] = entry["path"] == "CARD.md"
    _change(directory, files=table["files"])
    (directory / "CARD.md").unlink()
    with pytest.raises(BundleFileError, match="role 'card'"):
        load_bundle(directory).path("card")
    (directory / "CARD.md").write_text("something else")
    with pytest.raises(BundleFileError):
        load_bundle(directory)


def test_no_bundle_at_all(tmp_path: Path):
    with pytest.raises(ManifestError, match="is not a model bundle"):
        load_bundle(tmp_path)
    with pytest.raises(ManifestError, match="is not a model bundle"):
        load_bundle(tmp_path / "nowhere")


def test_an_unknown_version_is_refused(directory: Path):
    _change(directory, manifest=2)
    with pytest.raises(ManifestError, match=r"manifest.json: .* update the agent"):
        load_bundle(directory)


def test_a_newer_agent_is_asked_for(directory: Path):
    _change(directory, min_agent="99.0")
    with pytest.raises(ManifestError, match=r"needs agent 99.0 .* update the agent"):
        load_bundle(directory)


def test_other_features_are_refused(directory: Path):
    table = json.loads((directory / MANIFEST).read_text())
    _change(directory, features=table["features"] | {"mels": 80})
    with pytest.raises(ManifestError, match="other features"):
        load_bundle(directory)


@pytest.mark.parametrize(
    "content", [b"", b"<blank>\na\na\n", b"\xff\xfe\n"], ids=["empty", "twice", "not UTF-8"]
)
def test_broken_tokens_are_refused(directory: Path, content: bytes):
    (directory / "tokens.txt").write_bytes(content)
    write_toy_manifest(directory)
    with pytest.raises(BundleFileError, match=r"tokens.txt .*restore the bundle"):
        load_bundle(directory).tokens()


def test_the_manifest_is_readable_by_everyone(directory: Path):
    assert (directory / MANIFEST).stat().st_mode & 0o777 == 0o644
