"""Levels are as asked for, every model hears the same, and nothing that was trained on sounds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from converters.evaluation.conditions import (
    Condition,
    level,
    noise_conditions,
    speech_condition,
    under,
)
from converters.evaluation.sets import LEAD_S, EvaluationSet, Item, between_pauses
from converters.synthesis.pool import PoolItem, PoolWriter

RATE = 16_000


def _tone(hertz: float, seconds: float, amplitude: float) -> np.ndarray:
    times = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def _power(samples: np.ndarray, hertz: float) -> float:
    """Power of a tone in samples, from its Fourier coefficient."""
    times = np.arange(len(samples)) / RATE
    return 2 * abs(np.mean(samples * np.exp(-2j * np.pi * hertz * times))) ** 2


def test_pauses_do_not_count_in_a_level() -> None:
    tone = _tone(1000.0, 0.5, 1000.0)
    assert level(tone) == pytest.approx(1000 / np.sqrt(2), rel=1e-3)
    paused = np.concatenate([np.zeros(RATE, np.float32), tone, np.zeros(RATE, np.float32)])
    assert level(paused) == pytest.approx(level(tone), rel=1e-3)
    # 20 dB weaker counts, 40 dB weaker does not: (1 + 0.01) / 2 and 1 of the power.
    for factor, share in ((0.1, 0.505), (0.01, 1.0)):
        both = np.concatenate([tone, factor * tone])
        assert level(both) ** 2 == pytest.approx(share * level(tone) ** 2, rel=1e-3)
    assert level(np.zeros(RATE, np.float32)) == 0.0
    assert level(np.zeros(3, np.float32)) == 0.0


@pytest.mark.parametrize("ratio_db", [20.0, 5.0, 0.0])
def test_noise_stands_below_speech_as_far_as_asked(ratio_db: float) -> None:
    speech = _tone(1000.0, 1.0, 8000.0).astype(np.int16)
    noise = _tone(3000.0, 2.0, 37.0)
    heard = Condition("x", ratio_db, sounds=[noise]).heard(speech, key="k").astype(np.float64)
    lead = int(LEAD_S * RATE)
    clip = heard[lead : lead + RATE]
    ratio = 10 * np.log10(_power(clip, 1000.0) / _power(clip, 3000.0))
    assert ratio == pytest.approx(ratio_db, abs=0.1)
    # The noise was there before anybody spoke.
    assert _power(heard[:lead], 3000.0) == pytest.approx(_power(clip, 3000.0), rel=0.05)


def test_what_is_heard_hangs_on_the_key_alone() -> None:
    rng = np.random.default_rng(1)
    noises = [rng.normal(0, 100, 9000).astype(np.float32) for _ in range(5)]
    speech = _tone(500.0, 0.5, 5000.0).astype(np.int16)
    condition = Condition("0 dB", 0.0, noises)
    first = condition.heard(speech, key="1 stop")
    np.testing.assert_array_equal(first, condition.heard(speech, key="1 stop"))
    assert not np.array_equal(first, condition.heard(speech, key="2 stop"))


def test_a_room_rings_and_keeps_the_level() -> None:
    room = np.zeros(8000, np.float32)
    room[0], room[4000] = 1.0, 0.8  # one echo, a quarter of a second later
    speech = _tone(1000.0, 0.5, 8000.0).astype(np.int16)
    dry = between_pauses(speech).astype(np.float32)
    heard = Condition("room", rooms=[room]).heard(speech, key="k").astype(np.float32)
    end = int((LEAD_S + 0.5) * RATE)
    assert level(dry[end : end + 3000]) < 10
    assert level(heard[end : end + 3000]) > 1000
    assert level(heard) == pytest.approx(level(dry), rel=0.05)
    assert len(heard) == len(dry)


def test_loud_mixtures_are_turned_down_and_not_clipped() -> None:
    speech = _tone(1000.0, 0.5, 30_000.0).astype(np.int16)
    heard = Condition("x", 0.0, [_tone(1700.0, 0.5, 1.0)]).heard(speech, key="k")
    assert 31_000 < np.abs(heard.astype(np.int32)).max() <= 32_000


def _corpus(real: Path, corpus: str, splits: list[str]) -> None:
    (real / "manifests").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, split in enumerate(splits):
        path = real / f"{corpus}{number}.wav"
        # Which recording it is can be told from its length.
        soundfile.write(path, np.full(1000 + number, 0.1, np.float32), RATE)
        lines.append(json.dumps({"path": path.name, "split": split}) + "\n")
    (real / "manifests" / f"{corpus}.jsonl").write_text("".join(lines))


def test_only_noises_of_the_test_split_sound(tmp_path: Path) -> None:
    _corpus(tmp_path, "aed_esc10", ["train", "test", "dev", "test"])
    _corpus(tmp_path, "noise_music", ["train", "test"])
    found = noise_conditions(tmp_path)
    assert [c.name for c in found] == ["20 dB", "10 dB", "5 dB", "0 dB"]
    assert [len(sound) for sound in found[0].sounds] == [1001, 1003]
    _corpus(tmp_path, "rir", ["train"])
    assert [c.name for c in noise_conditions(tmp_path)][-1] == "room"
    assert noise_conditions(tmp_path / "manifests") == []


def test_other_voices_speak_in_a_row(tmp_path: Path) -> None:
    with PoolWriter(tmp_path / "ked", {"kind": "dev"}) as writer:
        for index in range(3):
            item = PoolItem(
                index=index, offset=0, samples=0, seconds=0.0, text="x", speaker="s", engine="e",
                voice="ked", split="dev", kind="dev", cell="template-seen", intent="x",
            )  # fmt: skip
            writer.append(item, np.full(RATE, index, np.int16))
    condition = speech_condition(tmp_path / "ked")
    assert condition.name == "over ked at 5 dB"
    (stream,) = condition.sounds
    assert stream[::RATE].tolist() == [0.0, 1.0, 2.0]


def test_a_set_under_a_condition_is_the_same_otherwise() -> None:
    items = [Item(np.full(1600, 500, np.int16), "stop", "a", {"x": "y"})] * 2
    plain = EvaluationSet("orders", items, real=True, everyday=True)
    noisy = under(plain, Condition("0 dB", 0.0, [_tone(300.0, 1.0, 9.0)]))
    assert (noisy.name, noisy.real, noisy.everyday) == ("orders, 0 dB", True, True)
    for before, after in zip(plain.items, noisy.items, strict=True):
        assert (after.text, after.speaker, after.slots) == ("stop", "a", {"x": "y"})
        assert after.samples is before.samples
    # The same sentence twice is heard over two places of the noise.
    first, second = (item.padded() for item in noisy.items)
    assert not np.array_equal(first, second)
