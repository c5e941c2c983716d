"""Making the utterances of a pool in several processes, and appending them in order.

Each process has its own engines. Utterances are handed out in runs of consecutive indices; the
parent alone writes, in the order of the indices, and only so many runs are under way at a time that
little is thrown away at the end.
"""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.synthesis.errors import EngineError
from converters.synthesis.phones import SILENCE, Segment, moved
from converters.synthesis.pool import SAMPLE_RATE, PoolItem, PoolWriter
from converters.synthesis.recipe import Recipe, UtterancePlan, plan
from converters.synthesis.rendering import Speech, Voices

_RUN = 16
"""Utterances handed to a process at a time."""
_RUNS_AHEAD = 3
"""Runs under way for each process."""

Made = tuple[int, PoolItem | None, npt.NDArray[np.int16]]
"""Index, item (None where the engine failed) and samples."""

_own: list[Voices] = []
"""The engines of this process."""


def make_utterance(voices: Voices, recipe: Recipe, index: int) -> Made:
    """Synthesise utterance `index` of a recipe.

    Returns:
        The index, the item (without its place in a pool) and its samples; no item where the engine
        gave no speech.

    Raises:
        MissingResourceError: The engine is not installed.
    """
    planned = plan(recipe, index)
    try:
        speeches = [voices.say(planned.speaker, part.words, part.manner) for part in planned.parts]
    except EngineError:
        return index, None, np.zeros(0, np.int16)
    samples, ends, segments = _join(speeches, planned.gap_s)
    item = PoolItem(
        index=index, offset=0, samples=len(samples), seconds=len(samples) / SAMPLE_RATE,
        text=planned.text, speaker=planned.speaker.name, engine=planned.speaker.engine,
        voice=planned.speaker.voice, split=recipe.split, kind=recipe.kind, cell=planned.cell,
        intent=planned.intent, names=planned.names, slots=planned.slots, word_ends_s=ends,
        phones=" ".join(segment.phone or "?" for segment in segments),
        phone_ends_ms=tuple(round(1000 * segment.end_s) for segment in segments),
        phrase_end_s=_phrase_end(planned, speeches, ends),
    )  # fmt: skip
    return index, item, samples


def _join(
    speeches: list[Speech], gap_s: float
) -> tuple[npt.NDArray[np.int16], tuple[float | None, ...], list[Segment]]:
    pieces: list[npt.NDArray[np.int16]] = []
    ends: list[float | None] = []
    segments: list[Segment] = []
    length = 0
    for number, speech in enumerate(speeches):
        if number:
            pieces.append(np.zeros(round(gap_s * SAMPLE_RATE), np.int16))
            length += len(pieces[-1])
        shift = length / SAMPLE_RATE
        segments += [Segment(SILENCE, shift), *moved(speech.segments, 1.0, shift)]
        ends += [None if end is None else round(end + shift, 3) for end in speech.word_ends]
        pieces.append(speech.samples)
        length += len(speech.samples)
    return np.concatenate(pieces), tuple(ends), segments


def _phrase_end(
    planned: UtterancePlan, speeches: list[Speech], ends: tuple[float | None, ...]
) -> float | None:
    if not planned.phrase_words:
        return None
    if planned.cell == "positive-together":
        return ends[planned.phrase_words - 1]
    return round(speeches[0].speech_end_s, 3)


def _start(cache_folder: Path) -> None:
    # The parent alone reacts to an interrupt; it lets the processes finish what they are at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _own.append(Voices(cache_folder))
    atexit.register(_own[0].close)


def _make_run(recipe: Recipe, first: int) -> list[Made]:
    return [make_utterance(_own[0], recipe, index) for index in range(first, first + _RUN)]


def _in_order(recipe: Recipe, first: int, jobs: int, cache_folder: Path) -> Iterator[Made]:
    """All utterances from `first` on, without end."""
    with ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(cache_folder,),
    ) as executor:
        under_way: deque[Future[list[Made]]] = deque()
        try:
            while True:
                while len(under_way) < jobs * _RUNS_AHEAD:
                    under_way.append(executor.submit(_make_run, recipe, first))
                    first += _RUN
                yield from under_way.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def fill(
    writer: PoolWriter,
    recipe: Recipe,
    *,
    hours: float | None,
    count: int | None,
    jobs: int,
    cache_folder: Path,
    report: Callable[[PoolWriter, int], None],
) -> int:
    """Append utterances until the pool is as large as asked for.

    Args:
        writer: The pool, perhaps begun earlier.
        recipe: What it holds.
        hours: Length to reach, or None.
        count: Number of recipe indices to go through, or None.
        jobs: Number of processes.
        cache_folder: Where engines keep data of their own.
        report: Called after each utterance with the writer and the number of failed indices.

    Returns:
        The number of indices that gave no speech.

    Raises:
        MissingResourceError: An engine is not installed.
    """

    def enough(next_index: int) -> bool:
        long_enough = hours is not None and writer.seconds >= hours * 3600
        return long_enough or (count is not None and next_index >= count)

    failed = 0
    if enough(writer.next_index):
        return failed
    stream = _in_order(recipe, writer.next_index, jobs, cache_folder)
    try:
        for index, item, samples in stream:
            if item is None:
                failed += 1
            else:
                writer.append(item, samples)
            report(writer, failed)
            if enough(index + 1):
                break
    finally:
        stream.close()  # type: ignore[attr-defined]
    return failed
