"""The real engines. Each test says which package lacks where it cannot run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from converters.synthesis.errors import EngineError, MissingResourceError
from converters.synthesis.lexicon import Word, plan_words
from converters.synthesis.rendering import SAMPLE_RATE, Manner, Speech, Voices, trim
from converters.synthesis.voices import espeak_variants
from converters.synthesis.voices.engine import punctuated
from converters.synthesis.voices.festival import Festival
from converters.synthesis.voices.flite import align_ends
from converters.synthesis.voices.speakers import Speaker, speakers

PLAIN = Manner(rate=1.0, pitch=1.0, pitch_range=1.0, seed=3)
EVERY_VOICE = [
    Speaker("espeak", "en-us+own3", "plain"),
    *(Speaker("flite", voice, "plain") for voice in ("awb", "slt", "kal16", "rms")),
    *(Speaker("festival", voice, "plain") for voice in ("kal", "ked", "slt_hts")),
]


def words(text: str) -> tuple[Word, ...]:
    return plan_words(text, (), random.Random(1))


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voices]:
    made = Voices(tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


def say(voices: Voices, speaker: Speaker, text: str, manner: Manner = PLAIN) -> Speech:
    try:
        return voices.say(speaker, words(text), manner)
    except MissingResourceError as error:
        pytest.skip(str(error))


def pitch_hz(samples: np.ndarray) -> float:
    """Median pitch by autocorrelation over 40 ms windows that are loud enough."""
    found = []
    for start in range(0, len(samples) - 1280, 640):
        window = samples[start : start + 1280].astype(np.float64)
        if np.abs(window).max() < 3000:
            continue
        correlation = np.correlate(window, window, "full")[1279:]
        lags = correlation[40:320]  # 400 Hz down to 50 Hz
        if lags.max() > 0.5 * correlation[0]:
            found.append(SAMPLE_RATE / (40 + int(lags.argmax())))
    return float(np.median(found))


@pytest.mark.parametrize("speaker", EVERY_VOICE, ids=lambda s: s.name)
def test_a_voice_speaks_at_16_khz_with_margins_and_word_ends(voices: Voices, speaker: Speaker):
    speech = say(voices, speaker, "turn on the kitchen lights")
    seconds = len(speech.samples) / SAMPLE_RATE
    assert 0.9 < seconds < 3.5
    assert np.abs(speech.samples.astype(int)).max() == pytest.approx(0.7 * 32767, abs=2)
    quiet = 0.01 * 0.7 * 32767 + 1
    assert np.abs(speech.samples[: SAMPLE_RATE // 100].astype(int)).max() <= quiet * 3
    ends = speech.word_ends
    assert len(ends) == 5
    known = [end for end in ends if end is not None]
    assert known == sorted(known)
    assert ends[-1] == pytest.approx(speech.speech_end_s, abs=0.12)


@pytest.mark.parametrize("speaker", EVERY_VOICE, ids=lambda s: s.name)
def test_history_is_not_heard(voices: Voices, speaker: Speaker):
    first = say(voices, speaker, "play some jazz")
    say(voices, speaker, "something else that is much longer than that", Manner(1.2, 1.2, 1.3))
    again = say(voices, speaker, "play some jazz")
    assert np.array_equal(first.samples, again.samples)
    assert first.word_ends == again.word_ends


@pytest.mark.parametrize("speaker", EVERY_VOICE, ids=lambda s: s.name)
def test_rate_changes_the_length(voices: Voices, speaker: Speaker):
    text = "what is the weather in chicago"
    slow = say(voices, speaker, text, Manner(0.8, 1.0, 1.0))
    fast = say(voices, speaker, text, Manner(1.25, 1.0, 1.0))
    # 1.25 / 0.8 = 1.56 for the speech itself; the margins do not shrink.
    assert 1.3 < len(slow.samples) / len(fast.samples) < 1.7


@pytest.mark.parametrize(
    ("engine", "voice"), [("flite", "awb"), ("flite", "kal16"), ("festival", "kal")]
)
def test_formants_move_without_tempo_and_pitch(voices: Voices, engine: str, voice: str):
    text = "nine more lemons are in there"
    usual = say(voices, Speaker(engine, voice, "a"), text)
    small = say(voices, Speaker(engine, voice, "b", formant=1.15), text)
    assert len(small.samples) / len(usual.samples) == pytest.approx(1, abs=0.06)
    assert pitch_hz(small.samples) / pitch_hz(usual.samples) == pytest.approx(1, abs=0.08)
    # The spectrum as a whole moves up.
    assert centroid(small.samples) > 1.04 * centroid(usual.samples)


def centroid(samples: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(samples.astype(np.float64)))
    frequencies = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return float((power * frequencies).sum() / power.sum())


@pytest.mark.parametrize(
    ("engine", "voice"),
    [("flite", "awb"), ("flite", "kal16"), ("flite", "slt"), ("festival", "kal")],
)
def test_the_pitch_knob_turns(voices: Voices, engine: str, voice: str):
    # flite keeps only the pointer to a feature's name: were it freed, nothing would change here.
    text = "nine more lemons are in there"
    low = say(voices, Speaker(engine, voice, "a", pitch=0.9), text)
    high = say(voices, Speaker(engine, voice, "b", pitch=1.3), text)
    assert pitch_hz(high.samples) / pitch_hz(low.samples) == pytest.approx(1.44, rel=0.12)


@pytest.mark.parametrize("speaker", EVERY_VOICE, ids=lambda s: s.name)
def test_a_forced_pronunciation_is_heard(voices: Voices, speaker: Speaker):
    # Left alone, every engine reads more than one syllable or spells it; forced, it is one.
    own = say(voices, speaker, "siobhan")
    forced = voices.say(speaker, (Word("siobhan", ("N", "IY1", "V")),), PLAIN)
    niamh = voices.say(speaker, (Word("niamh", ("N", "IY1", "V")),), PLAIN)
    assert np.array_equal(forced.samples, niamh.samples)
    assert not np.array_equal(forced.samples, own.samples)


@pytest.mark.parametrize("name", ["mbappe", "tchaikovsky", "brzezinski"])
def test_flite_spells_nothing_out(voices: Voices, name: str):
    speaker = Speaker("flite", "kal16", "plain")
    planned = plan_words(name, (name,), random.Random(2))
    say(voices, speaker, "hello")
    assert len(voices.say(speaker, planned, PLAIN).samples) < 1.6 * SAMPLE_RATE


def test_a_comma_makes_a_pause(voices: Voices):
    for speaker in (Speaker("flite", "kal16", "p"), Speaker("espeak", "en-us+own3", "p")):
        without = say(voices, speaker, "computer turn on the lights")
        paused = say(voices, speaker, "computer turn on the lights", Manner(1, 1, 1, pause_after=0))
        assert len(paused.samples) > len(without.samples) + 0.05 * SAMPLE_RATE


def test_unknown_voices_are_refused(voices: Voices):
    for engine in ("flite", "festival", "espeak"):
        with pytest.raises(EngineError, match="has no voice 'nobody'"):
            say(voices, Speaker(engine, "nobody", "plain"), "hello")


def test_versions_name_the_engines(voices: Voices):
    try:
        versions = voices.versions(["espeak", "festival", "flite"])
    except MissingResourceError as error:
        pytest.skip(str(error))
    assert all(text.startswith(name) and text != name for name, text in versions.items())


def test_a_festival_that_died_is_replaced(voices: Voices):
    speaker = Speaker("festival", "kal", "plain")
    before = say(voices, speaker, "play some jazz")
    engine = voices.engine("festival")
    assert isinstance(engine, Festival)
    process = engine._processes["kal"]._process
    process.kill()
    process.wait(10)
    with pytest.raises(EngineError, match="festival"):
        voices.say(speaker, words("play some jazz"), PLAIN)
    after = voices.say(speaker, words("play some jazz"), PLAIN)
    assert np.array_equal(before.samples, after.samples)


def test_private_espeak_data_is_made_once_and_is_small(tmp_path: Path):
    try:
        first = espeak_variants.private_data(tmp_path)
    except MissingResourceError as error:
        pytest.skip(str(error))
    stamp = (first / "espeak-ng-data").stat().st_mtime_ns
    assert espeak_variants.private_data(tmp_path) == first
    assert (first / "espeak-ng-data").stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    # libespeak-ng refuses more than 350 voices and variants.
    assert len(list((first / "espeak-ng-data" / "voices" / "!v").iterdir())) == 60


def test_variants_are_klatt_voices_without_flutter():
    texts = [espeak_variants.variant_text(n) for n in range(espeak_variants.VARIANT_COUNT)]
    assert len(set(texts)) == len(texts)
    assert all("\nklatt " in text and "\nflutter 0\n" in text for text in texts)


def test_every_training_speaker_of_espeak_exists(voices: Voices):
    used = [s for s in speakers("train") if s.engine == "espeak"]
    for speaker in random.Random(1).sample(used, 12):
        assert len(say(voices, speaker, "hello").samples) > 0.15 * SAMPLE_RATE


def test_punctuation():
    assert punctuated(["a", "b", "c"], 0, question=False) == ["a,", "b", "c"]
    assert punctuated(["a", "b", "c"], 2, question=True) == ["a", "b", "c?"]


def test_ends_of_words_that_an_engine_cut_in_two():
    assert align_ends(["call", "anna"], [0.3, 0.9]) == (0.3, 0.9)
    # "anna's" became two words: only what stands before it is certain.
    assert align_ends(["call", "anna's", "phone"], [0.3, 0.8, 0.9, 1.4]) == (0.3, None, None)
    assert align_ends(["call", "anna"], [0.3]) == (None, None)


def test_trim_by_hand():
    samples = np.zeros(16_000, np.float32)
    samples[4000:12_000] = 1000.0
    speech = trim(samples, (0.5, None, 0.9))
    # 0.1 s = 1600 samples stay on both sides; word ends move by 2400 samples = 0.15 s, and the last
    # one is cut back to the last loud sample, 11999 / 16000 = 0.75 s.
    assert len(speech.samples) == 8000 + 2 * 1600
    assert speech.samples[1599] == 0
    assert speech.samples[1600] == round(0.7 * 32767)
    assert speech.word_ends == (0.35, None, 0.6)
    assert speech.speech_end_s == pytest.approx(0.6, abs=1e-3)


def test_silence_is_an_engine_error():
    with pytest.raises(EngineError, match="no audible speech"):
        trim(np.zeros(16_000, np.float32), ())
    with pytest.raises(EngineError, match="no audible speech"):
        trim(np.zeros(0, np.float32), ())
