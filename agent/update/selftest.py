"""What a bundle understands of self-test recordings: run as a process of its own, by the trial.

    python -m agent.update.selftest MODELS CLIPS       prints one JSON object

MODELS is the bundle that recognises, CLIPS the bundle whose recordings and transcripts are used: a
new release and the one in use are compared on the same recordings. Both go block by block through
the very classes that `listen` uses. What it prints:

    {"clips": [{"words", "errors", "missed"}], "cpu_s", "audio_s", "peak_mb"}

`errors` counts substituted, inserted and deleted words, `missed` says whether the wake word that a
recording begins with was not heard.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.bundle.manifest import Bundle, SelftestEntry, load_bundle
from agent.config import Config
from agent.errors import VoiceAgentError
from agent.hearing.audio_file import AudioFile
from agent.hearing.pipeline import Pipeline
from agent.hearing.session_events import Finished, SessionEvent, Woken
from agent.records import plain

FAILED = 3  # exit status: the bundle cannot be loaded or a recording cannot be read


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One recording."""

    words: int
    errors: int
    missed: bool = False


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A whole self-test."""

    clips: tuple[Clip, ...]
    cpu_s: float
    """Of the recognition alone."""
    audio_s: float
    peak_mb: int
    """Largest resident memory of the process."""

    @property
    def errors(self) -> int:
        """Word errors of all recordings."""
        return sum(clip.errors for clip in self.clips)

    @property
    def words(self) -> int:
        """Words of all transcripts."""
        return sum(clip.words for clip in self.clips)


def run(models: Bundle, clips: Bundle) -> Measured:
    """Recognises every recording.

    Args:
        models: What recognises.
        clips: What is recognised, and what should come out.

    Returns:
        What came out.

    Raises:
        BundleError: The models cannot be used.
        AudioError: A recording cannot be read.
    """
    with_wake = bool(models.manifest.wake)
    pipeline = Pipeline(models, Config(), wake=with_wake)
    words = pipeline.words
    results, audio_s = [], 0.0
    began = time.process_time()
    for entry in clips.manifest.selftest:
        # Without a phrase to begin with, the recording is decoded from its first block.
        pipeline.words = words if entry.wake else []
        pipeline.reset()
        events: list[SessionEvent] = []
        if not entry.wake:
            events += pipeline.open()
        file = AudioFile(clips.directory / entry.path)
        for block in file:
            events += pipeline.process(block)
        events += pipeline.finish(file.seconds)
        audio_s += file.seconds
        results.append(_clip(entry, events))
    return Measured(
        clips=tuple(results),
        cpu_s=round(time.process_time() - began, 4),
        audio_s=round(audio_s, 2),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest words to substitute, insert and delete to get from one text to the other."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(heard, 1):
            best = min(diagonal + (word != other), row[column] + 1, row[column - 1] + 1)
            diagonal, row[column] = row[column], best
    return row[-1]


def _clip(entry: SelftestEntry, events: Sequence[SessionEvent]) -> Clip:
    heard = " ".join(event.text for event in events if isinstance(event, Finished)).split()
    reference = entry.text.split()
    woken = any(isinstance(event, Woken) for event in events)
    return Clip(
        words=len(reference),
        errors=word_errors(reference, heard),
        missed=entry.wake is not None and not woken,
    )


def main(arguments: Sequence[str]) -> int:
    """Runs the self-test that the module's text describes."""
    models, clips = (Path(argument) for argument in arguments)
    try:
        measured = run(load_bundle(models), load_bundle(clips))
    except (VoiceAgentError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    print(json.dumps(plain(measured)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
