"""The sound of a corpus: int16 mono at 16 kHz, whatever it is stored as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from agent.hearing.features import SAMPLE_RATE
from converters.asr.shards import Source
from converters.corpora.errors import RecordingError
from converters.corpora.index import Entry, Index

_MOST_UNREAD = 0.5
"""Share of a portion above which the corpus itself must be at fault, not single files."""


def samples(entry: Entry) -> NDArray[np.int16]:
    """What an utterance sounds like; channels are averaged.

    Raises:
        RecordingError: the file is missing, damaged, or shorter than the manifest says.
    """
    from lhotse.serialization import deserialize_item

    try:
        cut = deserialize_item(json.loads(entry.cut))
        audio = cut.load_audio()
    except Exception as error:  # lhotse's decoders raise whatever they like
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise RecordingError(f"{entry.id} cannot be read: {why}") from error
    mono = np.asarray(audio, np.float32).mean(axis=0)
    if cut.sampling_rate != SAMPLE_RATE:
        mono = soxr.resample(mono, cut.sampling_rate, SAMPLE_RATE)
    return np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)


def sources(index: Index, number: int, unread: Path) -> Iterator[Source]:
    """The utterances of a portion for a shard.

    Args:
        index: of the split.
        number: of the portion.
        unread: file that is left with a line for each recording that cannot be read; none, no
            file.

    Raises:
        RecordingError: more than half of them cannot be read.
    """
    failures: list[str] = []
    count = 0
    for entry in index.portion(number):
        count += 1
        try:
            sound = samples(entry)
        except RecordingError as error:
            failures.append(str(error))
            continue
        yield Source(sound, entry.text)
    if len(failures) > _MOST_UNREAD * count:
        raise RecordingError(
            f"{len(failures)} of {count} recordings of {index.summary.title} cannot be read, such "
            f"as {failures[0]}"
        )
    if failures:
        unread.parent.mkdir(parents=True, exist_ok=True)
        unread.write_text("".join(f"{failure}\n" for failure in failures))
