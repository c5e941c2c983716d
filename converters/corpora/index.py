"""One split on disk in the order and the portions in which it is learnt from.

An index is a SQLite file: a thousand hours are over 300,000 utterances, which need not fit in
memory, and a portion must be found at once when work is resumed. Utterances are mixed by a hash of
their id, so that the first hour of training hears many speakers, and split into portions of about
an hour. An index belongs to the bytes of its manifests: changed ones get a new one.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from converters.asr.corpora import LONGEST_S
from converters.corpora.catalogue import Split
from converters.corpora.errors import ManifestError
from converters.corpora.manifests import Cut, cuts, recordings, supervised
from converters.corpora.screening import screen

PORTION_S = 3600.0
_FILE = "index.sqlite"
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE recording (id TEXT PRIMARY KEY, line TEXT) WITHOUT ROWID;
CREATE TABLE utterance (
    mixed INTEGER, portion INTEGER, id TEXT, text TEXT, speaker TEXT, seconds REAL, cut TEXT
);
CREATE TABLE summary (content TEXT);
"""


@dataclass(frozen=True)
class Entry:
    """One utterance that can be learnt from."""

    id: str
    text: str
    """Normalised."""
    speaker: str
    """Empty where the corpus does not say."""
    seconds: float
    cut: str
    """JSON of a lhotse cut."""


@dataclass(frozen=True)
class Summary:
    """What became of a split."""

    title: str
    utterances: int
    hours: float
    portions: int
    left_out: dict[str, int]
    """Utterances by the reason why they cannot be learnt from."""

    def sentence(self) -> str:
        """For people."""
        amount = f"{self.title}: {self.utterances:,} utterances, {self.hours:.2f} h"
        if not self.left_out:
            return f"{amount}; none left out"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
        return f"{amount}; left out: {reasons}"


class Index:
    """Reads what `build` wrote.

    Args:
        folder: of the index.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        with closing(self._open()) as file:
            (content,) = file.execute("SELECT content FROM summary").fetchone()
        self.summary = Summary(**json.loads(content))

    def portion(self, number: int) -> Iterator[Entry]:
        """The utterances of a portion; the same ones in the same order every time."""
        yield from self._select("WHERE portion = ? ORDER BY mixed, id", number)

    def sample(self, limit: int | None = None) -> Iterator[Entry]:
        """The first utterances of the mixed order, or all of them."""
        yield from self._select("ORDER BY mixed, id LIMIT ?", -1 if limit is None else limit)

    def _select(self, which: str, number: int) -> Iterator[Entry]:
        with closing(self._open()) as file:
            query = f"SELECT id, text, speaker, seconds, cut FROM utterance {which}"  # noqa: S608
            for row in file.execute(query, (number,)):
                yield Entry(*row)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)


def build(split: Split, folder: Path, longest_s: float = LONGEST_S) -> Index:
    """Reads a split's manifests, unless that was done before.

    Args:
        split: what to read.
        folder: where the index goes; created if missing.
        longest_s: longer utterances are left out.

    Raises:
        ManifestError: a manifest is damaged, or nothing in it can be used.
    """
    if (folder / _FILE).exists():
        return Index(folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (_FILE + ".part")
    partial.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(partial)) as file, file:
            file.executescript(_SCHEMA)
            summary = _fill(file, split, longest_s)
            if summary.utterances == 0:
                raise ManifestError(f"Nothing can be learnt from {summary.sentence()}.")
        partial.replace(folder / _FILE)
    finally:
        partial.unlink(missing_ok=True)
    return Index(folder)


def _fill(file: sqlite3.Connection, split: Split, longest_s: float) -> Summary:
    left_out: Counter[str] = Counter()
    count, seconds = 0, 0.0
    for cut in _cuts(file, split):
        text, reason = screen(cut.text, cut.seconds, longest_s)
        if cut.flaw is not None or reason is not None:
            left_out[(cut.flaw or reason).value] += 1  # type: ignore[union-attr]
            continue
        count += 1
        seconds += cut.seconds
        file.execute(
            "INSERT INTO utterance VALUES (?, 0, ?, ?, ?, ?, ?)",
            (_mixed(cut.id), cut.id, text, cut.speaker, cut.seconds, cut.cut),
        )
    portions = max(1, round(seconds / PORTION_S))
    file.execute("DROP TABLE recording")
    file.execute("UPDATE utterance SET portion = mixed % ?", (portions,))
    file.execute("CREATE INDEX by_portion ON utterance (portion, mixed, id)")
    file.execute("CREATE INDEX by_order ON utterance (mixed, id)")
    summary = Summary(
        split.title, count, seconds / 3600.0, portions, dict(sorted(left_out.items()))
    )
    file.execute("INSERT INTO summary VALUES (?)", (json.dumps(asdict(summary)),))
    return summary


def _cuts(file: sqlite3.Connection, split: Split) -> Iterator[Cut]:
    if split.cuts is not None:
        yield from cuts(split.cuts)
        return
    assert split.recordings is not None
    assert split.supervisions is not None
    file.executemany("INSERT OR REPLACE INTO recording VALUES (?, ?)", recordings(split.recordings))

    def line(name: str) -> str | None:
        found = file.execute("SELECT line FROM recording WHERE id = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    yield from supervised(split.supervisions, line)


def _mixed(name: str) -> int:
    """A number in [0, 2^63) that has nothing to do with the order of a manifest."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1
