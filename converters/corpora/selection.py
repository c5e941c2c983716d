"""What the commands make of `--corpus` and `--dev-corpus`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.corpora.catalogue import Split, named_split, training_splits
from converters.corpora.errors import CorpusNameError
from converters.corpora.index import Entry, Summary, build
from converters.corpora.reading import samples

LONGEST_HELD_OUT_S = 60.0
"""Long sentences are hard; leaving them out would flatter a model."""


@dataclass(frozen=True)
class HeldOut:
    """Recordings to measure on."""

    summary: Summary
    items: list[tuple[Entry, NDArray[np.int16]]]


def chosen_splits(corpora: Sequence[str], held_out: Sequence[str]) -> list[Split]:
    """The splits to train on, each once.

    Args:
        corpora: as given to `--corpus`.
        held_out: as given to `--dev-corpus`.

    Raises:
        CorpusNameError: a name fits nothing, or a split would be learnt from and chosen by.
    """
    chosen = {split.files: split for name in corpora for split in training_splits(name)}
    for name in held_out:
        split = named_split(name)
        if any(_same(split, other) for other in chosen.values()):
            raise CorpusNameError(
                f"{split.title} cannot be both learnt from and chosen by: name another split."
            )
    return list(chosen.values())


def _same(one: Split, other: Split) -> bool:
    return {f.resolve() for f in one.files} == {f.resolve() for f in other.files}


def indexed(splits: Sequence[Split], features: Path, tell: Callable[[str], None]) -> None:
    """Builds the index of every split that has none yet and tells what is in it.

    Args:
        splits: to train on.
        features: the folder of all features; a split gets ``corpora/DIGEST`` below it.
        tell: is given sentences for people.

    Raises:
        ManifestError: a manifest is damaged, or nothing in it can be used.
    """
    for split in splits:
        if split.held_out:
            tell(f"{split.title} is trained on because it was asked for, whatever its name says")
        tell(build(split, features / "corpora" / split.digest()).summary.sentence())


def held_out(name: str, limit: int | None) -> HeldOut:
    """The recordings of a split, in a mixed order that is the same every time.

    Args:
        name: ``lhotse:DIR:SPLIT``.
        limit: at most so many.

    Raises:
        CorpusNameError: it fits nothing.
        ManifestError: a manifest is damaged, or nothing in it can be used.
        RecordingError: a recording cannot be read: what is measured on must be whole.
    """
    with tempfile.TemporaryDirectory() as folder:
        index = build(named_split(name), Path(folder), LONGEST_HELD_OUT_S)
        items = [(entry, samples(entry)) for entry in index.sample(limit)]
    return HeldOut(index.summary, items)
