"""The graph of words: probabilities, what it lets through, and a search that reads with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from agent.hearing.beam import BeamSearch
from agent.hearing.joint import Pair
from converters.asr.units import Sounds
from converters.asr.word_graph import Trigrams, WordGraph

SENTENCES = ["write to anna", "write to anna", "the right letter", "call anna"]


@pytest.fixture(scope="module")
def sounds(dictionary: None) -> Sounds:
    return Sounds(SENTENCES)


@pytest.fixture(scope="module")
def graph(sounds: Sounds) -> WordGraph:
    return WordGraph(sounds, SENTENCES)


def test_trigrams_by_hand() -> None:
    model = Trigrams([["a", "b"], ["a", "c"]], kinds=10)
    # Single: a 2, b 1, c 1, end 2: six tokens of four kinds.
    single = (2 + 4 / 10) / (6 + 4)
    assert model.log_probability("a") == pytest.approx(math.log(single))
    # After "a": b once, c once.
    after = (1 + 2 * (1 + 4 / 10) / 10) / (2 + 2)
    assert model.log_probability("b", ("a",)) == pytest.approx(math.log(after))
    # A context that was never seen tells no more than the shorter one.
    assert model.log_probability("b", ("x", "a")) == pytest.approx(math.log(after))


def test_trigrams_sum_to_one() -> None:
    model = Trigrams([["a", "b"], ["a", "c"]], kinds=4)
    for context in ((), ("a",), ("<s>", "a")):
        total = sum(math.exp(model.log_probability(w, context)) for w in ("a", "b", "c", "</s>"))
        assert total == pytest.approx(1.0)


def test_only_words_pass(sounds: Sounds, graph: WordGraph) -> None:
    history = 0
    for label in sounds.encode("call") or []:
        assert graph.gains(history)[label] > -1e3
        history = graph.extend(history, label)
    assert graph.gains(history)[graph.end] > -20.0
    (first, *_) = sounds.encode("call") or []
    within = graph.extend(0, first)
    assert graph.gains(within)[sounds.END_OF_WORD] < -1e3
    dead = graph.extend(within, sounds.END_OF_WORD)
    assert (graph.gains(dead) < -1e3).all()


def test_words_that_sound_alike_are_told_apart_by_those_before(
    sounds: Sounds, graph: WordGraph
) -> None:
    for text in ("write to anna", "the right letter"):
        assert graph.text(sounds.encode(text) or []) == text


class _Heard:
    """A joiner that hears a label a frame, with some doubt."""

    blank = 0

    def __init__(self, heard: list[int], labels: int) -> None:
        self._heard, self.labels = heard, labels

    def __call__(self, encoding: np.ndarray, pairs: Sequence[Pair], /) -> np.ndarray:
        label = self._heard[int(encoding[0, 0])]
        rows = np.full((len(pairs), self.labels), 0.05 / self.labels, np.float32)
        for row, pair in zip(rows, pairs, strict=True):
            likely, other = (0, label) if pair[1] == label else (label, 0)
            row[likely] += 0.75
            row[other] += 0.2
        return np.log(rows)


def test_a_search_reads_the_words(sounds: Sounds, graph: WordGraph) -> None:
    heard = sounds.encode("write to anna") or []
    search = BeamSearch(_Heard(heard, sounds.count), graph, weight=0.5)
    for frame in range(len(heard)):
        search.process(np.array([[frame]], np.float32), frame)
    search.finish()
    labels = [token.label for token in search.best(1)[0].tokens]
    assert graph.text(labels) == "write to anna"
