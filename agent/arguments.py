"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_recordings(parser: argparse.ArgumentParser) -> None:
    """Recordings to work on, and answers for scripts."""
    parser.add_argument("audio", nargs="+", type=Path, metavar="AUDIO", help="recordings")
    parser.add_argument("--json", action="store_true", help="one JSON object for each file")


def add_models(parser: argparse.ArgumentParser, *, own_word: bool = False) -> None:
    """Where models and settings come from.

    Args:
        parser: The command's parser.
        own_word: Also an own wake word in place of the bundle's.
    """
    parser.add_argument(
        "--bundle", type=Path, metavar="DIR", help="model bundle (default: the shipped one)"
    )
    if own_word:
        parser.add_argument("--word", type=Path, metavar="FILE", help="own wake word (.tflite)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
