"""The word trigram: hand-computed probabilities, sums of one, and what is pruned."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.evaluation.word_model import arpa

Model = list[dict[tuple[str, ...], tuple[float, float]]]
"""For each order: n-gram -> its probability and the weight of backing off from it."""


def _read(text: str) -> Model:
    orders: Model = []
    for line in text.splitlines():
        fields = line.split()
        if line.endswith("-grams:"):
            orders.append({})
        elif orders and fields and not line.startswith("\\"):
            n = len(orders)
            weight = 10 ** float(fields[1 + n]) if len(fields) > 1 + n else 1.0
            orders[-1][tuple(fields[1 : 1 + n])] = (10 ** float(fields[0]), weight)
    return orders


def _probability(model: Model, gram: tuple[str, ...]) -> float:
    """As the format says: the n-gram's own, or the weight of its history times the shorter one."""
    found = model[len(gram) - 1].get(gram)
    if found is not None:
        return found[0]
    _, weight = model[len(gram) - 2].get(gram[:-1], (0.0, 1.0))
    return weight * _probability(model, gram[1:])


def test_bigram_by_hand() -> None:
    # Words: a b </s> a </s>: p(a) = 2/5, p(b) = 1/5, p(</s>) = 2/5.
    # After a: b and </s> once each, two kinds: p(b|a) = (1 + 2/5) / (2 + 2), p(</s>|a) = 1.8/4.
    model = _read(arpa(["a b", "a"], (1, 1)))
    assert _probability(model, ("b",)) == pytest.approx(0.2, rel=1e-3)
    assert _probability(model, ("a", "b")) == pytest.approx(0.35, rel=1e-3)
    assert _probability(model, ("a", "</s>")) == pytest.approx(0.45, rel=1e-3)
    # What is left, 0.2, goes to what was not seen after a: a alone, of 0.4.
    assert model[0]["a",][1] == pytest.approx(0.5, rel=1e-3)
    assert _probability(model, ("a", "a")) == pytest.approx(0.2, rel=1e-3)


def test_the_head_counts_what_follows() -> None:
    text = arpa(["a b", "a b", "c"], (1, 2))
    lines = text.splitlines()
    assert lines[:3] == ["\\data\\", "ngram 1=5", "ngram 2=3"]  # <s> a, a b, b </s>
    assert lines[-1] == "\\end\\"
    assert "a b" in text
    assert "c </s>" not in text


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), min_size=1, max_size=12))
def test_all_that_may_follow_a_history_sums_to_one(sentences: list[list[str]]) -> None:
    model = _read(arpa([" ".join(words) for words in sentences], (1, 2, 2)))
    words = [word for (word,) in model[0] if word != "<s>"]
    histories = [history for order in model[:-1] for history in order if history[-1] != "</s>"]
    for history in [(), *histories]:
        total = math.fsum(_probability(model, (*history, word)) for word in words)
        assert total == pytest.approx(1.0, abs=0.002)
