"""Which splits a folder of lhotse manifests holds, and which of them are for training.

lhotse names its manifests PREFIX_KIND_PART.jsonl.gz, such as
`librispeech_recordings_train-clean-100.jsonl.gz` beside `librispeech_supervisions_...`, or
`..._cuts_...` for both in one. PART is the split. A corpus is named on the command line as

    lhotse:DIR          every split for training: those that say "train" and not "dev" or "test"
    lhotse:DIR:SPLIT    this one, whatever its name says

Only names and bytes are looked at here; what the lines mean is read in `manifests.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from converters.corpora.errors import CorpusNameError

SCHEME = "lhotse:"
_FILE = re.compile(
    r"(?:(?P<prefix>.+?)[_.-])??(?P<kind>recordings|supervisions|cuts)(?:[_.-](?P<part>.+))?"
    r"\.jsonl(?:\.gz)?"
)
_WORD = re.compile(r"[a-z]+")
_TRAINING = frozenset({"train", "training"})
# "validated" of Common Voice contains its dev and test sentences.
_HELD_OUT = frozenset(
    "dev devel development test tests testing val valid validation validated eval evaluation "
    "heldout".split()
)


@dataclass(frozen=True)
class Split:
    """One part of a corpus: either cuts, or recordings with their supervisions."""

    folder: Path
    name: str
    """As it is given after the folder."""
    cuts: Path | None = None
    recordings: Path | None = None
    supervisions: Path | None = None

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.name} of {self.folder.name}"

    @property
    def files(self) -> tuple[Path, ...]:
        """The manifests that are read: cuts alone where there are cuts."""
        if self.cuts is not None:
            return (self.cuts,)
        return tuple(path for path in (self.recordings, self.supervisions) if path is not None)

    @property
    def complete(self) -> bool:
        """Whether there are both sound and text."""
        return self.cuts is not None or len(self.files) == 2

    @property
    def held_out(self) -> bool:
        """Whether the name says that it is for choosing or for testing."""
        return bool(_HELD_OUT & set(_WORD.findall(self.name.lower())))

    @property
    def for_training(self) -> bool:
        """Whether the name says that it is for training; a corpus without splits is, too."""
        words = set(_WORD.findall(self.name.lower()))
        return not self.held_out and (bool(_TRAINING & words) or self.name == "all")

    def digest(self) -> str:
        """Twelve hexadecimal figures that change when a manifest does, or its place."""
        total = hashlib.sha256(str(self.folder.resolve()).encode())
        for path in self.files:
            total.update(b"\0" + path.name.encode() + b"\0")
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()[:12]


def find_splits(folder: Path) -> dict[str, Split]:
    """The splits of a folder by name.

    Splits of two corpora that are called alike are told apart by the prefix of their files.

    Raises:
        CorpusNameError: the folder is missing, or holds no manifests with sound and text.
    """
    if not folder.is_dir():
        raise CorpusNameError(f"There is no folder {folder}: make it with `lhotse prepare`.")
    found: dict[tuple[str, str], dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match is not None:
            key = (match["prefix"] or "", match["part"] or "")
            found.setdefault(key, {})[match["kind"]] = path
    plain = {key: key[1] or key[0] or "all" for key in found}
    seen = Counter(plain.values())
    splits = {}
    for key, files in found.items():
        name = plain[key] if seen[plain[key]] == 1 else "_".join(filter(None, key))
        split = Split(folder, name, **files)
        if split.complete:
            splits[name] = split
    if not splits:
        raise CorpusNameError(
            f"{folder} has no lhotse manifests of sound and text: it needs x_cuts_train.jsonl.gz, "
            "or x_recordings_train.jsonl.gz and x_supervisions_train.jsonl.gz."
        )
    return splits


def training_splits(name: str) -> list[Split]:
    """The splits that `lhotse:DIR` or `lhotse:DIR:SPLIT` stands for in training.

    Raises:
        CorpusNameError: there is no such split, or none whose name says that it is for training.
    """
    folder, part = _parse(name)
    splits = find_splits(folder)
    if part is not None:
        return [_named(splits, part, folder)]
    chosen = [split for split in splits.values() if split.for_training]
    if not chosen:
        raise CorpusNameError(
            f"No split of {folder} is called train: name one, {SCHEME}{folder}:SPLIT, of "
            f"{_listed(splits)}."
        )
    return chosen


def named_split(name: str) -> Split:
    """The split that `lhotse:DIR:SPLIT` stands for.

    Raises:
        CorpusNameError: there is no such split, or none was named and there are several.
    """
    folder, part = _parse(name)
    splits = find_splits(folder)
    if part is not None:
        return _named(splits, part, folder)
    if len(splits) > 1:
        raise CorpusNameError(
            f"{name} must name a split to measure on, {SCHEME}{folder}:SPLIT, of {_listed(splits)}."
        )
    return next(iter(splits.values()))


def _parse(name: str) -> tuple[Path, str | None]:
    if not name.startswith(SCHEME) or name == SCHEME:
        raise CorpusNameError(
            f"{name!r} is no corpus: write {SCHEME}DIR or {SCHEME}DIR:SPLIT, where DIR holds "
            "lhotse manifests."
        )
    rest = name.removeprefix(SCHEME)
    folder, colon, part = rest.rpartition(":")
    if not colon or Path(rest).is_dir():  # a folder may have a colon in its name
        return Path(rest), None
    return Path(folder), part


def _named(splits: dict[str, Split], part: str, folder: Path) -> Split:
    if part not in splits:
        raise CorpusNameError(f"{folder} has no split {part!r}; it has {_listed(splits)}.")
    return splits[part]


def _listed(splits: dict[str, Split]) -> str:
    return ", ".join(sorted(splits))
