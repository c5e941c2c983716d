"""Feature shards: reproducible, readable while others are made, ends of phrases kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters.asr.augment import WaveformRecipe, simulated_room
from converters.asr.shards import ShardFolder, Source, write_shard
from converters.synthesis.phones import PHONE_INDEX, UNKNOWN

PLAIN = WaveformRecipe(speed=(1.0, 1.0), warp_share=0.0, room_share=0.0, band_share=0.0)


def tone(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * 16000)) / 16000)
    return wave.astype(np.int16)


def test_written_clips_come_back(tmp_path: Path) -> None:
    sources = [Source(tone(0.5), "one"), Source(tone(1.0), "", phrase_end_s=0.25)]
    write_shard(tmp_path, "a", sources, PLAIN, (1,))
    folder = ShardFolder(tmp_path)
    assert folder.rescan() == 2
    first, second = folder.clips
    assert (first.text, first.source_s, first.event_hop) == ("one", 0.5, None)
    assert first.hops.shape == (50, 64)
    # A quarter of a second into a second of sound is a quarter into its hops.
    assert second.event_hop == 25
    assert first.phones is not None
    assert np.all(first.phones == UNKNOWN)


def test_phones_follow_the_speed_of_a_copy(tmp_path: Path) -> None:
    twice = WaveformRecipe(speed=(2.0, 2.0), warp_share=0.0, room_share=0.0, band_share=0.0)
    source = Source(tone(1.0), "x", None, ["k", "?"], [0.4, 0.8])
    write_shard(tmp_path, "a", [source], twice, (1,))
    folder = ShardFolder(tmp_path)
    folder.rescan()
    # Hop i is centred 2.5 ms before its beginning: at twice the speed, 0.4 s end within hop 20.
    expected = [PHONE_INDEX["k"]] * 21 + [UNKNOWN] * 20 + [PHONE_INDEX["sil"]] * 9
    assert folder.clips[0].phones is not None
    assert folder.clips[0].phones.tolist() == expected


def test_unfinished_shards_are_not_seen_and_new_ones_are(tmp_path: Path) -> None:
    folder = ShardFolder(tmp_path)
    np.save(tmp_path / "b.npy", np.zeros((3, 64), np.float16))
    assert folder.rescan() == 0
    write_shard(tmp_path, "a", [Source(tone(0.3), "x")], PLAIN, (1,))
    assert folder.rescan() == 1
    assert folder.rescan() == 0


def test_a_copy_depends_on_its_seed_alone(tmp_path: Path) -> None:
    recipe = WaveformRecipe()
    for name, seed in (("a", (1, 2)), ("b", (1, 2)), ("c", (1, 3))):
        write_shard(tmp_path, name, [Source(tone(0.7), "x")], recipe, seed)
    a, b, c = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert a.shape != c.shape or not np.array_equal(a, c)


def test_speed_changes_length(tmp_path: Path) -> None:
    fast = WaveformRecipe(speed=(1.25, 1.25), warp_share=0.0, room_share=0.0, band_share=0.0)
    write_shard(tmp_path, "a", [Source(tone(1.0), "x")], fast, (1,))
    assert abs(len(np.load(tmp_path / "a.npy")) - 80) <= 1


def test_a_room_begins_with_the_direct_sound_and_dies_away() -> None:
    room = simulated_room(np.random.default_rng(5))
    assert room[0] == 1.0
    energy = np.square(room[1:]).reshape(-1)
    assert energy[: len(energy) // 2].sum() > 20 * energy[len(energy) // 2 :].sum()
