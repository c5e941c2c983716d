from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import idct

from converters.synthesis.phones import UNKNOWN
from converters.wake.borrowed_voices import Donor, said_by
from converters.wake.mixing import NEPERS_PER_DB

ALL = tuple(range(1, 15))
"""Phones of the toy speech; each is a spectrum of its own."""
SPECTRA = idct(np.random.default_rng(0).normal(0.0, 5.0, (len(ALL) + 1, 13)), n=64, norm="ortho")
BOUND = 6.0 * NEPERS_PER_DB + 1e-4


def speech(phones, rng, length=10):
    """Every phone for so many hops, each hop a little different; 0 is a pause 60 dB below."""
    labels = np.repeat(np.asarray(phones, np.int8), length)
    hops = np.where(labels[:, None] > 0, SPECTRA[labels], -14.0)
    return (hops + 0.2 * rng.standard_normal(hops.shape)).astype(np.float32), labels


def sentence(rng, phones=ALL, repeats=3):
    """A pause, all phones in some order, a pause, all in another order, ..."""
    return speech([p for _ in range(repeats) for p in (0, *rng.permutation(phones))], rng)


def source(hop, donor_hops):
    """The hop of the donor that an output hop is, up to its level, and how much louder it is."""
    louder = hop - donor_hops
    nearest = int(np.ptp(louder, axis=1).argmin())
    assert np.ptp(louder[nearest]) < 1e-4
    return nearest, float(louder[nearest].mean())


def sources(hops, donor_hops):
    return [source(hop, donor_hops)[0] for hop in hops]


def test_a_donor_who_said_just_that_says_it_in_one_stretch():
    hops, phones = sentence(np.random.default_rng(1))
    microphone = np.linspace(-1.0, 2.0, 64, dtype=np.float32)
    word = slice(163, 233)
    said = said_by(
        Donor(hops, phones), hops[word] + microphone, phones[word], np.random.default_rng(0)
    )
    assert said.dtype == np.float32
    assert sources(said, hops) == list(range(163, 233))
    louder = said - hops[word]  # the same everywhere: one stretch, one gain
    assert np.ptp(louder) < 1e-4
    assert abs(louder.mean()) < 0.1


def test_a_join_of_recordings_is_not_a_stretch():
    hops, phones = speech(ALL, np.random.default_rng(2), length=20)
    target = hops[60:140].copy()
    target[40:] += 0.5  # louder from hop 100 on, as no single stretch of the donor is
    word = phones[60:140]
    gains = []
    for joins in ((), (100,)):
        said = said_by(Donor(hops, phones, joins), target, word, np.random.default_rng(0))
        assert sources(said, hops) == list(range(60, 140))
        louder = (said - hops[60:140]).mean(axis=1)
        gains.append(louder[40:].mean() - louder[:40].mean())
    assert gains == pytest.approx([0.0, 0.5], abs=0.05)


def test_what_is_said_are_hops_of_the_donor_within_the_bound():
    hops, phones = sentence(np.random.default_rng(3))
    # Another person: other spectra, another microphone, far louder than the donor in places.
    target, word = speech([0, 3, 7, 1, 12, 0], np.random.default_rng(4), length=8)
    target = 0.8 * target + np.repeat([0.0, 3.0, -3.0, 3.0, -3.0, 0.0], 8)[:, None]
    said = said_by(Donor(hops, phones), target, word, np.random.default_rng(0))
    assert said.shape == target.shape
    for hop, phone in zip(said, word, strict=True):
        nearest, louder = source(hop, hops)
        assert phones[nearest] == phone
        assert abs(louder) <= (BOUND if phone else 1e-6)


def test_a_phone_never_said_is_replaced_by_the_nearest_sounds():
    rng = np.random.default_rng(5)
    hops, phones = sentence(rng, phones=ALL[1:])
    target, word = speech([4, 1, 9], rng)
    target[10:20] += SPECTRA[6] - SPECTRA[1]  # this voice's phone 1 sounds as phone 6 does
    donor = Donor(hops, phones)
    assert donor.says(word) == pytest.approx(2 / 3)
    said = said_by(donor, target, word, np.random.default_rng(0))
    assert phones[sources(said, hops)].tolist() == [4] * 10 + [6] * 10 + [9] * 10


def test_what_nobody_has_labelled_serves_where_a_phone_is_missing():
    rng = np.random.default_rng(6)
    hops, phones = sentence(rng)
    phones[phones == 1] = UNKNOWN
    target, word = speech([4, 1, 9], rng)
    said = said_by(Donor(hops, phones), target, word, np.random.default_rng(0))
    assert phones[sources(said, hops)].tolist() == [4] * 10 + [UNKNOWN] * 10 + [9] * 10


def test_the_same_phone_is_preferred_to_a_somewhat_nearer_sound():
    rng = np.random.default_rng(7)
    hops, phones = sentence(rng)
    target, word = speech([4, 1, 9], rng)
    target[10:20] += 0.6 * (SPECTRA[6] - SPECTRA[1])
    said = said_by(Donor(hops, phones), target, word, np.random.default_rng(0))
    assert phones[sources(said, hops)].tolist() == word.tolist()


def test_no_sound_stands_still_even_where_the_word_does():
    hops, phones = sentence(np.random.default_rng(8))
    loud = int(np.flatnonzero(phones == 4)[5])
    hops[loud] += 4.0  # the one hop that is as loud as the word
    target, word = speech([9] * 6 + [4], np.random.default_rng(9))
    target[60:] = hops[loud]
    chosen = sources(said_by(Donor(hops, phones), target, word, np.random.default_rng(0)), hops)
    assert phones[chosen].tolist() == word.tolist()
    assert loud in chosen
    assert np.all(np.diff(chosen) != 0)


def test_a_word_is_said_alike_for_a_seed_and_differently_for_others():
    rng = np.random.default_rng(9)
    hops, phones = sentence(rng, repeats=6)
    donor = Donor(hops.astype(np.float16), phones)
    target, word = speech([0, 3, 7, 1, 12, 0], rng)
    once, again, other = (
        said_by(donor, target, word, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(once, again)
    assert not np.array_equal(once[10:50], other[10:50])


def test_pauses_are_the_donors_or_else_the_quietest_hops():
    rng = np.random.default_rng(10)
    hops, phones = speech(ALL * 2, rng)
    hops[100:114] -= 9.0
    target, word = np.full((30, 64), -13.8, np.float32), np.zeros(30, np.int8)
    quietest = sources(said_by(Donor(hops, phones), target, word, rng), hops)
    assert set(quietest) == set(range(100, 114))  # 5 % of 280
    phones[200:220] = 0
    assert set(sources(said_by(Donor(hops, phones), target, word, rng), hops)) == set(
        range(200, 220)
    )


@pytest.mark.parametrize(
    ("phones", "length", "said"),
    [(ALL, 10, "140 and 14"), (ALL[:11], 20, "220 and 11"), ((0, UNKNOWN), 200, "0 and 0")],
    ids=["too little", "too few phones", "nothing known"],
)
def test_who_says_too_little_is_refused(phones, length, said):
    with pytest.raises(ValueError, match=f"150 hops of speech and 12 different phones, not {said}"):
        Donor(*speech(phones, np.random.default_rng(0), length))
