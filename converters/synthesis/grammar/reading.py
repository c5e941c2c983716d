"""Reads the grammar files of this folder (their format is told in `__init__.py`)."""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from converters.synthesis.errors import SynthesisError

_FILES = ("people", "clock", "media", "house", "world", "errands", "drinks", "control")
"""In this order, on which every seeded text depends."""
_HEADING = re.compile(r"\[(?:intent (?P<intent>[a-z_]+) (?P<weight>\d+)|list (?P<list>\w+))\]")
_SLOT = re.compile(r"\{\w+\}")
_WORDS = re.compile(r"[a-z']+")


@dataclass(frozen=True)
class Intent:
    """One thing a user may want, and the ways to say it."""

    name: str
    weight: int
    """Relative frequency among all intents."""
    templates: tuple[str, ...]


@dataclass(frozen=True)
class Grammar:
    """All intents and phrase lists."""

    intents: tuple[Intent, ...]
    phrases: Mapping[str, tuple[str, ...]]

    def words(self) -> frozenset[str]:
        """Every literal word that a template or a phrase may produce."""
        texts = [t for intent in self.intents for t in intent.templates]
        texts += [t for entries in self.phrases.values() for t in entries]
        return frozenset(_WORDS.findall(_SLOT.sub(" ", " ".join(texts))))


def parse(name: str, text: str) -> Iterator[tuple[re.Match[str], list[str]]]:
    """The sections of one file: heading and non-empty lines.

    Raises:
        SynthesisError: A line stands before any heading, or a heading is malformed.
    """
    heading: re.Match[str] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if heading:
                yield heading, lines
            heading, lines = _HEADING.fullmatch(line), []
            if heading is None:
                raise SynthesisError(f"Line {number} of {name} is no heading: {line}")
        elif heading is None:
            raise SynthesisError(f"Line {number} of {name} stands before any heading.")
        else:
            lines.append(line)
    if heading:
        yield heading, lines


@functools.cache
def grammar() -> Grammar:
    """The grammar of the package."""
    intents: list[Intent] = []
    phrases: dict[str, tuple[str, ...]] = {}
    for name in _FILES:
        text = importlib.resources.files(__package__).joinpath(f"{name}.txt").read_text("utf-8")
        for heading, lines in parse(name, text):
            if heading["intent"]:
                intents.append(Intent(heading["intent"], int(heading["weight"]), tuple(lines)))
            else:
                entries = (entry.strip() for entry in " ".join(lines).split(","))
                phrases[heading["list"]] = tuple(entry for entry in entries if entry)
    return Grammar(tuple(intents), phrases)
