"""Confusions counted by hand."""

from __future__ import annotations

from converters.evaluation.confusions import LETTERS, confusions


def test_neighbouring_errors_are_one_stretch() -> None:
    found = confusions([
        ("dim the kitchen light", "dim the kit chin light"),
        ("dim the kitchen light", "dim a kitchen"),
        ("call bob", "call bob now"),
        ("call bob", "call bob"),
    ])  # fmt: skip
    assert dict(found.words) == {
        ("kitchen", "kit chin"): 1,
        ("the", "a"): 1,
        ("light", "-"): 1,
        ("-", "now"): 1,
    }


def test_long_stretches_are_left_out() -> None:
    assert not confusions([("a b c d", "e f g h")]).words
    assert confusions([("a b c", "e f g")]).words == {("a b c", "e f g"): 1}


def test_letters() -> None:
    found = confusions([("cat", "cut"), ("cat", "ca"), ("at", "cat"), ("a b", "ab"), ("", "x")])
    wrong = {pair: n for pair, n in found.letters.items() if pair[0] != pair[1]}
    assert wrong == {("a", "u"): 1, ("t", "-"): 1, ("-", "c"): 1, ("_", "-"): 1}
    assert found.letters["c", "c"] == 2
    assert {letter for pair in found.letters for letter in pair} <= set(LETTERS)


def test_the_most_frequent_come_first_and_equals_by_alphabet() -> None:
    found = confusions([("a", "b"), ("a", "b"), ("c", "x"), ("b", "x")])
    assert found.frequent_words(2) == [(("a", "b"), 2), (("b", "x"), 1)]
    assert found.frequent_letters(2) == [(("a", "b"), 2), (("b", "x"), 1)]
    assert found.as_json(1) == {"words": [["a", "b", 2]], "letters": [["a", "b", 2]]}
