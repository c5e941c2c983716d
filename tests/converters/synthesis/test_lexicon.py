from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.synthesis import lexicon
from converters.synthesis.dictionary import pronunciations
from converters.synthesis.errors import MissingResourceError
from converters.synthesis.lexicon import StandIns, Word, plan_words
from converters.synthesis.name_lexicon import NAME_VARIANTS

SIOBHAN = ("SH", "AH0", "V", "AO1", "N")
NIAMH = ("N", "IY1", "V")


@pytest.fixture(autouse=True)
def needs_dictionary():
    try:
        pronunciations()
    except MissingResourceError as error:
        pytest.skip(str(error))


def test_espeak_mnemonics():
    assert lexicon.to_espeak(SIOBHAN) == "[[S@v'O:n]]"
    assert lexicon.to_espeak(("L", "AH0", "D", "EH1", "K", "IY0")) == "[[l@d'Eki]]"


def test_espeak_keeps_two_consonants_apart_that_would_be_read_as_one():
    assert lexicon.to_espeak(("K", "AE1", "T", "SH")) == "[[k'at|S]]"
    assert lexicon.to_espeak(("K", "AE1", "CH")) == "[[k'atS]]"


def test_flite_addenda():
    assert lexicon.to_flite("siobhan", SIOBHAN) == '"siobhan" nil : sh ax0 v ao1 n'


def test_syllables_open_with_one_consonant():
    assert lexicon.syllables(SIOBHAN) == [(("SH", "AH0"), 0), (("V", "AO1", "N"), 1)]
    # m ae n . s k iy -> "man", "s" stays behind, "kee"
    assert lexicon.syllables(("M", "AE1", "N", "S", "K", "IY0")) == [
        (("M", "AE1", "N", "S"), 1),
        (("K", "IY0"), 0),
    ]
    assert lexicon.syllables(("AH0", "IY1")) == [(("AH0",), 0), (("IY1",), 1)]


def test_festival_entry():
    expected = '(lex.add.entry \'("siobhan" nil (((sh ax) 0) ((v ao n) 1))))'
    assert lexicon.to_festival("siobhan", SIOBHAN) == expected


@pytest.mark.parametrize(
    ("phones", "last"),
    [(NIAMH, ("Z",)), (("P", "AE1", "T"), ("S",)), (("M", "IH1", "CH"), ("IH0", "Z"))],
)
def test_possessives(phones: tuple[str, ...], last: tuple[str, ...]):
    assert lexicon.possessive(phones) == phones + last


@given(st.integers(0, 14**3 * 5**3 // 8), st.integers(0, 14**3 * 5**3 // 8))
def test_stand_ins_are_distinct_and_no_words(one: int, other: int):
    assert (lexicon.stand_in(one) == lexicon.stand_in(other)) == (one == other)
    assert lexicon.stand_in(one) not in pronunciations()


def test_stand_ins_take_the_place_of_forced_words_only():
    stand_ins = StandIns()
    word = dict(stand_ins.entries())
    spoken = stand_ins.write(Word("niamh", NIAMH))
    assert word[spoken] == NIAMH
    assert stand_ins.write(Word("niamh's", NIAMH)) == spoken + "'s"
    assert stand_ins.write(Word("niamh")) == "niamh"
    assert stand_ins.write(Word("anna", ("AE1", "N", "AH0"))) == "anna"


def test_every_variant_has_a_vowel_and_known_phones():
    for name, variants in NAME_VARIANTS.items():
        assert 1 <= len(variants) <= 3, name
        for phones in variants:
            assert any(phone[-1].isdigit() for phone in phones), name
            lexicon.to_espeak(phones)  # KeyError for a phone that espeak does not get.


def test_the_letter_a_is_told_from_the_article():
    rng = random.Random(1)
    words = plan_words("seven a m", (), rng)
    assert [word.phones for word in words] == [None, lexicon.LETTER_A, None]
    assert all(word.phones is None for word in plan_words("set a timer", (), rng))
    assert plan_words("b a", (), rng)[1].phones == lexicon.LETTER_A


def test_names_are_forced_to_their_variants_and_half_the_time_to_the_dictionary():
    forced = [plan_words("call nguyen", ["nguyen"], random.Random(s))[1].phones for s in range(400)]
    used = {phones for phones in forced if phones}
    assert used == set(NAME_VARIANTS["nguyen"])
    assert forced.count(NAME_VARIANTS["nguyen"][0]) > 200
    common = [plan_words("call miller", ["miller"], random.Random(s))[1].phones for s in range(400)]
    assert set(common) == {None, pronunciations()["miller"]}
    assert 150 < common.count(None) < 250


def test_ordinary_words_are_left_to_the_engine():
    assert all(w.phones is None for w in plan_words("turn on the light", (), random.Random(1)))


def test_the_dictionary_has_stress():
    assert pronunciations()["computer"] == ("K", "AH0", "M", "P", "Y", "UW1", "T", "ER0")
