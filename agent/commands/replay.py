"""`voice-agent replay`: where in a recording the wake word fired, and how close it came elsewhere.

For tuning: play it a recording of missed calls, or an evening of television, and see what another
threshold would have done. `--plot FILE.svg` draws it. Scores are smoothed, as the threshold sees
them; times are when the agent knew, which is a little after the word's end.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.arguments import add_models, add_recordings

if TYPE_CHECKING:
    from agent.hearing.score_trace import ScoreTrace
    from agent.hearing.wake_word import WakeWord

HELP = "where in a recording the wake word fired, and how close it came elsewhere"

_OTHER_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
_PADDING_BLOCKS = 30
"""Silence behind a recording, 1.2 s: the score of a word at the very end comes a little later."""
_MOST_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    add_recordings(parser)
    add_models(parser, own_word=True)
    parser.add_argument("--threshold", type=float, metavar="T", help="judge with this one (0 to 1)")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="also draw the first recording, as SVG"
    )


def main(args: argparse.Namespace) -> int:
    """Replays the files in order.

    Args:
        args: The parsed arguments.

    Returns:
        1 if a file could not be read, else 0.

    Raises:
        BundleError: The models cannot be used.
        ConfigError: The configuration or an argument cannot be used.
    """
    from agent.errors import AudioError, ConfigError
    from agent.hearing.loading import load_words

    if args.threshold is not None and not 0.0 < args.threshold <= 1.0:
        raise ConfigError(f"--threshold {args.threshold:g} must be above 0 and at most 1.")
    if args.plot is not None and args.plot.suffix.lower() != ".svg":
        raise ConfigError(f"--plot {args.plot} must end in .svg; that is what is drawn.")
    words = load_words(args.bundle, args.config, args.word)
    failed = False
    for number, path in enumerate(args.audio):
        try:
            traces = trace(words, path, args.threshold)
        except AudioError as error:
            failed = True
            _print_error(path, error, as_json=args.json)
            continue
        for each in traces:
            answer = describe(path, each)
            print(json.dumps(answer, ensure_ascii=False) if args.json else _lines(answer))
        if number == 0 and args.plot is not None:
            _draw(args.plot, traces[0], path)
    return 1 if failed else 0


def trace(words: list[WakeWord], path: Path, threshold: float | None = None) -> list[ScoreTrace]:
    """Plays a recording to the wake words, through the classes that run live.

    Args:
        words: The wake words; their state is reset.
        path: The recording.
        threshold: Judge with this one instead of the settings'.

    Returns:
        One trace for each word.

    Raises:
        AudioError: The file cannot be read.
    """
    import numpy as np

    from agent.hearing.audio_file import AudioFile
    from agent.hearing.features import BLOCK, LogMel
    from agent.hearing.levels import SILENT_DBFS, dbfs
    from agent.hearing.score_trace import ScoreTrace

    features = LogMel()
    for word in words:
        word.reset()
    scores: list[list[float]] = [[] for _ in words]
    levels: list[float] = []

    def hear(block: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        samples = block.astype(np.float32) / np.float32(32768.0)
        level = dbfs(float(np.dot(samples, samples)) / BLOCK)
        levels.append(SILENT_DBFS if level is None else level)
        frame = features.process(samples)
        for word, kept in zip(words, scores, strict=True):
            word.process(frame)
            kept.append(word.score)

    for block in AudioFile(path):
        hear(block)
    for _ in range(_PADDING_BLOCKS):
        hear(np.zeros(BLOCK, np.int16))
    found = []
    for word, kept in zip(words, scores, strict=True):
        settings = word.settings
        if threshold is not None:
            settings = dataclasses.replace(settings, threshold=threshold)
        found.append(ScoreTrace(settings, np.array(kept, np.float32), np.array(levels, np.float32)))
    return found


def describe(path: Path, found: ScoreTrace) -> dict[str, Any]:
    """The object that `--json` prints."""
    from agent.hearing.features import FRAME_SECONDS
    from agent.hearing.score_trace import other_thresholds

    return {
        "path": str(path),
        "word": found.settings.phrase,
        "threshold": found.settings.threshold,
        "audio_s": round(found.seconds - _PADDING_BLOCKS * FRAME_SECONDS, 3),
        "detections": [dataclasses.asdict(moment) for moment in found.detections()],
        "close_calls": [dataclasses.asdict(moment) for moment in found.close_calls()],
        "other_thresholds": [
            {"threshold": value, "detections": count}
            for value, count in other_thresholds(found, _OTHER_THRESHOLDS)
        ],
    }


def _lines(answer: dict[str, Any]) -> str:
    fired, close = answer["detections"], answer["close_calls"]
    head = (
        f'{answer["path"]}: {answer["audio_s"]:.1f} s, "{answer["word"]}" at threshold'
        f" {answer['threshold']:.3f}: {len(fired)} detected, {len(close)} close"
    )
    lines = [head]
    moments = [("woke ", moment) for moment in fired]
    moments += [("close", moment) for moment in close[:_MOST_SHOWN]]
    for name, moment in sorted(moments, key=lambda pair: pair[1]["time_s"]):
        lines.append(
            f"  {moment['time_s']:9.2f} s  {name}  {moment['score']:.2f}"
            f"  at {moment['level_dbfs']:.0f} dBFS"
        )
    others = [f"{o['detections']} at {o['threshold']:g}" for o in answer["other_thresholds"]]
    return "\n".join([*lines, "  detections at other thresholds: " + ", ".join(others)])


def _print_error(path: Path, error: Exception, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"path": str(path), "error": str(error)}, ensure_ascii=False))
    else:
        print(f"error: {error}", file=sys.stderr)


def _draw(plot: Path, found: ScoreTrace, path: Path) -> None:
    from agent.errors import ConfigError
    from agent.hearing.trace_picture import svg

    try:
        plot.write_text(svg(found, f'{path.name}: "{found.settings.phrase}"'), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--plot {plot} cannot be written ({error.strerror}).") from error
