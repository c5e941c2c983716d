from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.records import RecordError, plain, read_record


@dataclass(frozen=True)
class Inner:
    ratio: float = field(default=0.5, metadata={"minimum": 0.0, "maximum": 1.0})


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 3
    flag: bool = False
    inner: Inner = field(default_factory=Inner)
    items: tuple[str, ...] = ()
    maybe: float | None = None
    free: dict[str, Any] = field(default_factory=dict)
    role: str = field(default="a", metadata={"choices": ("a", "b")})


def test_reads_nested_tables_and_keeps_defaults() -> None:
    record = read_record(Outer, {"name": "x", "inner": {"ratio": 1}, "items": ["p", "q"]})
    assert record == Outer("x", inner=Inner(1.0), items=("p", "q"))
    # A whole number is fine where a number is wanted, and becomes one.
    assert type(record.inner.ratio) is float


def test_plain_is_the_way_back() -> None:
    record = Outer("x", items=("p",), maybe=0.25, free={"a": [1, {"b": None}]})
    assert read_record(Outer, plain(record)) == record


@pytest.mark.parametrize(
    ("table", "path", "words"),
    [
        ([], "message", "must be a table"),
        ({}, "name", "is missing"),
        ({"name": 1}, "name", "must be a string, not 1"),
        ({"name": "x", "count": True}, "count", "must be a whole number, not True"),
        ({"name": "x", "count": 1.0}, "count", "must be a whole number, not 1.0"),
        ({"name": "x", "count": 1 << 63}, "count", "must be a whole number"),
        ({"name": "x", "flag": 1}, "flag", "must be true or false, not 1"),
        ({"name": "x", "inner": {"ratio": 1.5}}, "inner.ratio", "must be at most 1.0"),
        ({"name": "x", "inner": {"ratio": -1}}, "inner.ratio", "must be at least 0.0"),
        ({"name": "x", "inner": {"ratio": "a"}}, "inner.ratio", "must be a number, not 'a'"),
        ({"name": "x", "inner": {"ratio": float("nan")}}, "inner.ratio", "must be a number"),
        ({"name": "x", "inner": {"ratio": float("inf")}}, "inner.ratio", "must be a number"),
        ({"name": "x", "inner": None}, "inner", "must be a table"),
        ({"name": "x", "items": "pq"}, "items", "must be a list, each item a string"),
        ({"name": "x", "items": ["p", 2]}, "items[1]", "must be a string"),
        ({"name": "x", "maybe": "1"}, "maybe", "must be a number"),
        ({"name": "x", "role": "c"}, "role", "must be one of 'a', 'b'"),
        ({"name": "\ud800"}, "name", "must be a string"),
        ({"name": "x", "free": {"a": "\ud800"}}, "free.'a'", "cannot be written as JSON"),
        ({"name": "x", "free": {"a": [float("inf")]}}, "free.'a'[0]", "cannot be written"),
        ({"name": "x", "nane": 1}, "nane", "is not a known key"),
        ({"name": "x", "inner": {"ration": 1}}, "inner.ration", "is not a known key"),
    ],
)
def test_refuses_and_says_where(table: object, path: str, words: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_record(Outer, table)
    assert caught.value.path == path
    assert words in str(caught.value)


def test_unknown_keys_can_be_ignored() -> None:
    table = {"name": "x", "new": 1, "inner": {"new": 2}}
    assert read_record(Outer, table, unknown_keys=True) == Outer("x")


def test_free_tables_have_a_depth_limit() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(RecordError, match="nested too deeply"):
        read_record(Outer, {"name": "x", "free": deep})


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(RecordError) as caught:
        read_record(Outer, {"name": ["y"] * 1000})
    assert len(str(caught.value)) < 120
