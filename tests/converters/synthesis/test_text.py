"""Needs the word lists of Debian and the Python packages with names; says so where they lack."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.synthesis import holdout
from converters.synthesis.errors import MissingResourceError
from converters.synthesis.name_lists import held_names, name_lists
from converters.synthesis.text import FREE_TEXT, TextGenerator

try:
    LISTS = {split: name_lists(split) for split in holdout.SPLITS}
except MissingResourceError as error:
    pytest.skip(str(error), allow_module_level=True)

SEEDS = st.integers(0, 2**32)


def first_sentences(seed: int, split: holdout.Split, count: int = 30, **options: bool):
    generator = TextGenerator(seed, split, **options)
    return list(itertools.islice(iter(generator.sentence, None), count))


def test_buckets_are_those_of_md5():
    # md5("computer") = df53ca268240ca76670c8566ee54568a; modulo 100.
    assert holdout.bucket("computer") == 0xDF53CA268240CA76670C8566EE54568A % 100


def test_the_bands_of_names_and_sentences():
    names = [f"name{i}" for i in range(20_000)]
    share = {s: sum(holdout.name_split(n) == s for n in names) / 200 for s in holdout.SPLITS}
    assert share["test"] == pytest.approx(15, abs=1)
    assert share["dev"] == pytest.approx(5, abs=1)
    share = {s: sum(holdout.sentence_split(n) == s for n in names) / 200 for s in holdout.SPLITS}
    assert share["test"] == pytest.approx(5, abs=1)
    assert share["dev"] == pytest.approx(2, abs=1)


def test_name_lists_of_the_splits_are_disjoint():
    groups = [{n for part in vars(LISTS[s]).values() for n in part} for s in holdout.SPLITS]
    for one, other in itertools.combinations(groups, 2):
        assert not one & other
    assert all(holdout.name_split(name) == "test" for name in groups[2])


@settings(max_examples=30)
@given(SEEDS)
def test_training_text_never_holds_a_held_out_name_or_sentence(seed: int):
    held = held_names("dev") | held_names("test")
    for sentence in first_sentences(seed, "train"):
        words = {word.removesuffix("'s") for word in sentence.text.split()}
        assert not words & held
        assert not sentence.slots or holdout.sentence_split(sentence.text) == "train"


@settings(max_examples=10)
@given(SEEDS, st.sampled_from(["dev", "test"]), st.booleans())
def test_held_out_sentences_hold_only_the_names_asked_for(
    seed: int, split: holdout.Split, free: bool
):
    for sentence in first_sentences(seed, split, 5, held_names=True, free=free):
        assert sentence.names
        assert set(sentence.names) <= held_names(split)
        assert holdout.sentence_split(sentence.text) == split
        assert (sentence.intent == FREE_TEXT) == free


@settings(max_examples=30)
@given(SEEDS, st.sampled_from(holdout.SPLITS))
def test_sentences_are_plain_spoken_words_with_their_slots(seed: int, split: holdout.Split):
    for sentence in first_sentences(seed, split, 10):
        assert re.fullmatch(r"[a-z']+( [a-z']+)*", sentence.text)
        for said in sentence.slots.values():
            assert said in sentence.text
        for name in sentence.names:
            assert name in sentence.text


def test_the_same_seed_gives_the_same_stream():
    assert first_sentences(5, "train") == first_sentences(5, "train")
    assert first_sentences(5, "train") != first_sentences(6, "train")


def test_a_second_slot_of_a_kind_gets_a_number():
    found = [s for s in first_sentences(1, "train", 3000) if "item_2" in s.slots]
    assert found
    assert all("item" in sentence.slots for sentence in found)


def test_the_mix_of_templates_and_free_text():
    sentences = first_sentences(3, "train", 3000)
    share = sum(sentence.intent == FREE_TEXT for sentence in sentences) / len(sentences)
    assert 0.09 < share < 0.15
    assert len({sentence.text for sentence in sentences}) > 2200


def test_training_has_no_held_out_names_to_ask_for():
    with pytest.raises(ValueError, match="no held-out names"):
        TextGenerator(1, "train", held_names=True)
