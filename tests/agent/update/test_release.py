"""What was signed about a release is read strictly: every field of its type, in its range."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MetadataError
from agent.update.release import (
    LARGEST_CHUNK,
    Release,
    custom_table,
    newest_first,
    parse_release,
    role_name,
)

SHA = "ab" * 32
TARGET = "toy/rpi4/7-from-6.diff"
CUSTOM: dict[str, Any] = {
    "schema": 1,
    "release": 7,
    "name": "toy 7",
    "format": "diff",
    "model": "toy",
    "hardware": "rpi4",
    "minimum_agent": "0.1.0",
    "base_sha256": SHA,
    "result_sha256": SHA,
    "result_bytes": 1000,
    "chunk": 32768,
    "mirror": "",
    "share_permille": 1000,
    "halted": False,
    "trial": {
        "word_error_permille": 100,
        "latency_permille": 1250,
        "memory_mb": 256,
        "seconds": 300,
    },
}


def _parse(**changes: Any) -> Release:
    return parse_release(TARGET, 500, SHA, CUSTOM | changes)


def test_what_is_signed_is_read_and_written_alike() -> None:
    release = _parse()
    assert (release.release, release.length, release.file) == (7, 500, f"{SHA}.7-from-6.diff")
    assert custom_table(release) == CUSTOM
    json.dumps(CUSTOM)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "newer way"),
        ({"schema": True}, "newer way"),
        ({"release": 0}, r"custom\.release"),
        ({"release": 1 << 31}, r"custom\.release"),
        ({"release": 7.0}, r"custom\.release"),
        ({"format": "zip"}, r"custom\.format"),
        ({"bootloader": "x"}, r"custom\.bootloader"),
        ({"chunk": LARGEST_CHUNK + 1}, r"custom\.chunk"),
        ({"chunk": 0}, r"custom\.chunk"),
        ({"result_bytes": 1 << 40}, r"custom\.result_bytes"),
        ({"share_permille": 1001}, r"custom\.share_permille"),
        ({"halted": 1}, r"custom\.halted"),
        ({"trial": {"memory_mb": 0}}, r"custom\.trial\.memory_mb"),
        ({"trial": {"script": "rm"}}, r"custom\.trial\.script"),
        ({"model": "../toy"}, "not a plain name"),
        ({"hardware": "Rpi 4"}, "not a plain name"),
        ({"model": "other"}, "another model or machine"),
        ({"name": "\x1b[2J"}, r"custom\.name"),
        ({"minimum_agent": "new"}, r"custom\.minimum_agent"),
        ({"result_sha256": SHA[:-1]}, r"custom\.result_sha256"),
        ({"base_sha256": ""}, "needs custom.base_sha256"),
        ({"format": "full"}, "has no base"),
        ({"mirror": "http://example.org/"}, r"custom\.mirror"),
        ({"mirror": "https://example.org/../x/"}, r"custom\.mirror"),
        ({"mirror": "https://user@example.org/"}, r"custom\.mirror"),
    ],
    ids=str,
)
def test_what_is_not_allowed_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(MetadataError, match=said):
        _parse(**changes)


@pytest.mark.parametrize(
    ("target", "length", "sha256", "custom"),
    [
        ("toy/7", 500, SHA, CUSTOM),
        ("toy/rpi4/../../etc/passwd", 500, SHA, CUSTOM),
        ("toy/rpi4/.hidden", 500, SHA, CUSTOM),
        (TARGET, 0, SHA, CUSTOM),
        (TARGET, True, SHA, CUSTOM),
        (TARGET, 1 << 40, SHA, CUSTOM),
        (TARGET, 500, None, CUSTOM),
        (TARGET, 500, SHA.upper(), CUSTOM),
        (TARGET, 500, SHA, None),
        (TARGET, 500, SHA, []),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_named(
    target: str, length: object, sha256: object, custom: object
) -> None:
    with pytest.raises(MetadataError, match=r"publish it again|newer way"):
        parse_release(target, length, sha256, custom)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(key=st.sampled_from(sorted(CUSTOM)), value=_JSON)
def test_any_value_anywhere_is_a_release_or_a_named_error(key: str, value: object) -> None:
    try:
        release = _parse(**{key: value})
    except MetadataError:
        return
    assert getattr(release, key) == value or key == "trial"


@given(custom=_JSON, target=st.text(max_size=60))
def test_anything_else_is_a_named_error(custom: object, target: str) -> None:
    with pytest.raises(MetadataError):
        parse_release(target, 500, SHA, custom)


def test_a_share_of_the_fleet_is_drawn_by_each_board_for_itself() -> None:
    boards = [f"board-{number}" for number in range(2000)]
    tenth = {b for b in boards if _parse(share_permille=100).meant_for(b)}
    half = {b for b in boards if _parse(share_permille=500).meant_for(b)}
    # 200 and 1000 on average; chance stays within five standard deviations.
    assert 200 - 67 < len(tenth) < 200 + 67
    assert 1000 - 112 < len(half) < 1000 + 112
    assert tenth < half
    assert not any(_parse(share_permille=0).meant_for(b) for b in boards)
    assert all(_parse().meant_for(b) for b in boards)
    assert not any(_parse(halted=True).meant_for(b) for b in boards)
    # Another release draws others, so that not always the same ones are first.
    other = {b for b in boards if _parse(release=8, share_permille=100).meant_for(b)}
    assert len(tenth & other) < 60


def test_the_newest_release_comes_first_and_the_smallest_way_to_it() -> None:
    def offer(release: int, length: int, hardware: str = "rpi4") -> Release:
        target = f"toy/{hardware}/{release}.x"
        return parse_release(
            target, length, SHA, CUSTOM | {"release": release, "hardware": hardware}
        )

    offers = [offer(6, 10), offer(7, 900), offer(7, 20), offer(7, 5, "any")]
    assert [(r.release, r.length) for r in newest_first(offers)] == [
        (7, 20),
        (7, 900),
        (7, 5),
        (6, 10),
    ]


def test_roles() -> None:
    assert role_name("toy", "rpi4") == "toy-rpi4"
    for model, hardware in (("", "any"), ("a/b", "any"), ("toy", "rpi-4"), ("toy", "")):
        with pytest.raises(MetadataError):
            role_name(model, hardware)
