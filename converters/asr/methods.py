"""Optional ways to learn, each a switch of `train-asr`; what each gives is in RESULTS.md."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import BundleFileError
from agent.hearing.beam import LabelModel
from agent.hearing.language_model import LanguageModel

if TYPE_CHECKING:  # The switches are read without PyTorch.
    from converters.asr.distillation import Teacher

BOARD_WIDTH = 48
"""Readings that the shipped bundle keeps."""


@dataclass(frozen=True)
class Search:
    """How the readings of a row are looked for."""

    language: LabelModel | None = None
    """Tells which labels follow each other; None leaves the transducer alone."""
    weight: float = 0.5
    """How much that counts."""
    width: int = 4
    """Most readings kept, and given."""


@dataclass(frozen=True)
class Methods:
    """What a training step does besides lowering the transducer's loss and the phones'."""

    early: float = 0.0
    """By how much labels are preferred to blanks, see `loss.lattice_loss`."""
    word_weight: float = 0.0
    """Weight of the expected word errors of a row beside its transducer loss in nats."""
    search: Search = Search()
    """How the readings are found whose word errors those are."""

    teacher: Teacher | None = None
    """Whose encodings and phones are to be met, see `distillation.py`."""
    teacher_weight: float = 0.3
    """Weight of the distance from them, per row."""
    agree_weight: float = 0.0
    """Weight of the disagreement about phones between two views of a row."""

    def weights(self) -> dict[str, float]:
        """Weight of each method's loss in the sum that is minimised, by the loss's name."""
        return {
            "words": self.word_weight,
            "taught": self.teacher_weight,
            "agreed": self.agree_weight,
        }


def add_options(parser: argparse.ArgumentParser) -> None:
    """The switches."""
    add = parser.add_argument_group("methods, see RESULTS.md for what each gives").add_argument
    add("--average", type=float, default=0.999, metavar="DECAY",
        help="of the moving average of the weights, which is what is evaluated and exported; "
             "0: the last weights (default: %(default)s)")
    add("--context-share", type=float, default=0.3, metavar="SHARE",
        help="share of rows that begin with a wake word, heard and not written down "
             "(default: %(default)s)")
    add("--emit-early", type=float, default=0.0, metavar="SHARE",
        help="prefer labels to blanks by this much, so that they are not put off (FastEmit)")
    add("--mwer-weight", type=float, default=0.0, metavar="WEIGHT",
        help="a last stage: lower the expected word errors of the readings that the beam finds, "
             "beside the transducer's loss; needs --from, and a rate of about 1e-4")
    add("--mwer-readings", type=int, default=4, metavar="N",
        help="how many readings of a row that looks at (default: %(default)s)")
    add("--teacher", type=Path, metavar="DIR",
        help="a run or a bundle whose encodings (and phones, of a run) are to be met")
    add("--teacher-weight", type=float, default=0.3, metavar="WEIGHT",
        help="of the distance from them (default: %(default)s)")
    add("--agree-weight", type=float, default=0.0, metavar="WEIGHT",
        help="hear two differently masked views of a row alike (default: %(default)s; try 0.1)")
    add("--labels", type=_units, default="letters", metavar="UNITS",
        help="what is written: letters, sounds (phones of a dictionary) or pieces:COUNT (of "
             "words); the latter two can be compared, not exported (default: %(default)s)")
    add("--words", type=int, default=300_000, metavar="N",
        help="with --labels sounds, close with a graph of words whose model is counted from N "
             "made-up sentences (default: %(default)s)")
    add("--long-memory", action="store_true",
        help="the predictor is an LSTM over all labels; can be compared, not exported")
    add("--language", type=Path, metavar="FILE",
        help="made by `train-language`: --mwer-weight looks for readings with it, as the board "
             "does, and the run closes with word errors as the board decodes")
    add("--language-weight", type=float, default=0.5, metavar="WEIGHT",
        help="how much it counts (default: %(default)s)")  # fmt: skip


def _units(name: str) -> str:
    if not re.fullmatch(r"letters|sounds|pieces:[1-9][0-9]{1,3}", name):
        raise argparse.ArgumentTypeError(f"{name!r} are none; try letters, sounds or pieces:256")
    return name


def chosen(args: argparse.Namespace) -> Methods:
    """What the switches ask for.

    Raises:
        BundleFileError: the language model cannot be read, or is damaged.
    """
    teacher = None
    if args.teacher is not None:
        from converters.asr.distillation import read_teacher

        teacher = read_teacher(args.teacher)
    return Methods(
        early=args.emit_early,
        word_weight=args.mwer_weight,
        search=Search(language_model(args.language), args.language_weight, args.mwer_readings),
        teacher=teacher,
        teacher_weight=args.teacher_weight,
        agree_weight=args.agree_weight,
    )


def closing_search(args: argparse.Namespace) -> Search:
    """How the board decodes."""
    return Search(language_model(args.language), args.language_weight, BOARD_WIDTH)


def language_model(path: Path | None) -> LanguageModel | None:
    """The file that `train-language` wrote, if one is given.

    Raises:
        BundleFileError: it cannot be read, or is damaged.
    """
    if path is None:
        return None
    try:
        return LanguageModel(path.read_bytes(), path.name)
    except OSError as error:
        raise BundleFileError(
            f"{path} cannot be read ({error.strerror}); give --language a file of `train-language`."
        ) from error
