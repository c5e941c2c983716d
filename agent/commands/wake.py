"""`voice-agent wake`: scores and detections of the wake word in recordings.

The peak is that of the smoothed score, which is what the threshold is compared with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.arguments import add_models, add_recordings

if TYPE_CHECKING:
    from agent.hearing.wake_word import WakeWord

HELP = "wake word scores and detections of audio files"

_PADDING_BLOCKS = 30
"""Silence behind a recording, 1.2 s: the score of a word at the very end comes a little later."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    add_recordings(parser)
    add_models(parser, own_word=True)


def main(args: argparse.Namespace) -> int:
    """Scores the files in order.

    Args:
        args: The parsed arguments.

    Returns:
        1 if a file could not be read, else 0.

    Raises:
        BundleError: The models cannot be used.
        ConfigError: The configuration cannot be used.
    """
    from agent.errors import AudioError
    from agent.hearing.loading import load_words

    words = load_words(args.bundle, args.config, args.word)
    failed = False
    for path in args.audio:
        try:
            answer = score(words, path)
        except AudioError as error:
            failed = True
            answer = {"path": str(path), "error": str(error)}
        if args.json:
            print(json.dumps(answer, ensure_ascii=False), flush=True)
        else:
            _show(answer)
    return 1 if failed else 0


def score(words: Sequence[WakeWord], path: Path) -> dict[str, Any]:
    """Scores a file.

    Args:
        words: The wake words; their state is reset.
        path: The recording.

    Returns:
        The object that `--json` prints.

    Raises:
        AudioError: The file cannot be read.
    """
    import numpy as np

    from agent.hearing.audio_file import AudioFile
    from agent.hearing.features import BLOCK, FRAME_SECONDS, LogMel

    features = LogMel()
    for word in words:
        word.reset()
    peak = 0.0
    detections = []

    def hear(block: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        nonlocal peak
        frame = features.process(block.astype(np.float32) / np.float32(32768.0))
        for word in words:
            found = word.process(frame)
            peak = max(peak, word.score)
            if found is not None:
                detections.append((found.end_frame * FRAME_SECONDS, found.score))

    file = AudioFile(path)
    for block in file:
        hear(block)
    for _ in range(_PADDING_BLOCKS):
        hear(np.zeros(BLOCK, np.int16))
    return {
        "path": str(path),
        "peak_score": round(peak, 4),
        "detections": [
            {"time_s": round(min(time_s, file.seconds), 3), "score": round(value, 4)}
            for time_s, value in sorted(detections)
        ],
    }


def _show(answer: dict[str, Any]) -> None:
    if "error" in answer:
        print(f"error: {answer['error']}", file=sys.stderr)
        return
    found = ", ".join(f"{d['time_s']:.2f} s ({d['score']:.2f})" for d in answer["detections"])
    print(f"{answer['path']}: peak {answer['peak_score']:.2f}; {found or 'not detected'}")
