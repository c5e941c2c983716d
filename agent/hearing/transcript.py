"""From emitted tokens to text, words with times, and probabilities that mean something.

* A word's `posterior` is the product of the probabilities of its letters, each given the path so
  far, in the frame in which the decoder first thought of it: how well it alone fits the sound.
* The `confidence` of an utterance is the geometric mean of the probabilities of its letters, so
  that long and short commands can be compared.
* A hypothesis's `posterior` is its share of the probability of all entries of the n-best list,
  the language model's part included; None where the decoder keeps one reading only.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

from agent.hearing.features import FRAME_SECONDS
from agent.hearing.transducer import Path, Token
from agent.result import Hypothesis, Utterance, Word


class Vocabulary:
    """What the labels stand for.

    Args:
        tokens: By label; a space separates words.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tuple(tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def text(self, tokens: Iterable[Token]) -> str:
        """The text, with single spaces between words and none around them."""
        return " ".join("".join(self._tokens[token.label] for token in tokens).split())

    def words(self, tokens: Iterable[Token]) -> list[list[Token]]:
        """The tokens of each word, spaces left out."""
        words: list[list[Token]] = [[]]
        for token in tokens:
            if self._tokens[token.label].isspace():
                words.append([])
            else:
                words[-1].append(token)
        return [word for word in words if word]

    def without_phrase(self, tokens: Sequence[Token], phrase: str) -> list[Token]:
        """The tokens less a phrase that they begin with.

        The end of the wake word is an estimate, and labels come a little late: the decoder may
        still write the word that the encoder has just heard. It is no part of the command.
        """
        wanted = phrase.split()
        words = self.words(tokens)
        if not wanted or [self.text(word) for word in words[: len(wanted)]] != wanted:
            return list(tokens)
        if len(words) == len(wanted):
            return []
        following = words[len(wanted)][0]
        return list(tokens[tokens.index(following) :])


class Timeline:
    """Frames as seconds of audio.

    Args:
        first: Frames that went by before the one that counts as number 0.

    Attributes:
        end_s: Where the audio ends; no time is later than that. Infinite until it is known.
    """

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self.end_s = math.inf

    def seconds(self, frame: int) -> float:
        """When a frame begins."""
        return round(min((self._first + max(frame, 0)) * FRAME_SECONDS, self.end_s), 3)


def confidence(tokens: Sequence[Token]) -> float | None:
    """Geometric mean of the probabilities of all letters; None if there are none."""
    if not tokens:
        return None
    return round(math.exp(sum(token.log_prob for token in tokens) / len(tokens)), 4)


def hypothesis(
    vocabulary: Vocabulary, tokens: Sequence[Token], log_prob: float, timeline: Timeline
) -> Hypothesis:
    """The n-best entry of emitted tokens."""
    words = tuple(
        Word(
            word=vocabulary.text(word),
            start_s=timeline.seconds(word[0].frame),
            end_s=timeline.seconds(word[-1].frame + 1),
            posterior=round(math.exp(sum(token.log_prob for token in word)), 4),
        )
        for word in vocabulary.words(tokens)
    )
    return Hypothesis(text=vocabulary.text(tokens), log_prob=round(log_prob, 4), words=words)


def nbest(
    vocabulary: Vocabulary, paths: Sequence[Path], timeline: Timeline
) -> tuple[Hypothesis, ...]:
    """The n-best list: different texts, best first, and how likely each is among them.

    Args:
        vocabulary: What the labels stand for.
        paths: Readings, best first, at least one; several may have the same text.
        timeline: Turns frames into seconds.
    """
    if len(paths) == 1:
        return (hypothesis(vocabulary, paths[0].tokens, paths[0].log_prob, timeline),)
    found: dict[str, Hypothesis] = {}
    weights: dict[str, float] = {}
    for path in paths:
        entry = hypothesis(vocabulary, path.tokens, path.log_prob, timeline)
        found.setdefault(entry.text, entry)
        weight = math.exp(path.score - paths[0].score)
        weights[entry.text] = weights.get(entry.text, 0.0) + weight
    total = sum(weights.values())
    return tuple(
        dataclasses.replace(entry, posterior=round(weights[text] / total, 4))
        for text, entry in found.items()
    )


def utterance(entry: Hypothesis) -> tuple[Utterance, ...]:
    """The stretch of speech that a hypothesis covers; empty if it has no words."""
    if not entry.words:
        return ()
    start, end = entry.words[0].start_s, entry.words[-1].end_s
    return (Utterance(text=entry.text, start_s=start, end_s=end),)
