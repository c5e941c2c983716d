"""First and last names for each split.

Sources: PyPI `names` (US census of 1990, public-domain data, commonest first) and, for people from
elsewhere, the person providers of PyPI `faker` (MIT), Latin scripts only, written without accents.
A name is held out by its hash (`holdout.py`). Names that are also words of the templates or of the
title vocabulary ("may", "rose") would leak into training text and are never held out; the word
list gives up the others (`title_words`).
"""

from __future__ import annotations

import functools
import importlib
import importlib.resources
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from converters.synthesis.dictionary import ordinary_words
from converters.synthesis.framing import framing_words
from converters.synthesis.grammar import grammar
from converters.synthesis.holdout import Split, name_split
from converters.synthesis.name_lexicon import NAME_VARIANTS

_CENSUS_LAST = 20_000
"""How many of the commonest last names are used; the first names are used in full."""
_LOCALES = (
    "cs_CZ da_DK de_DE en_IN en_KE en_NG es_ES es_MX fi_FI fr_FR ga_IE hr_HR hu_HU id_ID ig_NG "
    "it_IT nl_NL no_NO pl_PL pt_BR ro_RO sv_SE tr_TR vi_VN yo_NG zu_ZA"
).split()
_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"})


@dataclass(frozen=True)
class NameLists:
    """The names of one split, the census names by falling frequency, the others sorted."""

    first: tuple[str, ...]
    last: tuple[str, ...]
    foreign_first: tuple[str, ...]
    foreign_last: tuple[str, ...]


def _census(filename: str, limit: int | None = None) -> list[str]:
    text = importlib.resources.files("names").joinpath(filename).read_text()
    return [line.split()[0].lower() for line in text.splitlines() if line.strip()][:limit]


def _plain(name: str) -> str:
    """A name in a-z, or "" when it has other letters or several words."""
    spelled = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS))
    spelled = "".join(c for c in spelled if not unicodedata.combining(c))
    return spelled if re.fullmatch(r"[a-z]{3,12}", spelled) else ""


def _faker_names(attribute: str) -> set[str]:
    found: set[str] = set()
    for locale in _LOCALES:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        found.update(_plain(name) for name in getattr(provider, attribute, ()))
    return found - {""}


@functools.cache
def _all_names() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    women, men = _census("dist.female.first"), _census("dist.male.first")
    # Interleaved, so that the front of the list stays "common" for both.
    first = [n for pair in zip(women, men, strict=False) for n in pair] + women[len(men) :]
    last = _census("dist.all.last", _CENSUS_LAST)
    foreign_first = _faker_names("first_names") | set(NAME_VARIANTS)
    foreign_last = _faker_names("last_names") | set(NAME_VARIANTS)

    def unique(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names))

    return (
        unique(first),
        unique(last),
        tuple(sorted(foreign_first - set(first))),
        tuple(sorted(foreign_last - set(last))),
    )


@functools.cache
def held_names(split: Split) -> frozenset[str]:
    """All names that only `split` ("dev" or "test") may use; empty for "train"."""
    if split == "train":
        return frozenset()
    ordinary = grammar().words() | framing_words()
    every = {name for group in _all_names() for name in group}
    return frozenset(n for n in every - ordinary if name_split(n) == split)


@functools.cache
def name_lists(split: Split) -> NameLists:
    """The names that belong to a split: for "dev" and "test" only those held out for it.

    Raises:
        ModuleNotFoundError: `names` or `faker` is missing (extra `converters`).
    """
    keep = held_names(split)

    def mine(group: tuple[str, ...]) -> tuple[str, ...]:
        if split == "train":
            # A name whose hash holds it out may still be a word of the templates ("may").
            literal = grammar().words()
            return tuple(n for n in group if name_split(n) == "train" or n in literal)
        return tuple(n for n in group if n in keep)

    return NameLists(*(mine(group) for group in _all_names()))


@functools.cache
def title_words() -> tuple[str, ...]:
    """Ordinary words for titles and free text: those that no split holds out as a name."""
    every = {name for group in _all_names() for name in group}
    literal = grammar().words()
    return tuple(
        w for w in ordinary_words() if w not in every or name_split(w) == "train" or w in literal
    )
