"""``voice-converters train-language``: which labels follow each other, counted from made-up text.

    voice-converters train-language --out .cache/language.npz
    voice-converters export --language .cache/language.npz ...

A transducer's predictor sees two labels; this model sees nine, and while decoding it takes the
place of a predictor with a longer memory. It is counted from the same sentences that speech is
synthesised from, so it needs no audio, and takes minutes. It is a model, not a grammar: any text
can be recognised, and what it never saw is only less likely. Sentences and names that are held out
for tests are never counted.

Own sentences join with ``--text FILE`` (one per line); they count as often as ``--text-weight``
says.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.hearing.language_model import LanguageModel

HELP = "count the language model of labels from made-up text"
_PART = 200_000
"""Sentences that are counted in one go."""
_FIRST_PRUNED = 3
"""From n-grams of this length on, the rare ones are left out."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FILE", help="the model, .npz")
    add("--sentences", type=int, default=3_000_000,
        help="sentences to count (default: %(default)s)")
    add("--order", type=int, default=10, help="labels in the longest n-gram (default: %(default)s)")
    add("--keep-from", type=int, default=6, metavar="COUNT",
        help="an n-gram of n labels is kept if it was seen (n - 4) times this often, those of 3 "
             "and 4 labels from 2 and 4 times on; less makes the file larger (default: "
             "%(default)s)")
    add("--text", type=Path, action="append", default=[], metavar="FILE",
        help="own sentences, one per line (may be repeated)")
    add("--text-weight", type=int, default=60, help="how often each of them counts")
    add("--seed", type=int, default=7)


def least_counts(order: int, keep_from: int) -> tuple[int, ...]:
    """For each length from 1 on, how often an n-gram must have been seen to be kept."""
    counts = [1, 1, 2, 4] + [(n - 4) * keep_from for n in range(5, order + 1)]
    return tuple(itertools.accumulate(counts[:order], max))


def main(args: argparse.Namespace) -> int:
    """Counts, estimates, and tells how well the model predicts sentences it never saw."""
    from rich.progress import track

    from agent.hearing.language_model import LONGEST, SHORT, LanguageModel
    from converters.language.counting import count, label_stream, merged
    from converters.language.estimation import estimate

    if not SHORT < args.order <= LONGEST:
        print(f"error: --order must be from {SHORT + 1} to {LONGEST}", file=sys.stderr)
        return 2
    parts = -(-args.sentences // _PART)
    counted = track(_parts(args), "counting", total=parts + bool(args.text))
    counts = merged(count(label_stream(part, args.order), args.order) for part in counted)
    content = estimate(counts, least_counts(args.order, args.keep_from))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(content)
    model = LanguageModel(content, args.out.name)
    print(f"wrote {args.out}: {len(content) / 1e6:.2f} MB, n-grams of up to {args.order} labels")
    print("nats per label, held-out sentences, by this model / by two labels alone:")
    for name, free in (("commands", False), ("free text", True)):
        sentences = list(_sentences(args.seed + 1, "dev", 500, free=free))
        long, short = (surprise(model, sentences, n) for n in (args.order, SHORT))
        print(f"  {name}: {long:.3f} / {short:.3f}")
    return 0


def surprise(model: LanguageModel, sentences: list[str], order: int) -> float:
    """Mean of minus the log-probability of each label and of the end, in nats."""
    from agent.hearing.language_model import END
    from converters.asr.text import encode

    total, labels = 0.0, 0
    for sentence in sentences:
        history = 0
        for label in (*encode(sentence), END):
            total -= float(model.log_probs(history, order)[label])
            history = model.extend(history, label)
            labels += 1
    return total / labels


def _sentences(seed: int, split: str, count: int, free: bool | None = None) -> Iterator[str]:
    from converters.synthesis.holdout import SPLITS
    from converters.synthesis.text import TextGenerator

    generator = TextGenerator(seed, next(s for s in SPLITS if s == split), free=free)
    return (generator.sentence().text for _ in range(count))


def _parts(args: argparse.Namespace) -> Iterator[list[list[int]]]:
    """The labels of the sentences in parts, to keep memory small."""
    from converters.asr.text import encode, normalise

    drawn = _sentences(args.seed, "train", args.sentences)
    while part := list(itertools.islice(drawn, _PART)):
        yield [encode(sentence) for sentence in part]
    own = [normalise(line) for path in args.text for line in path.read_text().splitlines()]
    if own:
        yield [encode(line) for line in own if line] * args.text_weight
