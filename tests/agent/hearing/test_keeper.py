"""What is kept for training: near misses and wakes without words, within limits, whole or not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from agent.bundle.manifest import Bundle
from agent.config import Config, KeepConfig, WakeConfig
from agent.errors import ConfigError
from agent.hearing import sound_store
from agent.hearing.keeper import FALSE_ACCEPTS, NEAR_MISSES, Keeper
from agent.hearing.near_misses import NearMisses
from agent.hearing.pipeline import Pipeline
from agent.hearing.ring_buffer import RingReader, SampleRing
from agent.hearing.sound_store import Sound, SoundStore
from tests.agent.toy_bundle import tones, write_sound

_ROOT = Path(__file__).parents[3]


def steps(near: NearMisses, scores: list[float], **how: bool) -> list[float]:
    how = {"detected": False, "idle": True} | how
    found = [near.step(score, **how) for score in scores]
    return [peak for peak in found if peak is not None]


def test_a_near_miss_is_told_once_with_its_peak_when_it_is_over():
    near = NearMisses(0.2)
    assert steps(near, [0.1, 0.3, 0.5, 0.4] + [0.0] * 13) == []
    assert steps(near, [0.0]) == [0.5]  # 15 frames after the peak
    assert steps(near, [0.0] * 50) == []


def test_what_fires_after_all_or_belongs_to_a_command_is_none():
    near = NearMisses(0.2)
    steps(near, [0.3, 0.5])
    near.step(0.9, detected=True, idle=False)
    assert steps(near, [0.0] * 50) == []
    steps(near, [0.3, 0.5])
    assert steps(near, [0.0] * 50, idle=False) == []
    assert steps(near, [0.0] * 50) == []


@given(st.lists(st.floats(0.0, 1.0), max_size=120), st.floats(0.05, 0.95))
def test_every_peak_told_was_seen_and_high_enough(scores, above):
    for peak in steps(NearMisses(above), scores):
        assert peak in scores
        assert peak >= above


def heard(
    bundle: Bundle, samples: np.ndarray, config: Config, folder: Path
) -> dict[str, list[Path]]:
    """Plays samples as `listen` does and gives the kept recordings, by kind."""
    pipeline = Pipeline(bundle, config)
    ring = SampleRing(4 * 16000)
    reader = RingReader(ring)
    store = SoundStore(folder, limit_bytes=config.keep.max_bytes, age_seconds=1000)
    keeper = Keeper(config.keep, ring, store)
    pcm = np.clip(samples * 32768, -32768, 32767).astype(np.int16)
    for block in pcm[: len(pcm) // 640 * 640].reshape(-1, 640):
        ring.write(block)
        got = reader.read()
        assert got is not None
        events = pipeline.process(got)
        keeper.heard(pipeline.words, events, reader.position, idle=pipeline.idle)
    store.close()
    return {kind: sorted((folder / kind).glob("*.flac")) for kind in (NEAR_MISSES, FALSE_ACCEPTS)}


def test_a_near_miss_is_kept_with_the_word_in_it(toy: Bundle, tmp_path: Path):
    config = Config(
        wake=WakeConfig(threshold=1.0), keep=KeepConfig(near_misses=True, false_accepts=True)
    )
    found = heard(toy, tones("..._*..."), config, tmp_path)
    (path,) = found[NEAR_MISSES]
    assert found[FALSE_ACCEPTS] == []
    samples, rate = soundfile.read(path)
    assert rate == 16000
    assert len(samples) == 3 * 16000
    # All 0.6 s of the tone, 0.3 in amplitude, are in it.
    assert np.sum(samples**2) / 16000 == pytest.approx(0.6 * 0.3**2 / 2, rel=0.05)
    assert "_beep_" in path.name


def test_a_wake_word_before_silence_is_kept_and_one_before_a_command_is_not(
    toy: Bundle, tmp_path: Path
):
    config = Config(keep=KeepConfig(near_misses=True, false_accepts=True))
    found = heard(toy, tones("._*ab...._*......"), config, tmp_path)
    (path,) = found[FALSE_ACCEPTS]
    assert found[NEAR_MISSES] == []
    samples, _ = soundfile.read(path)
    # The sound up to the wake, not that of the seconds in which nobody spoke.
    assert np.abs(samples[-3000:]).max() > 0.25


def test_nothing_is_kept_unless_asked_for(toy: Bundle, tmp_path: Path):
    assert Config().keep == KeepConfig(near_misses=False, false_accepts=False)
    found = heard(toy, tones("._*......"), Config(), tmp_path)
    assert found == {NEAR_MISSES: [], FALSE_ACCEPTS: []}
    assert list(tmp_path.iterdir()) == []


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-9000, 9000, int(seconds * 16000)).astype(np.int16)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*"))


def test_the_oldest_give_way_when_there_are_too_many_bytes(tmp_path: Path):
    store = SoundStore(tmp_path, limit_bytes=100_000, age_seconds=1000)
    for number in range(6):  # 1 s of noise is about 28 kB as FLAC: three fit
        while not store.put(Sound("near_misses", f"w{number}", 0.5, noise(1.0, number))):
            time.sleep(0.01)
    store.close(10.0)
    names = [path.name for path in kept(tmp_path)]
    assert [name.split("_")[1] for name in names] == ["w3", "w4", "w5"]
    assert sum(path.stat().st_size for path in kept(tmp_path)) <= 100_000


def test_what_is_too_old_goes_if_the_clock_can_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "near_misses").mkdir()
    for name, days in (("old", 3.0), ("new", 1.0)):
        path = write_sound(tmp_path / "near_misses" / f"{name}.flac", tones("*"))
        os.utime(path, (time.time() - days * 86400,) * 2)
    monkeypatch.setattr(sound_store, "clock_ok", lambda: False)
    SoundStore(tmp_path, limit_bytes=10**6, age_seconds=2 * 86400).close()
    assert len(kept(tmp_path)) == 2
    monkeypatch.setattr(sound_store, "clock_ok", lambda: True)
    SoundStore(tmp_path, limit_bytes=10**6, age_seconds=2 * 86400).close()
    assert [path.name for path in kept(tmp_path)] == ["new.flac"]


def test_a_disk_that_fails_costs_sounds_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    store = SoundStore(tmp_path, limit_bytes=10**6, age_seconds=1000)
    blocked = tmp_path / "near_misses"
    blocked.write_text("a file where the folder should be")
    assert store.put(Sound("near_misses", "w", 0.5, noise(0.1)))
    deadline = time.monotonic() + 20
    while "could not be kept" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "could not be kept" in caplog.text
    blocked.unlink()
    assert store.put(Sound("near_misses", "w", 0.5, noise(0.1)))
    store.close(10.0)
    assert len(kept(tmp_path)) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"keep\.folder"):
        SoundStore(tmp_path / "file" / "kept", limit_bytes=10**6, age_seconds=1000)


@pytest.mark.slow
def test_the_real_process_keeps_what_it_is_told_to(toy_directory: Path, tmp_path: Path):
    sound = write_sound(tmp_path / "a.wav", tones("._*......"))
    config = tmp_path / "config.toml"
    config.write_text(f'[bundle]\npath = "{toy_directory}"\n[keep]\nfalse_accepts = true\n')
    subprocess.run(
        [
            *(sys.executable, "-m", "agent.cli", "listen", "--fast", "--source", f"file:{sound}"),
            *("--config", str(config), "--state", str(tmp_path)),
        ],
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        check=True,
        timeout=120,
    )
    assert len(list((tmp_path / "kept" / FALSE_ACCEPTS).glob("*.flac"))) == 1
