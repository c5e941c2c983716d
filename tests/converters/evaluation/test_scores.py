"""Error counts, slots and intervals, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from converters.asr.score import ErrorCounts, character_errors, total, word_errors
from converters.evaluation.scores import (
    bootstrap_interval,
    evaluate_set,
    paired_change,
    real_to_synthetic,
    score_set,
    slots_right,
)
from converters.evaluation.sets import EvaluationSet, Item


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [
        ("set a timer", "set a timer", 0),
        ("set a timer", "set timer", 1),
        ("set a timer", "get a a timer", 2),
        ("set a timer", "", 3),
        ("", "hello there", 2),
    ],
    ids=["right", "deletion", "substitution and insertion", "nothing", "from nothing"],
)
def test_word_errors(reference: str, hypothesis: str, errors: int) -> None:
    counts = word_errors(reference, hypothesis)
    assert (counts.errors, counts.length) == (errors, len(reference.split()))


def test_character_errors_count_spaces() -> None:
    assert character_errors("ab cd", "abcd") == ErrorCounts(1, 5)


def test_totals_weigh_by_length() -> None:
    assert total([ErrorCounts(1, 1), ErrorCounts(0, 9)]).rate == 0.1


def test_slots_are_whole_words_side_by_side() -> None:
    assert slots_right(["twenty two", "kitchen"], "dim the kitchen to twenty two percent")
    assert not slots_right(["twenty two"], "twenty one or two")
    assert not slots_right(["art"], "the cart")


def _item(text: str, speaker: str, **slots: str) -> Item:
    return Item(np.zeros(1600, np.int16), text, speaker, slots)


def test_set_by_speaker_and_worst_tenth() -> None:
    items = [
        _item("call ann", "a", contact="ann"),
        _item("call bob", "b", contact="bob"),
        _item("stop", "b"),
    ]
    answers = ["call ann", "call rob now", "stop"]
    result = evaluate_set(EvaluationSet("three", items), lambda _: answers)
    assert (result.words.errors, result.words.length) == (2, 5)
    assert result.by_speaker == {"a": ErrorCounts(0, 2), "b": ErrorCounts(2, 3)}
    assert result.worst_tenth == pytest.approx(2 / 3)
    assert (result.sentences.k, result.sentences.n) == (2, 3)
    assert result.slots is not None
    assert (result.slots.k, result.slots.n) == (1, 2)
    assert result.resampled == "utterances"


def test_interval_of_equal_groups_is_a_point() -> None:
    assert bootstrap_interval([ErrorCounts(1, 4)] * 7) == (0.25, 0.25)


def test_paired_change() -> None:
    before = [ErrorCounts(2, 10), ErrorCounts(2, 10)]
    assert paired_change(before, before) == (0.0, 0.0, 0.0)
    change, low, high = paired_change(before, [ErrorCounts(3, 10), ErrorCounts(2, 10)])
    assert change == pytest.approx(0.25)
    assert low == pytest.approx(0.0)
    assert high == pytest.approx(0.5)


def test_ratio_is_of_each_real_set_to_all_synthetic_commands() -> None:
    sets = [
        EvaluationSet("rms", [_item("stop it now", "r")], everyday=True),
        EvaluationSet("ked", [_item("stop", "k")], everyday=True),
        EvaluationSet("names", [_item("call ann", "r")]),
        EvaluationSet("orders", [_item("a tea", "p")], real=True, everyday=True),
        EvaluationSet("books", [_item("once upon", "q")], real=True),
    ]
    texts = ["stop it", "stop", "cool man", "a bee", "wants a porn"]
    results = [score_set(chosen, [text]) for chosen, text in zip(sets, texts, strict=True)]
    # Orders: 1 of 2. Synthetic commands: 1 of 3 and 0 of 1, together 1 of 4.
    assert real_to_synthetic(sets, results) == {"orders": pytest.approx(2.0)}
    right = [score_set(chosen, [item.text for item in chosen.items]) for chosen in sets]
    assert real_to_synthetic(sets, right) == {}
