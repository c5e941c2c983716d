from __future__ import annotations

import os
from pathlib import Path

import pytest

from converters import cache, cli


def put(path: Path, size: int, used: float) -> None:
    path.mkdir(parents=True)
    (path / "data").write_bytes(b"x" * size)
    os.utime(path / "data", (used, used))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kept"
    monkeypatch.setenv("VOICE_CONVERTERS_CACHE", str(folder))
    put(folder / "pools" / "old", 1000, 100.0)
    put(folder / "pools" / "new", 1000, 300.0)
    put(folder / "espeak-abc", 500, 200.0)
    return folder


def test_the_root_is_in_the_working_folder_unless_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("VOICE_CONVERTERS_CACHE", raising=False)
    assert cache.cache_root() == Path(".cache")
    monkeypatch.setenv("VOICE_CONVERTERS_CACHE", "/somewhere")
    assert cache.cache_root() == Path("/somewhere")


def test_keys_depend_on_content_and_not_on_order():
    assert cache.key({"a": 1, "b": [2]}) == cache.key({"b": [2], "a": 1})
    assert cache.key({"a": 1}) != cache.key({"a": 2})
    assert len(cache.key({})) == 12


def test_entries_with_the_longest_unused_first(root: Path):
    listed = cache.entries(root)
    assert [entry.path.name for entry in listed] == ["old", "espeak-abc", "new"]
    assert [entry.size for entry in listed] == [1000, 500, 1000]


def test_prune_stops_as_soon_as_the_rest_fits(root: Path):
    assert [entry.path.name for entry in cache.prune(root, 1500)] == ["old"]
    assert [entry.path.name for entry in cache.entries(root)] == ["espeak-abc", "new"]
    assert cache.prune(root, 1500) == []


def test_a_cache_that_is_not_there(tmp_path: Path):
    assert cache.entries(tmp_path / "none") == []
    assert cache.prune(tmp_path / "none", 0) == []


def test_the_command_lists_and_prunes(root: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["cache"]) == 0
    assert "pools/old" in capsys.readouterr().out
    assert cli.main(["cache", "--prune", "--limit-gb", "0.0000015"]) == 0
    shown = capsys.readouterr().out
    assert f"removed {root}/pools/old" in shown
    assert not (root / "pools" / "old").exists()
