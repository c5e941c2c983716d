from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from converters.synthesis.phones import UNKNOWN
from converters.wake.augmentation import Augmenter
from converters.wake.feature_bank import Entry, Planned, build_bank, read_bank
from converters.wake.recordings import Role
from converters.wake.streams import Mined, Mixture, StreamMaker, mixture_for
from tests.converters.wake.toy import utterances


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    build_bank(folder, [Planned(u, 1) for u in utterances(8)], Augmenter(), 1)
    return read_bank(folder)


def test_a_batch_depends_on_the_generator_alone(entries):
    maker = StreamMaker(entries, Mixture(frames=60))
    a = maker.batch(3, np.random.default_rng(7))
    b = maker.batch(3, np.random.default_rng(7))
    c = maker.batch(3, np.random.default_rng(8))
    assert np.array_equal(a.frames, b.frames)
    assert np.array_equal(a.target, b.target)
    assert not np.array_equal(a.frames, c.frames)
    assert a.frames.shape == (3, 60, 256)
    assert np.isfinite(a.frames).all()


def test_only_negatives_means_only_no(entries):
    maker = StreamMaker(entries, Mixture(frames=80, positive=0.0, confusable=0.0, word=0.0))
    batch = maker.batch(6, np.random.default_rng(1))
    assert not batch.target.any()
    assert batch.weight.all()


def test_positives_make_yes_frames_at_every_phase(entries):
    maker = StreamMaker(entries, Mixture(frames=150, positive=1.0))
    batch = maker.batch(20, np.random.default_rng(2))
    per_stream = batch.target.sum(axis=1)
    assert per_stream.min() >= 6
    starts = np.flatnonzero(np.diff(batch.target.ravel()) > 0)
    assert len(starts) > 20


def test_yes_frames_lie_right_behind_the_sound_of_the_word():
    # One word of loud hops 30..60 and nothing else, no background of its own.
    hops = np.full((100, 64), -13.8, np.float16)
    hops[30:60] = 5.0
    word = Entry(Role.POSITIVE, True, 0, hops, 30.0, 60.0)
    still = Entry(Role.SPEECH, True, 1, np.full((300, 64), -13.8, np.float16), 0.0, 300.0)
    maker = StreamMaker([word, still], Mixture(frames=100, positive=0.4, confusable=0, word=0))
    seen = 0
    for seed in range(40):
        batch = maker.batch(1, np.random.default_rng(seed))
        loud = batch.frames[0].mean(axis=1)
        quiet = np.percentile(loud, 10)
        for first in np.flatnonzero(np.diff(batch.target[0]) > 0) + 1:
            # the frame before the first yes still holds, or has just lost, the word's sound
            if first >= 5 and loud.max() - quiet > 5.0:
                assert loud[first - 3 : first].max() > quiet + 0.5 * (loud.max() - quiet)
                seen += 1
    assert seen > 10


def test_fragments_and_backward_words_are_never_yes(entries):
    positives = [e for e in entries if e.role is not Role.NOISE]
    mixture = Mixture(frames=60, positive=0.0, confusable=1.0, word=0.0)
    batch = StreamMaker(positives, mixture).batch(10, np.random.default_rng(3))
    assert not batch.target.any()


def test_mined_places_are_shown(entries):
    number = next(n for n, e in enumerate(entries) if e.role is Role.SPEECH)
    maker = StreamMaker(entries, Mixture(frames=60, positive=0.0, mined=1.0))
    maker.mined = [Mined(number, 50)]
    found = maker._item(np.random.default_rng(0))
    assert found.word_end is None
    item = found.hops
    hops = entries[number].hops.astype(np.float32)
    first = next(n for n in range(len(hops)) if np.array_equal(hops[n], item[0]))
    assert np.array_equal(item, hops[first : first + len(item)])


def test_a_bank_without_positives_or_speech_is_refused(entries):
    speech = [e for e in entries if e.role is Role.SPEECH]
    with pytest.raises(ValueError, match="no positive utterances"):
        StreamMaker(speech, Mixture())
    with pytest.raises(ValueError, match="no speech utterances"):
        StreamMaker([e for e in entries if e.role is Role.POSITIVE], Mixture())


def test_phones_lie_where_their_sounds_do():
    hops = np.full((200, 64), -13.8, np.float16)
    hops[80:120] = 0.0
    phones = np.zeros(200, np.int8)
    phones[80:120] = 9
    word = Entry(Role.POSITIVE, False, 0, hops, 80.0, 120.0, phones)
    speech = Entry(Role.SPEECH, False, 1, hops, 80.0, 120.0, phones)
    mixture = Mixture(frames=100, warped=0.0)
    maker = StreamMaker([word, speech], mixture)
    batch = maker.batch(4, np.random.default_rng(4))
    assert set(np.unique(batch.phones)) <= {UNKNOWN, 0, 9}
    labels = np.zeros(400, np.int64)
    heard, _ = maker._voices(labels, np.random.default_rng(7))
    loud = heard.mean(axis=1) > -5.0
    known = labels != UNKNOWN
    np.testing.assert_array_equal(loud[known], labels[known] == 9)


def test_synthetic_words_meet_synthetic_speech(entries):
    """With real negatives alone, "a person" would mean "no"."""
    assert mixture_for(entries).real_others == Mixture().real_others
    made = [replace(e, real=e.real and e.role is not Role.POSITIVE) for e in entries]
    mixture = mixture_for(made)
    assert mixture.real_others == 0.0
    assert mixture.real_noise > 0.0


def test_a_noise_is_never_twice_the_same(entries):
    maker = StreamMaker(entries, Mixture(frames=60))
    drawn = [maker._noise(240, np.random.default_rng(seed)) for seed in range(6)]
    assert all(each.shape == (240, 64) for each in drawn)
    assert len({float(each.mean()) for each in drawn}) == 6
