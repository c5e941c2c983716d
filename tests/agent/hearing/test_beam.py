"""Beam search against the exact sum over all alignments, on a joiner whose answers are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from agent.hearing.beam import BeamSearch, path
from agent.hearing.joint import Joint
from agent.hearing.language_model import LanguageModel
from agent.hearing.transducer import Transducer
from converters.language.counting import count, label_stream
from converters.language.estimation import estimate
from tests.agent.hearing.known_joint import LABELS, encoding, joiner, predictor

_LETTERS = " 'a"
_EVERYTHING = -1e9
"""As `least`: nothing is left out."""


def _joint(pairs: int = 1) -> Joint:
    return Joint(predictor(), joiner(pairs=pairs))


def _texts_by_exact_sum(
    joint: Joint, frames: list[np.ndarray], longest: int
) -> dict[tuple[int, ...], float]:
    """Summed probability of all alignments of every label sequence of up to `longest` labels."""
    found = {}
    for length in range(longest + 1):
        for labels in itertools.product(range(1, LABELS), repeat=length):
            # alpha[u]: probability of having emitted u labels at the start of a frame.
            alpha = [1.0] + [0.0] * length
            for frame in frames:
                inner = list(alpha)
                for u in range(length):
                    inner[u + 1] += inner[u] * _chance(joint, frame, labels[:u], labels[u])
                alpha = [p * _chance(joint, frame, labels[:u], 0) for u, p in enumerate(inner)]
            found[labels] = alpha[length]
    return found


def _chance(joint: Joint, frame: np.ndarray, before: tuple[int, ...], label: int) -> float:
    older, last = (0, 0, *before)[-2:]
    return math.exp(float(joint(frame, ((older, last),))[0, label]))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pairs", [1, 4])
def test_the_best_reading_is_that_of_the_exact_sum(seed: int, pairs: int):
    rng = np.random.default_rng(seed)
    frames = [encoding(*rng.normal(0, 2, LABELS)) for _ in range(2)]
    joint = _joint(pairs)
    exact = _texts_by_exact_sum(joint, frames, 4)
    # At most four labels fall into a frame here as there, so nothing is left out by the search.
    search = BeamSearch(joint, None, width=10_000, margin=1e9, least=_EVERYTHING)
    for number, frame in enumerate(frames):
        search.process(frame, number)
    for reading in search.readings:
        labels = tuple(token.label for token in path(reading.node))
        if len(labels) <= 4:
            assert math.exp(reading.log_prob) == pytest.approx(exact[labels], rel=1e-4)
    best = max(exact, key=lambda labels: exact[labels])
    assert tuple(token.label for token in search.tokens) == best


def test_a_beam_is_at_least_as_probable_as_greedy():
    rng = np.random.default_rng(3)
    frames = [encoding(*rng.normal((4, 0, 0, 0), 1.5)) for _ in range(30)]
    joint = _joint()
    greedy, search = Transducer(joint), BeamSearch(joint, None, width=8, least=_EVERYTHING)
    for number, frame in enumerate(frames):
        greedy.process(frame, number)
        search.process(frame, number)
    assert search.log_prob >= greedy.log_prob


def test_the_language_model_decides_what_the_sound_leaves_open():
    # Labels 1, 2, 3 are space, apostrophe and a. The sound hardly tells "a" from the apostrophe.
    language = _language(["a'a'"] * 3)
    for chosen, expected in ((None, "'"), (language, "a")):
        search = BeamSearch(_joint(), chosen, weight=1.0, least=_EVERYTHING)
        search.process(encoding(0.0, -9.0, 3.0, 2.9), 0)
        assert _text(search)[0] == expected


def test_the_end_of_an_utterance_is_weighed_too():
    # Nobody ever said nothing, or an apostrophe alone: when the utterance is over, neither holds.
    search = BeamSearch(_joint(), _language(["a"] * 5 + ["'a"]), weight=1.0, least=_EVERYTHING)
    search.process(encoding(3.0, -9.0, 2.0, 1.9), 0)
    assert _text(search) == ""
    search.finish()
    assert _text(search) == "a"


def test_labels_of_a_frame_are_counted_and_a_blank_run_grows():
    search = BeamSearch(_joint(), None)
    counts = [search.process(encoding(*row), n) for n, row in enumerate(
        [(0, -9, 5, -9), (9, 0, 0, 0), (9, 0, 0, 0), (0, -9, -9, 5)]
    )]  # fmt: skip
    assert counts == [1, 0, 0, 1]
    assert search.blank_run == 0
    search.process(encoding(9, 0, 0, 0), 4)
    assert search.blank_run == 1
    assert [token.frame for token in search.tokens] == [0, 3]


def test_stable_is_what_all_readings_begin_with():
    search = BeamSearch(_joint(), None, margin=2.0)
    # An "a" for sure, then a pause, then something between a space and an apostrophe.
    for number, row in enumerate([(0, -9, -9, 8), (9, 0, 0, 0), (0, 6, 5.8, -9)]):
        search.process(encoding(*row), number)
    texts = {"".join(_LETTERS[t.label - 1] for t in path.tokens) for path in search.best(100)}
    assert len(texts) > 1
    assert all(text.startswith("a") for text in texts)
    letters = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    assert search.stable == len(list(letters))


def test_long_speech_is_settled_and_nothing_of_it_is_lost():
    rng = np.random.default_rng(9)
    frames = [encoding(*rng.normal((2, 0, 0, 0), 2)) for _ in range(400)]
    search = BeamSearch(_joint(), _language(["a a", "a' a"]))
    emitted = [0]
    for number, frame in enumerate(frames):
        before = search.tokens
        stable = before[: search.stable]
        search.process(frame, number)
        # What was called stable before is still there, settled or not.
        assert [t.label for t in search.tokens[: len(stable)]] == [t.label for t in stable]
        emitted.append(len(search.tokens))
    assert emitted[-1] > 100
    chain, node = 0, search.readings[0].node
    while node.parent is not None:
        chain, node = chain + 1, node.parent
    # Only the end of the utterance is still a tree, and its root is known to nobody above it.
    assert chain < 60
    assert node.depth + chain == emitted[-1]
    assert [t.frame for t in search.tokens] == sorted(t.frame for t in search.tokens)


def test_the_best_readings_come_in_order():
    rng = np.random.default_rng(8)
    search = BeamSearch(_joint(), _language(["a a", "a' a"]))
    for number in range(12):
        search.process(encoding(*rng.normal((2, 0, 0, 0), 1)), number)
    search.finish()
    paths = search.best(4)
    assert len(paths) == 4
    assert [path.score for path in paths] == sorted((p.score for p in paths), reverse=True)
    assert (paths[0].tokens, paths[0].log_prob) == (search.tokens, search.log_prob)


def test_reset_goes_back_to_the_state_after_construction():
    rng = np.random.default_rng(5)
    frames = [encoding(*rng.normal(0, 2, LABELS)) for _ in range(20)]
    search = BeamSearch(_joint(), _language(["a a", "a' a"]))

    def decode() -> tuple[str, float]:
        for number, frame in enumerate(frames):
            search.process(frame, number)
        search.finish()
        return _text(search), search.log_prob

    first = decode()
    search.reset()
    assert (search.tokens, search.log_prob, search.blank_run) == ([], 0.0, 0)
    assert decode() == first


@pytest.mark.parametrize("width", [1, 3])
def test_no_more_readings_are_kept_than_asked_for(width: int):
    rng = np.random.default_rng(6)
    search = BeamSearch(_joint(), None, width=width, margin=1e9, least=_EVERYTHING)
    for number in range(10):
        search.process(encoding(*rng.normal(0, 1, LABELS)), number)
        assert 1 <= len(search.readings) <= width


def _language(sentences: list[str]) -> LanguageModel:
    labels = [[1 + _LETTERS.index(letter) for letter in text] for text in sentences]
    return LanguageModel(estimate(count(label_stream(labels, 6), 6), (1,) * 6))


def _text(search: BeamSearch) -> str:
    return "".join(_LETTERS[token.label - 1] for token in search.tokens)
