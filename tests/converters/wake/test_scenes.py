from __future__ import annotations

import numpy as np
import pytest

from converters.wake.augmentation import Augmenter, simulated_room, to_reference_level, trimmed_room
from converters.wake.recordings import Role
from converters.wake.scenes import (
    CLEAN,
    PAUSE_BEFORE_S,
    ROOM,
    STREAM_S,
    in_noise,
    scene,
    stream,
)
from converters.wake.utterances import Utterance, read_audio, word_bounds
from tests.converters.wake.toy import RATE, rest, tone, wake_word


def word(key="w", end=None, samples=None):
    samples = wake_word() if samples is None else samples
    return Utterance(key, Role.POSITIVE, True, "s", lambda: samples, end)


def hiss():
    return 0.1 * np.random.default_rng(9).standard_normal(3 * RATE).astype(np.float32)


def test_the_word_stands_between_pauses_and_its_end_is_known():
    made = scene(word(end=0.7), CLEAN, [], 1)
    assert len(made.samples) == int((2.0 + 1.0 + 1.0) * RATE)
    assert made.word_end_s == pytest.approx(PAUSE_BEFORE_S + 0.7)
    assert np.abs(made.samples[: 2 * RATE]).max() < 0.001
    # without a known end the energy tells it
    assert scene(word(), CLEAN, [], 1).word_end_s == pytest.approx(2.7, abs=0.03)


def test_a_stream_lasts_six_seconds_and_knows_where_the_word_ends():
    places = set()
    for number in range(8):
        made = stream(word(f"w{number}", end=0.7), CLEAN, [], 1)
        assert len(made.samples) == pytest.approx(STREAM_S * RATE, abs=2)
        assert made.word_end_s is not None
        end = round(made.word_end_s * RATE)
        # The word's last tone is 0.2 in amplitude; behind its end there is only faint noise.
        assert np.abs(made.samples[end - 800 : end - 10]).max() > 0.15
        assert np.abs(made.samples[end + 10 : end + 3000]).max() < 0.001
        places.add(end)
    assert len(places) > 4


def test_a_command_follows_at_the_level_of_the_word():
    def quiet():
        return np.concatenate((rest(1.0), 0.02 * tone(900, 1.0), rest(1.0))).astype(np.float32)

    command = Utterance("c", Role.SPEECH, True, "s", quiet)
    made = stream(word(end=0.7), CLEAN, [], 1, command)
    assert made.word_end_s is not None
    end = round(made.word_end_s * RATE)
    after = made.samples[end + round(0.55 * RATE) : end + round(0.95 * RATE)]
    # The clip's level is measured with its pauses, so the command is as loud as all of it.
    clip = wake_word()
    expected = np.sqrt(np.mean(clip**2))
    assert np.sqrt(np.mean(after**2)) == pytest.approx(expected, rel=0.1)
    assert np.abs(made.samples[end + 10 : end + 600]).max() < 0.001  # a gap of at least 50 ms


def test_noise_has_the_ratio_asked_for():
    clean, noisy = (scene(word(), c, [hiss()], 1).samples for c in (CLEAN, in_noise(5.0)))
    clip = wake_word()
    noise = (noisy - clean)[: 2 * RATE]
    ratio = 10 * np.log10(np.mean(clip**2) / np.mean(noise**2))
    assert ratio == pytest.approx(5.0, abs=0.2)


def test_a_loud_scene_is_turned_down_and_never_clips():
    made = scene(word(samples=4.0 * wake_word()), in_noise(0.0), [hiss()], 1)
    assert np.abs(made.samples).max() <= 1.0


def test_chance_depends_on_the_key_and_the_seed_alone():
    a = scene(word("a"), ROOM, [], 1).samples
    assert np.array_equal(a, scene(word("a"), ROOM, [], 1).samples)
    assert not np.array_equal(a, scene(word("b"), ROOM, [], 1).samples)
    assert not np.array_equal(a, scene(word("a"), ROOM, [], 2).samples)


def test_a_negative_has_no_word_end():
    negative = Utterance("n", Role.SPEECH, True, "s", wake_word)
    assert scene(negative, CLEAN, [], 1).word_end_s is None


def test_copies_keep_the_place_of_the_word():
    # The tone changes from low to high in the middle of the word, whatever the speed.
    augmenter = Augmenter()
    for seed in range(20):
        drawn = augmenter.draw(wake_word(), 20.0, 70.0, np.random.default_rng(seed))
        assert 50 / 1.26 < drawn.end_hop - drawn.start_hop < 50 / 0.79
        level = drawn.hops.astype(np.float32).max(axis=1)
        inside = level[int(drawn.start_hop) + 4 : int(drawn.end_hop) - 2]
        before = level[: max(int(drawn.start_hop) - 2, 1)]
        assert inside.min() > before.max()


def test_rooms_begin_with_the_direct_sound():
    for seed in range(20):
        room = simulated_room(np.random.default_rng(seed))
        assert room[0] == 1.0
        assert len(room) <= RATE
    late = np.concatenate((np.zeros(500, np.float32), [0.5], np.full(40_000, 0.1, np.float32)))
    trimmed = trimmed_room(late.astype(np.float32))
    assert trimmed[0] == 1.0
    assert len(trimmed) == RATE


def test_level_of_silence_stays_finite():
    assert np.isfinite(to_reference_level(np.zeros(100, np.float32), 0, 100)).all()


def test_other_rates_and_channels_become_16_khz_mono(tmp_path):
    import soundfile

    stereo = np.stack((tone(500, 0.5), tone(900, 0.5)), axis=1)
    soundfile.write(tmp_path / "a.flac", np.repeat(stereo, 3, axis=0), 48_000)
    assert abs(len(read_audio(tmp_path / "a.flac")) - RATE // 2) <= 2


def test_what_is_no_audio_or_too_short_is_named(tmp_path):
    from agent.errors import UnreadableAudioError

    (tmp_path / "a.wav").write_bytes(b"no audio")
    with pytest.raises(UnreadableAudioError, match=r"a\.wav cannot be read"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(UnreadableAudioError, match="shorter than 10 ms"):
        word_bounds(word(), np.zeros(100, np.float32))
