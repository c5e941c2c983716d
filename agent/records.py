"""From plain tables (JSON objects, TOML tables) to frozen dataclasses, every value checked.

Messages from the socket and the configuration file both arrive as nested dictionaries of which
nothing may be believed. `read_record` turns such a table into a dataclass by its annotations and
refuses everything else with the path of the offending value; `plain` goes the other way.

Annotations that may be used: `bool`, `int`, `float`, `str`, `dict[str, Any]` (kept as it is),
`tuple[T, ...]`, `T | None`, and other such dataclasses. A field may carry `metadata` with
`minimum`, `maximum` or `choices`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from agent.errors import VoiceAgentError

Record = TypeVar("Record")

# 2^63 - 1: what SQLite, JSON readers in other languages and time stamps in milliseconds can hold.
_LARGEST_INTEGER = (1 << 63) - 1

_DEEPEST_TABLE = 32  # levels inside a `dict[str, Any]`


class RecordError(VoiceAgentError):
    """A value does not fit its field.

    Attributes:
        path: Where it stands, as `section.key`.
        expected: What is allowed there, in words.
        unknown: True if the key itself is not known.
    """

    def __init__(self, path: str, expected: str, problem: str, *, unknown: bool = False) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.expected = expected
        self.problem = problem
        self.unknown = unknown


def read_record(
    kind: type[Record], table: object, *, path: str = "", unknown_keys: bool = False
) -> Record:
    """Builds a dataclass from a table.

    Args:
        kind: The dataclass.
        table: What JSON or TOML gave.
        path: Name of the table for messages; empty at the top.
        unknown_keys: True ignores keys that the dataclass does not have, False refuses them.

    Returns:
        The dataclass, with its defaults where the table has no value.

    Raises:
        RecordError: A value has the wrong type or range, is missing, or has an unknown name.
    """
    if not isinstance(table, Mapping):
        raise RecordError(path or "message", "a table", f"must be a table, not {_kind(table)}")
    fields = _fields(typing.cast("type", kind))
    if not unknown_keys:
        for key in table:
            if key not in fields:
                raise RecordError(_join(path, key), "", "is not a known key", unknown=True)
    values = {}
    for name, (field, annotation) in fields.items():
        where = _join(path, name)
        if name in table:
            values[name] = _read(annotation, table[name], where, unknown_keys)
            _check_range(field, values[name], where)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RecordError(where, describe(annotation), "is missing")
    return kind(**values)


def plain(record: object) -> Any:
    """A dataclass as plain dictionaries, lists and scalars, ready for JSON.

    Args:
        record: A dataclass built from the annotations listed above, or one of their values.

    Returns:
        The same, with tuples as lists.
    """
    if dataclasses.is_dataclass(record):
        return {f.name: plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, (tuple, list)):
        return [plain(item) for item in record]
    if isinstance(record, Mapping):
        return {str(key): plain(value) for key, value in record.items()}
    return record


def describe(annotation: Any) -> str:
    """The allowed type in words, for messages.

    Args:
        annotation: One of the annotations listed above.

    Returns:
        For example "a number" or "a list of strings".
    """
    plain_names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a string",
    }
    if annotation in plain_names:
        return plain_names[annotation]
    inner = _optional(annotation)
    if inner is not None:
        return describe(inner)
    if typing.get_origin(annotation) is tuple:
        (item, _) = typing.get_args(annotation)
        return "a list, each item " + describe(item)
    return "a table"


@functools.cache
def _fields(kind: type) -> dict[str, tuple[dataclasses.Field[Any], Any]]:
    hints = typing.get_type_hints(kind)
    return {f.name: (f, hints[f.name]) for f in dataclasses.fields(kind) if f.init}


def _read(annotation: Any, value: object, path: str, unknown_keys: bool) -> Any:
    inner = _optional(annotation)
    if inner is not None:
        return None if value is None else _read(inner, value, path, unknown_keys)
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return read_record(annotation, value, path=path, unknown_keys=unknown_keys)
    origin = typing.get_origin(annotation)
    if origin is tuple and isinstance(value, (list, tuple)):
        (item, _) = typing.get_args(annotation)
        return tuple(
            _read(item, part, f"{path}[{index}]", unknown_keys) for index, part in enumerate(value)
        )
    if origin is dict and isinstance(value, Mapping):
        _check_foreign(value, path, _DEEPEST_TABLE)
        return dict(value)
    # bool is an int to Python, and a different thing to everyone else.
    if annotation in (int, float) and type(value) is int:
        if abs(value) <= _LARGEST_INTEGER:
            return annotation(value)
    elif annotation is float and type(value) is float:
        if math.isfinite(value):
            return value
    elif annotation is bool:
        if type(value) is bool:
            return value
    elif annotation is str and isinstance(value, str) and _encodable(value):
        return value
    expected = describe(annotation)
    raise RecordError(path, expected, f"must be {expected}, not {_kind(value)}")


def _check_range(field: dataclasses.Field[Any], value: Any, path: str) -> None:
    if value is None:
        return
    choices = field.metadata.get("choices")
    if choices is not None and value not in choices:
        allowed = "one of " + ", ".join(repr(choice) for choice in choices)
        raise RecordError(path, allowed, f"must be {allowed}, not {_kind(value)}")
    minimum, maximum = field.metadata.get("minimum"), field.metadata.get("maximum")
    if minimum is not None and value < minimum:
        raise RecordError(path, f"at least {minimum}", f"must be at least {minimum}, not {value}")
    if maximum is not None and value > maximum:
        raise RecordError(path, f"at most {maximum}", f"must be at most {maximum}, not {value}")


def _optional(annotation: Any) -> Any | None:
    """The T of `T | None`, or None for every other annotation."""
    if typing.get_origin(annotation) not in (types.UnionType, typing.Union):
        return None
    (inner,) = [arg for arg in typing.get_args(annotation) if arg is not types.NoneType]
    return inner


def _check_foreign(value: object, path: str, depth: int) -> None:
    """Refuses what could be read here and would fail later, when it is written as JSON again."""
    if depth == 0:
        raise RecordError(path, "a shallower table", "is nested too deeply")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_foreign(key, path, depth - 1)
            _check_foreign(inner, f"{path}.{_kind(key)}", depth - 1)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check_foreign(inner, f"{path}[{index}]", depth - 1)
    elif not (
        value is None
        or (isinstance(value, str) and _encodable(value))
        or (isinstance(value, int) and abs(value) <= _LARGEST_INTEGER)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        raise RecordError(path, "JSON", f"cannot be written as JSON: {_kind(value)}")


def _encodable(text: str) -> bool:
    # JSON can smuggle in lone surrogates, which nothing downstream could encode again.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
