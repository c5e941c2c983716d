"""Log-mel of all augmented copies, on disk, mapped into memory, ready to be strung together.

A bank is a folder of shards. A shard is ``<k>.f16`` (float16 rows of 64 bands, hop after hop),
``<k>.phones`` (int8, what is sounded at each hop) and ``<k>.npz`` (what lies where), written in
that order, so that a shard with an index is complete: an interrupted build goes on after the last
one. The folder's name holds a hash of everything that the content depends on.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import FEATURES_VERSION, HOP, MELS, SAMPLE_RATE
from converters.synthesis.phones import phones_at
from converters.wake.augmentation import Augmenter
from converters.wake.recordings import Role
from converters.wake.utterances import Samples, Utterance, word_bounds

BANK_VERSION = 3
"""Raised when the same utterances would give other rows."""
PIECE_S = 15.0
"""Long recordings are cut to this, so that one recording meets several rooms and voices."""
_SHARD_UTTERANCES = 400
_ROLES = (Role.POSITIVE, Role.CONFUSABLE, Role.WORD, Role.SPEECH, Role.NOISE)

_INDEX = np.dtype(
    [
        ("role", np.int8),
        ("real", np.bool_),
        ("source", np.int32),
        ("first", np.int64),
        ("hops", np.int32),
        ("word_start", np.float32),
        ("word_end", np.float32),
    ]
)


@dataclass(frozen=True)
class Planned:
    """An utterance and how many copies of it the bank shall hold."""

    utterance: Utterance
    copies: int


@dataclass(frozen=True)
class Entry:
    """One copy in the bank."""

    role: Role
    real: bool
    source: int
    """Index of its utterance in the plan of its bank."""
    hops: NDArray[np.float16]
    """Log-mel [n, 64], mapped, speech at the reference level."""
    word_start: float
    word_end: float
    """Bounds of the word, or of the speech, in hops."""
    phones: NDArray[np.int8] | None = None
    """What is sounded at each hop [n], see `phones_at`; None: nobody knows."""


def bank_folder(parent: Path, plan: Sequence[Planned], seed: int) -> Path:
    """Where the bank of this plan lives: its name tells its content."""
    digest = hashlib.sha256(f"{BANK_VERSION} {FEATURES_VERSION} {seed}".encode())
    for planned in plan:
        utterance = planned.utterance
        known = f"{utterance.key} {utterance.role.value} {utterance.word_end_s} {planned.copies}"
        digest.update(known.encode())
    return parent / f"bank-{digest.hexdigest()[:16]}"


def _pieces(utterance: Utterance) -> Iterator[Samples]:
    samples = utterance.load()
    longest = int(PIECE_S * SAMPLE_RATE)
    if utterance.role in {Role.SPEECH, Role.NOISE} and len(samples) > longest:
        count = -(-len(samples) // longest)
        yield from np.array_split(samples, count)
    else:
        yield samples


def _write_shard(
    base: Path, plan: Sequence[Planned], offset: int, augmenter: Augmenter, seed: int
) -> None:
    index: list[tuple[int, bool, int, int, int, float, float]] = []
    first = 0
    phones = []
    with open(base.with_suffix(".f16.part"), "wb") as rows:
        for number, planned in enumerate(plan):
            utterance = planned.utterance
            name = zlib.crc32(utterance.key.encode())
            pieces = list(_pieces(utterance))
            sounded = utterance.phones if len(pieces) == 1 else ()
            for piece_number, piece in enumerate(pieces):
                if len(piece) < 10 * HOP:
                    continue
                start, end = word_bounds(utterance, piece)
                for copy in range(planned.copies):
                    rng = np.random.default_rng([seed, name, piece_number, copy])
                    drawn = augmenter.draw(piece, start, end, rng)
                    rows.write(drawn.hops.tobytes())
                    phones.append(phones_at(sounded, utterance.phone_ends_s, drawn.times_s))
                    index.append(
                        (
                            _ROLES.index(utterance.role),
                            utterance.real,
                            offset + number,
                            first,
                            len(drawn.hops),
                            drawn.start_hop,
                            drawn.end_hop,
                        )
                    )
                    first += len(drawn.hops)
    base.with_suffix(".f16.part").replace(base.with_suffix(".f16"))
    every = np.concatenate(phones) if phones else np.zeros(0, np.int8)
    base.with_suffix(".phones").write_bytes(every.tobytes())
    with open(base.with_suffix(".npz.part"), "wb") as file:
        np.savez(file, index=np.array(index, _INDEX))
    base.with_suffix(".npz.part").replace(base.with_suffix(".npz"))


def build_bank(
    folder: Path,
    plan: Sequence[Planned],
    augmenter: Augmenter,
    seed: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    jobs: int = 1,
) -> None:
    """Writes the shards that are not there yet.

    Args:
        folder: see `bank_folder`.
        plan: utterances and copies; its order decides the shards.
        augmenter: draws the copies.
        seed: with an utterance's key and the copy's number, decides each copy.
        progress: called with utterances done and utterances in all.
        jobs: processes that write shards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    offsets = range(0, len(plan), _SHARD_UTTERANCES)
    missing = [n for n in offsets if not _shard(folder, n).with_suffix(".npz").exists()]
    done = len(plan) - sum(min(_SHARD_UTTERANCES, len(plan) - offset) for offset in missing)
    if done:
        progress(done, len(plan))
    for written in _in_processes(_Writer(folder, plan, augmenter, seed), missing, jobs):
        done += written
        progress(done, len(plan))


def _shard(folder: Path, offset: int) -> Path:
    return folder / f"{offset // _SHARD_UTTERANCES:04d}"


@dataclass(frozen=True)
class _Writer:
    """Writes the shard that begins at an utterance, and says how many are in it."""

    folder: Path
    plan: Sequence[Planned]
    augmenter: Augmenter
    seed: int

    def __call__(self, offset: int) -> int:
        part = self.plan[offset : offset + _SHARD_UTTERANCES]
        _write_shard(_shard(self.folder, offset), part, offset, self.augmenter, self.seed)
        return len(part)


_writers: list[_Writer] = []
"""The one of a process that `_in_processes` started."""


def _begin(writer: _Writer) -> None:
    # The parent alone reacts to an interrupt; it lets the processes finish what they are at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _writers.append(writer)


def _write(offset: int) -> int:
    return _writers[-1](offset)


def _in_processes(writer: _Writer, offsets: Sequence[int], jobs: int) -> Iterator[int]:
    if jobs <= 1 or len(offsets) <= 1:
        yield from map(writer, offsets)
        return
    # Forked, not spawned: how an utterance is read cannot be sent to another process.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, context, _begin, (writer,)) as pool:
        try:
            yield from pool.map(_write, offsets)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def read_bank(folder: Path) -> list[Entry]:
    """All entries of a finished bank; their rows stay on disk until they are used."""
    entries = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            index = stored["index"]
        if len(index) == 0:
            continue
        # "c": nobody writes, but PyTorch takes only what could be written, here into a copy.
        rows = np.memmap(path.with_suffix(".f16"), np.float16, "c").reshape(-1, MELS)
        phones = np.memmap(path.with_suffix(".phones"), np.int8, "r")
        for item in index:
            first, hops = int(item["first"]), int(item["hops"])
            entries.append(
                Entry(
                    role=_ROLES[item["role"]],
                    real=bool(item["real"]),
                    source=int(item["source"]),
                    hops=rows[first : first + hops],
                    word_start=float(item["word_start"]),
                    word_end=float(item["word_end"]),
                    phones=phones[first : first + hops],
                )
            )
    return entries
