"""Makes the feature shards that training cuts its rows from, in the background.

Order matters more than speed: noise and real speech first, then one copy of everything, then
more copies, so that training can start after a minute and sees more variety as time goes by.
Shards that exist are kept, so the work resumes where it stopped. Several processes may share it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.errors import VoiceAgentError
from converters.asr.augment import WaveformRecipe
from converters.asr.corpora import LONGEST_S, read_audio
from converters.asr.real_speech import sources as real_sources
from converters.asr.shards import Source, write_shard
from converters.corpora.index import Index
from converters.corpora.reading import sources as corpus_sources
from converters.synthesis.pool import PoolItem, load_pool

SPAN = 2000
"""Utterances in a shard: about an hour."""
PAUSE_S = 20.0
"""Between two looks at pools that may still be growing."""

NOISE_SETS = ("noise_music", "aed_esc10")

GENTLE = WaveformRecipe(speed=(0.9, 1.1), warp_share=0.0, room_share=0.0, band_share=0.0)
"""For noise: what it is must not change, only where its energy lies."""


@dataclass(frozen=True)
class Plan:
    """What to prepare and where."""

    folder: Path
    pools: tuple[Path, ...]
    """Synthetic command speech."""
    wake_pools: tuple[Path, ...]
    """Synthetic wake words, for the context before commands."""
    real: Path | None
    """Folder with ``manifests/``; None trains on synthetic speech alone."""
    wake_phrase: str
    copies: int = 3
    """Augmented copies of every synthetic utterance."""
    real_copies: int = 12
    corpora: tuple[str, ...] = ()
    """Folders below ``corpora`` of the features: each has the index of a corpus, and gets its
    shards."""
    corpus_copies: int = 1
    seed: int = 1


def _real_sources(plan: Plan, wanted: Callable[[str], bool]) -> Iterator[Source]:
    assert plan.real is not None
    return real_sources(plan.real, plan.folder / "real.jsonl", wanted)


def _noise_sources(real: Path) -> Iterator[Source]:
    for name in NOISE_SETS:
        manifest = real / "manifests" / f"{name}.jsonl"
        if not manifest.exists():
            continue
        for path in _train_paths(manifest, real):
            yield Source(read_audio(path), "")


def _train_paths(manifest: Path, real: Path) -> Iterator[Path]:
    for line in manifest.read_text().splitlines():
        record = json.loads(line)
        if record["split"] == "train" and record["use"] == "train_ok":
            yield real / record["path"]


def _pool_sources(path: Path, start: int, stop: int, phrase: str | None) -> Iterator[Source]:
    pool = load_pool(path)
    for i in range(start, min(stop, len(pool.items))):
        item = pool.items[i]
        if item.seconds > LONGEST_S:
            continue
        if phrase is None:
            yield Source(pool.audio(i), item.text, None, *_phones(item))
        elif item.phrase_end_s is not None:
            yield Source(pool.audio(i), "", item.phrase_end_s, *_phones(item))


def _phones(item: PoolItem) -> tuple[list[str], list[float]]:
    return item.phones.split(), [end / 1000 for end in item.phone_ends_ms]


def prepare(
    plan: Plan, worker: int = 0, workers: int = 1, wanted: Callable[[], bool] = lambda: True
) -> int:
    """Makes every missing shard of the plan, the most useful first; returns how many it made.

    Args:
        plan: what to make.
        worker: number of this process, from 0.
        workers: how many share the work, shard by shard.
        wanted: asked before each shard whether to go on.

    Raises:
        RecordingError: most recordings of a portion of a corpus cannot be read.
    """
    made = 0
    for name, kind, utterances, recipe, seed in _tasks(plan):
        if zlib.crc32(f"{kind}/{name}".encode()) % workers != worker:
            continue
        if not wanted():
            break
        folder = plan.folder / kind
        if not (folder / f"{name}.json").exists():
            write_shard(folder, name, utterances, recipe, seed)
            made += 1
    return made


_Task = tuple[str, str, Iterator[Source], WaveformRecipe, Sequence[int]]


def _tasks(plan: Plan) -> Iterator[_Task]:
    recipe = WaveformRecipe()
    if plan.real is not None:
        for copy in range(3):
            yield f"noise-{copy}", "noise", _noise_sources(plan.real), GENTLE, (plan.seed, 1, copy)
        yield from _real_tasks(plan, recipe, range(2))
    yield from _pool_tasks(plan, recipe, 0, first=4)
    yield from _corpus_tasks(plan, recipe, first=2)
    yield from _wake_tasks(plan, recipe)
    if plan.real is not None:
        yield from _real_tasks(plan, recipe, range(2, plan.real_copies))
    copies = (task for copy in range(plan.copies) for task in _pool_tasks(plan, recipe, copy))
    yield from _in_turns(copies, _corpus_tasks(plan, recipe))


def _in_turns(*kinds: Iterator[_Task]) -> Iterator[_Task]:
    """One of each until all are through: neither kind waits for hours of the other."""
    waiting = list(kinds)
    while waiting:
        for tasks in tuple(waiting):
            task = next(tasks, None)
            if task is None:
                waiting.remove(tasks)
            else:
                yield task


def _corpus_tasks(
    plan: Plan, recipe: WaveformRecipe, first: int | None = None
) -> Iterator[_Task]:
    for copy in range(plan.corpus_copies if first is None else 1):
        for corpus in plan.corpora:
            folder = plan.folder / "corpora" / corpus
            index = Index(folder)
            for portion in range(index.summary.portions)[:first]:
                name = f"copy{copy}-{portion:05d}"
                unread = folder / f"{name}.unread"
                sources = corpus_sources(index, portion, unread)
                seed = (plan.seed, 6, int(corpus, 16), copy, portion)
                yield name, f"corpora/{corpus}", sources, recipe, seed


def _real_tasks(plan: Plan, recipe: WaveformRecipe, copies: range) -> Iterator[_Task]:
    def other(text: str) -> bool:
        return plan.wake_phrase not in text

    for copy in copies:
        yield f"real-{copy}", "real", _real_sources(plan, other), recipe, (plan.seed, 2, copy)


def _wake_tasks(plan: Plan, recipe: WaveformRecipe) -> Iterator[_Task]:
    if plan.real is not None:
        for copy in range(4):
            alone = _real_sources(plan, lambda text: text == plan.wake_phrase)
            trimmed = (_without_tail(source) for source in alone)
            yield f"wake-real-{copy}", "wake", trimmed, recipe, (plan.seed, 3, copy)
    for number, path in enumerate(plan.wake_pools):
        if not path.exists():  # not begun yet; the next pass finds it
            continue
        sources = _pool_sources(path, 0, SPAN, plan.wake_phrase)
        yield f"wake-pool{number}", "wake", sources, recipe, (plan.seed, 4, number)


def _without_tail(source: Source) -> Source:
    """Ends a recording of a lone word where its energy ends."""
    power = np.square(source.samples.astype(np.float32)).reshape(-1)
    window = 400
    envelope = np.convolve(power, np.ones(window) / window, "same")
    loud = np.flatnonzero(envelope > 0.01 * envelope.max())
    end = int(loud[-1]) if len(loud) else len(source.samples)
    return Source(source.samples, source.text, end / 16_000)


def _pool_tasks(
    plan: Plan, recipe: WaveformRecipe, copy: int, first: int | None = None
) -> Iterator[_Task]:
    for number, path in enumerate(plan.pools):
        available = len(load_pool(path).items)
        spans = range(0, available - SPAN + 1, SPAN)
        for span, start in enumerate(spans[:first] or [0]):
            name = f"pool{number}-copy{copy}-{span:03d}"
            if not spans:  # a small pool, or one that has just been begun
                name += f"-of{available}"
            sources = _pool_sources(path, start, start + SPAN, None)
            yield name, "synthetic", sources, recipe, (plan.seed, 5, number, copy, span)


def run_quietly(plan: Plan, worker: int = 0, workers: int = 1) -> None:
    """Entry of a background process: gives way to everything else.

    Pools may still be growing, so it goes on looking until it is told to stop, or until the
    training that started it is gone: one that is killed tells nobody.
    """
    os.nice(10)
    training = multiprocessing.parent_process()

    def wanted() -> bool:
        return training is None or training.is_alive()

    try:
        while wanted():
            if not prepare(plan, worker, workers, wanted):
                time.sleep(PAUSE_S)
    except VoiceAgentError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
