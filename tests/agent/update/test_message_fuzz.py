"""Thousands of damaged messages: manifests, commands, releases, records, and signed metadata.

Each one is refused by name or is understood as something that its author could have meant; none
crashes, hangs, or is stored under a trusted name. Every mutation follows from its number, so a
failure is repeated with that number; numbers that once showed a bug are kept in `KEPT`.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from agent.bundle.schema import parse_manifest
from agent.config import MqttConfig
from agent.errors import MalformedMessageError, ManifestError, MetadataError, TrustError
from agent.mqtt.topics import read_request
from agent.update.floor import Floor
from agent.update.release import parse_release
from agent.update.trust import Trust
from tests.agent.toy_bundle import write_toy_bundle
from tests.agent.update.test_release import CUSTOM, SHA, TARGET
from tests.system.updates.world import Operator

KEPT: dict[str, tuple[int, ...]] = {"manifest": (), "command": (), "release": (), "metadata": ()}
QUICK, MANY = 300, 10_000

_TOKENS = (
    b"null", b"true", b"[]", b"{}", b'""', b"-1", b"1e999", b"NaN", b"18446744073709551616", b'"',
    b"\\u0000", b"\\ud800", b"\xff", b"[" * 200, b'{"a":' * 200, b"0.5", b'"schema":2,',
)  # fmt: skip


def mutated(content: bytes, number: int) -> bytes:
    """A damaged copy: bits, pieces that go, come twice or move, tokens of JSON, an early end."""
    chance = random.Random(number)
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        where = chance.randrange(len(damaged) + 1)
        length = chance.choice((1, 1, 2, 8, 40))
        match chance.randrange(6):
            case 0 if where < len(damaged):
                damaged[where] ^= 1 << chance.randrange(8)
            case 1:
                del damaged[where : where + length]
            case 2:
                damaged[where:where] = damaged[where : where + length]
            case 3:
                damaged[where : where + length] = chance.choice(_TOKENS)
            case 4:
                damaged[where : where + length] = chance.randbytes(length)
            case _ if number % 4 == 0:
                del damaged[where:]
    return bytes(damaged)


def _numbers(kind: str, count: int) -> Iterator[int]:
    yield from KEPT[kind]
    yield from range(count)


def _manifest(folder: Path) -> tuple[bytes, Callable[[bytes], object], type[Exception]]:
    bundle = write_toy_bundle(folder / "toy")
    return (bundle / "manifest.json").read_bytes(), parse_manifest, ManifestError


def _command(_: Path) -> tuple[bytes, Callable[[bytes], object], type[Exception]]:
    body = json.dumps({"schema": 1, "id": "42", "arguments": {"a": [1, 2.5, None]}})
    return body.encode(), read_request, MalformedMessageError


def _release(_: Path) -> tuple[bytes, Callable[[bytes], object], type[Exception]]:
    def read(body: bytes) -> object:
        try:
            table: Any = json.loads(body)
        except (ValueError, RecursionError):
            raise MetadataError("not JSON") from None
        return parse_release(TARGET, 500, SHA, table)

    return json.dumps(CUSTOM).encode(), read, MetadataError


_KINDS = {"manifest": _manifest, "command": _command, "release": _release}


def _fuzz(kind: str, count: int, folder: Path) -> None:
    content, read, error = _KINDS[kind](folder)
    read(content)
    refused = 0
    for number in _numbers(kind, count):
        try:
            read(mutated(content, number))
        except error:
            refused += 1
        except Exception as other:
            pytest.fail(f"{kind} {number}: {other!r}")
    assert refused > count / 4


@pytest.mark.parametrize("kind", _KINDS)
def test_damaged_messages(kind: str, tmp_path: Path) -> None:
    _fuzz(kind, QUICK, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_ten_thousand_damaged_messages(kind: str, tmp_path: Path) -> None:
    _fuzz(kind, MANY, tmp_path)


class _Memory(FetcherInterface):
    """A broker without a network: metadata from a table."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix("mqtt:tuf/")
        if name not in self.files:
            raise DownloadHTTPError(f"{name} is not here", 404)
        return iter([self.files[name]])


class _Attacked:
    """A board whose broker damages one file of the metadata at each look."""

    def __init__(self, folder: Path) -> None:
        self.operator = Operator(folder / "operator", MqttConfig())
        for number in (1, 2):
            self.operator.add(number)
        self.files = self.operator.metadata()
        self.folder = folder

    def look(self, number: int) -> str:
        chance = random.Random(number)
        names = sorted(name for name in self.files if name != "1.root.json")
        name = chance.choice([*names, "2.root.json"])
        content = self.files.get(name, self.files["1.root.json"])
        place = self.folder / "board"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        files = self.files | {name: mutated(content, number)}
        floor = Floor(place / "floor")
        trust = Trust(
            place / "tuf",
            self.operator.root,
            _Memory(files),  # type: ignore[arg-type]
            floor,
            model="toy",
            now_s=(self.operator.now + dt.timedelta(hours=1)).timestamp,
        )
        try:
            offers = trust.refresh()
        except TrustError as error:
            assert floor.root == 0
            return type(error).__name__
        # What was accepted is what was signed: a byte outside of what signatures cover, or nothing.
        assert sorted({(o.release, o.result_sha256) for o in offers}) == self.genuine
        return "accepted"

    @property
    def genuine(self) -> list[tuple[int, str]]:
        targets = self.operator.repository.roles["toy-any"].signed.targets.values()
        customs = [target.unrecognized_fields["custom"] for target in targets]
        return sorted({(custom["release"], custom["result_sha256"]) for custom in customs})


def _fuzz_metadata(count: int, folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("os.fsync", lambda _: None)  # what is on the disk is not what this is about
    attacked = _Attacked(folder)
    outcomes: dict[str, int] = {}
    for number in _numbers("metadata", count):
        try:
            outcome = attacked.look(number)
        except Exception as error:
            pytest.fail(f"metadata {number}: {error!r}")
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert sum(outcomes.values()) - outcomes.get("accepted", 0) > count / 2, outcomes


def test_damaged_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fuzz_metadata(QUICK // 2, tmp_path, monkeypatch)


@pytest.mark.slow
def test_ten_thousand_damaged_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fuzz_metadata(MANY, tmp_path, monkeypatch)
