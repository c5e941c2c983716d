"""`voice-agent meter`: level, clipping and the live score of the wake word.

For setting up a microphone: speak from where you will sit, watch the level, say the wake word. Stop
with Ctrl-C; the last lines say what to change. `--source file:PATH` or `-` measures a recording.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from agent.arguments import add_models

if TYPE_CHECKING:
    from agent.hearing.meter import Reading, Summary

HELP = "level, clipping and live wake word score of a source"

_READ_TIMEOUT_S = 0.5
_BAR = 30
_LOWEST_DBFS = -70.0
_LINE_EVERY = 5
"""Readings of 0.2 s between two lines where there is no terminal to redraw one on."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="alsa:NAME, file:PATH, or - for raw 16-bit mono sound at 16 kHz on standard input",
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="stop after so much sound")
    add_models(parser, own_word=True)
    parser.add_argument("--json", action="store_true", help="one JSON object every 0.2 s")


def main(args: argparse.Namespace) -> int:
    """Measures until the source ends, the time is over, or Ctrl-C.

    Args:
        args: The parsed arguments.

    Returns:
        0.

    Raises:
        AudioError: The source cannot be read.
        BundleError: The models cannot be used.
        ConfigError: The configuration cannot be used.
    """
    from agent.config import load_config
    from agent.hearing.features import FRAME_SECONDS
    from agent.hearing.loading import load_words
    from agent.hearing.meter import Meter, Summary
    from agent.hearing.opening import open_source
    from agent.hearing.sources import parse_source
    from agent.interrupts import stopped_by_signals

    config = load_config(args.config)
    words = load_words(args.bundle, args.config, args.word)
    meter, summary = Meter(words), Summary()
    limit = float("inf") if args.seconds is None else args.seconds
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    source = open_source(parse_source(args.source or config.audio.source))
    show = _json if args.json else _Lines(min(w.settings.threshold for w in words)).show
    heard = 0
    try:
        with stopped_by_signals(stop):
            while not stopped and not source.ended and heard * FRAME_SECONDS < limit:
                block = source.read(_READ_TIMEOUT_S)
                if block is None:
                    continue
                heard += 1
                reading = meter.accept(block)
                if reading is not None:
                    summary.add(reading)
                    show(reading)
    finally:
        source.close()
    if args.json:
        print(json.dumps({"summary": _facts(summary)}), flush=True)
    else:
        _print_summary(summary)
    return 0


def _facts(summary: Summary) -> dict[str, Any]:
    return dataclasses.asdict(summary) | {"advice": summary.advice()}


def _json(reading: Reading) -> None:
    print(json.dumps(dataclasses.asdict(reading)), flush=True)


class _Lines:
    """Readings for people: one line that is redrawn, or one a second without a terminal."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._terminal = sys.stdout.isatty()
        self._shown = 0
        self._score = 0.0

    def show(self, reading: Reading) -> None:
        """Draws a reading."""
        for found in reading.detections:
            print(f"{self._line(reading)}  woke: {found.word}{self._erase}", flush=True)
        self._shown += 1
        self._score = 0.0 if reading.detections else max(self._score, reading.score)
        if self._terminal:
            print(f"\r{self._line(reading)}\x1b[K", end="", flush=True)
        elif self._shown % _LINE_EVERY == 0 and not reading.detections:
            print(self._line(dataclasses.replace(reading, score=self._score)), flush=True)
            self._score = 0.0

    @property
    def _erase(self) -> str:
        return "\x1b[K" if self._terminal else ""

    def _line(self, reading: Reading) -> str:
        start = "\r" if self._terminal else ""
        level = "silence" if reading.rms_dbfs is None else f"{reading.rms_dbfs:4.0f} dB "
        share = 0.0
        if reading.rms_dbfs is not None:
            share = min(max(1.0 - reading.rms_dbfs / _LOWEST_DBFS, 0.0), 1.0)
        bar = ("#" * round(share * _BAR)).ljust(_BAR)
        score = ("*" * round(reading.score * _BAR)).ljust(_BAR)
        mark = round(self._threshold * _BAR)
        score = score[:mark] + "|" + score[mark + 1 :]
        clip = " CLIPS" if reading.clipped_blocks else "      "
        return (
            f"{start}{reading.time_s:8.1f} s [{bar}] {level}{clip}"
            f"  wake [{score}] {reading.score:.2f}"
        )


def _print_summary(summary: Summary) -> None:
    if sys.stdout.isatty():
        print()
    print(
        f"loudest {summary.loudest_dbfs:.0f} dBFS, quietest {summary.quietest_dbfs:.0f} dBFS,"
        f" clipped in {summary.clipped_readings} of {summary.readings} readings,"
        f" best score {summary.best_score:.2f}, {summary.detections} detected"
    )
    for sentence in summary.advice():
        print(sentence)
