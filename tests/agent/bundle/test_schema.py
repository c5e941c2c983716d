"""The manifest's parser: what is allowed, what is refused in which words, and any bytes at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bundle.manifest import agent_features
from agent.bundle.schema import (
    LARGEST_MANIFEST,
    LayoutEntry,
    Manifest,
    layout_hash,
    manifest_bytes,
    parse_manifest,
    safe_path,
    version_tuple,
)
from agent.errors import ManifestError
from agent.records import plain

_DIGEST = "0" * 64


def _table(**changes: Any) -> dict[str, Any]:
    table = {
        "manifest": 1,
        "name": "toy",
        "languages": ["en"],
        "release": 3,
        "model": "lstm4x320",
        "created": "2026-01-31T12:00:00Z",
        "features": plain(agent_features()),
        "tokens": {"kind": "characters", "blank": 0},
        "files": [
            {"path": "joiner.tflite", "role": "joiner", "bytes": 100, "sha256": _DIGEST},
            {"path": "wake/beep.tflite", "role": "wake", "bytes": 50, "sha256": _DIGEST},
            {"path": "selftest/1.flac", "role": "selftest", "bytes": 9, "sha256": _DIGEST},
        ],
        "wake": [{"phrase": "beep", "file": "wake/beep.tflite", "threshold": 500}],
        "selftest": [{"path": "selftest/1.flac", "text": "ab", "wake": "beep"}],
    }
    return table | changes


def _parse(table: Any) -> Manifest:
    return parse_manifest(json.dumps(table).encode())


def _file(**changes: Any) -> dict[str, Any]:
    return {"path": "joiner.tflite", "role": "joiner", "bytes": 100, "sha256": _DIGEST} | changes


def _matrix(**changes: Any) -> dict[str, Any]:
    entry = {"file": "joiner.tflite", "tensor": "w", "offset": 20, "rows": 4, "cols": 10}
    return entry | {"scale_offset": 60} | changes


def test_defaults_fill_what_is_not_said():
    manifest = _parse(_table())
    (word,) = manifest.wake
    assert (word.smoothing, word.refractory, word.latency, word.length) == (3, 25, 2, 15)
    assert word.second_stage is None
    assert manifest.decoder.max_symbols == 10
    assert manifest.min_agent == "0.0.0"
    assert manifest.find("wake/beep.tflite") == manifest.files[1]
    assert manifest.find("nothing") is None


def test_what_later_versions_add_is_ignored():
    table = _table(whisper_head={"file": "x"})
    table["files"].append(_file(path="events.tflite", role="events", future=True))
    table["wake"][0]["sounds_like"] = ["computer"]
    assert _parse(table).files[-1].role == "events"


def test_a_layout_and_its_hash():
    layout = [_matrix()]  # the matrix ends at byte 60, its four scales at byte 76 of 100
    digest = layout_hash((LayoutEntry(**layout[0]),))
    manifest = _parse(_table(layout=layout, layout_sha256=digest))
    assert manifest.layout[0].rows == 4
    with pytest.raises(ManifestError, match="layout_sha256: is not the hash"):
        _parse(_table(layout=[_matrix(offset=16)], layout_sha256=digest))


def test_the_same_manifest_gives_the_same_bytes():
    manifest = _parse(_table())
    content = manifest_bytes(manifest)
    assert content == manifest_bytes(parse_manifest(content))
    assert content.endswith(b"}\n")
    assert list(json.loads(content)) == sorted(json.loads(content))


_BROKEN = {
    "not an object": ([], "not a JSON object"),
    "no version": ({}, "`manifest`"),
    "a later version": (_table(manifest=2), "has version '2', this agent reads version 1"),
    "a version in words": (_table(manifest="1"), "version"),
    "a version that is true": (_table(manifest=True), "version"),
    "no name": ({k: v for k, v in _table().items() if k != "name"}, "name: is missing"),
    "a name with a slash": (_table(name="a/b"), "name: may hold"),
    "a release in words": (_table(release="3"), "release: must be a whole number"),
    "a negative release": (_table(release=-1), "release: must be at least 0"),
    "a local time": (_table(created="yesterday"), "created: must be a UTC time"),
    "an odd agent": (_table(min_agent="new"), "min_agent: must be a version"),
    "pieces": (_table(tokens={"kind": "pieces"}), r"tokens.kind: must be one of 'characters'"),
    "files no list": (_table(files={}), "files: must be a list"),
    "a path upwards": (_table(files=[_file(path="../x")]), "not a path inside the bundle"),
    "an absolute path": (_table(files=[_file(path="/etc/passwd")]), "not a path inside"),
    "the manifest itself": (_table(files=[_file(path="manifest.json")]), "not a path inside"),
    "a path twice": (_table(files=[_file(), _file(path="Joiner.tflite")]), "occurs twice"),
    "a path below a file": (
        _table(files=[_file(), _file(path="joiner.tflite/x")]),
        "lies below another file",
    ),
    "a short digest": (_table(files=[_file(sha256="00")]), "needs a SHA-256"),
    "a digest in capitals": (_table(files=[_file(sha256="A" * 64)]), "needs a SHA-256"),
    "a giant file": (_table(files=[_file(bytes=10**12)]), "bytes: must be at most"),
    "giant files together": (
        _table(files=[_file(path=f"{n}.tflite", bytes=60_000_000) for n in range(5)]),
        "bytes together",
    ),
    "very many files": (
        _table(files=[_file(path=f"{n}.bin", bytes=0) for n in range(1100)]),
        "more than 1024",
    ),
    "a wake word without a file": (
        _table(wake=[{"phrase": "x", "file": "wake/x.tflite", "threshold": 500}]),
        "wake: 'wake/x.tflite' is not among the files",
    ),
    "a threshold above 1": (
        _table(wake=[{"phrase": "x", "file": "wake/beep.tflite", "threshold": 1001}]),
        r"wake\[0\].threshold: must be at most 1000",
    ),
    "a ratio that is no integer": (
        _table(wake=[{"phrase": "x", "file": "wake/beep.tflite", "threshold": 0.5}]),
        "must be a whole number",
    ),
    "an empty phrase": (
        _table(wake=[{"phrase": " ", "file": "wake/beep.tflite", "threshold": 500}]),
        "a phrase is empty",
    ),
    "a self-test without a file": (
        _table(selftest=[{"path": "selftest/2.flac", "text": ""}]),
        "selftest: 'selftest/2.flac' is not among the files",
    ),
    "a layout of another file": (_table(layout=[_matrix(file="x")]), "is not among the files"),
    "a layout beyond the end": (_table(layout=[_matrix(rows=9)]), "reaches beyond the end"),
}


@pytest.mark.parametrize(("table", "message"), _BROKEN.values(), ids=_BROKEN)
def test_what_is_broken_is_refused_by_name(table: Any, message: str):
    with pytest.raises(ManifestError, match=message):
        _parse(table)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[" * 100_000, b'{"manifest": ' + b"9" * 5000 + b"}", b"NaN"],
    ids=["empty", "not UTF-8", "deep", "a huge number", "no JSON"],
)
def test_what_is_no_json_is_refused(content: bytes):
    with pytest.raises(ManifestError):
        parse_manifest(content)


def test_a_giant_manifest_is_not_even_parsed():
    with pytest.raises(ManifestError, match="longer than"):
        parse_manifest(b" " * (LARGEST_MANIFEST + 1))


@given(st.binary(max_size=400))
def test_any_bytes_give_a_manifest_or_its_error(content: bytes):
    _survives(content)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(_table())), _JSON)
def test_any_value_for_any_key_gives_a_manifest_or_its_error(key: str, value: Any):
    _survives(json.dumps(_table(**{key: value})).encode())


@given(st.sampled_from(["files", "wake", "selftest", "layout"]), st.data())
def test_any_value_inside_any_list_gives_a_manifest_or_its_error(key: str, data: st.DataObject):
    table = _table(layout=[_matrix()])
    entry = table[key][0]
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(_JSON)
    _survives(json.dumps(table).encode())


def _survives(content: bytes) -> None:
    try:
        manifest = parse_manifest(content)
    except ManifestError:
        return
    assert parse_manifest(manifest_bytes(manifest)) == manifest


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("joiner.tflite", True),
        ("wake/hey_you-2.tflite", True),
        ("", False),
        ("a//b", False),
        ("./a", False),
        (".hidden", False),
        ("a\\b", False),
        ("a b", False),
        ("x" * 201, False),
    ],
)
def test_safe_paths(path: str, good: bool):
    assert safe_path(path) is good


def test_versions_compare_as_numbers():
    assert version_tuple("0.10.0") > version_tuple("0.9.9")  # type: ignore[operator]
    assert [version_tuple(v) for v in ("", "1.", "1.x", "1.2.3.4.5", "-1", "²")] == [None] * 6
