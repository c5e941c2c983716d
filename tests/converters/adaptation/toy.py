"""A toy language of tones, people who sing it in different keys, and a bundle that hears one.

Each letter is a tone of 80 ms. The bundle's own voice sings in one key; a person to adapt to sings
everything somewhat higher, so that some of their letters sound like the next letter of the bundle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from agent.bundle.manifest import DecoderEntry, SelftestEntry, write_manifest
from agent.hearing.features import SAMPLE_RATE, log_mel_hops
from converters.asr.checkpoint import as_arrays
from converters.asr.encoder import Shape
from converters.asr.rows import Material, RowBuilder, RowRecipe
from converters.asr.schedule import Schedule
from converters.asr.shards import Clip
from converters.asr.text import encode
from converters.asr.train import Trainer
from converters.export.bundle import write_models

SHAPE = Shape(hidden=48, layers=2, joint=48, embedding=16, predictor=16)
LETTERS = "abcd"
_TONES_HZ = (400.0, 800.0, 1600.0, 3200.0)
BUNDLE_KEY, PERSONS_KEY = 1.0, 1.08
_LETTER_S = 0.12
_PAUSE_S = 0.05


def sung(text: str, key: float) -> NDArray[np.int16]:
    """A text in tones, int16 [n]; a space is a pause."""
    time = np.arange(int(_LETTER_S * SAMPLE_RATE)) / SAMPLE_RATE
    rng = np.random.default_rng(len(text))
    parts = [np.zeros(int(_PAUSE_S * SAMPLE_RATE))]
    for letter in text:
        tone = 0.0 if letter == " " else key * _TONES_HZ[LETTERS.index(letter)]
        parts.append(8000.0 * np.sin(2 * np.pi * tone * time) * np.hanning(len(time)) ** 0.5)
    parts.append(np.zeros(int(_PAUSE_S * SAMPLE_RATE)))
    whole = np.concatenate(parts)
    return (whole + rng.normal(0.0, 20.0, len(whole))).astype(np.int16)


def _phones(text: str, hops: int) -> NDArray[np.int8]:
    """Which letter sounds at each hop, int8 [hops]; the letters' labels stand for phones."""
    place = (np.arange(hops) / 100 - _PAUSE_S) / _LETTER_S
    sounded = np.clip(place.astype(int), 0, len(text) - 1)
    return np.where((place < 0) | (place >= len(text)), 0, np.array(encode(text))[sounded]).astype(
        np.int8
    )


def texts(count: int, seed: int) -> list[str]:
    """Words of three to six letters, none of them twice in a row."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        places = np.cumsum(rng.integers(1, 4, int(rng.integers(3, 7))))
        found.append("".join(LETTERS[place % 4] for place in places))
    return found


def make_bundle(folder: Path) -> Path:
    """Trains a bundle that understands `BUNDLE_KEY`, with a self-test in it; takes 8 s."""
    torch.set_num_threads(1)
    clips = []
    for text in texts(60, 1):
        samples = sung(text, BUNDLE_KEY).astype(np.float32) / 32768.0
        hops = log_mel_hops(samples).astype(np.float16)
        clips.append(Clip(hops, text, len(hops) / 100, phones=_phones(text, len(hops))))
    recipe = RowRecipe(
        frames=(50,), budget=800, real_share=1.0, frequency_masks=0, time_masks=0,
        hiss_db=(30.0, 60.0), noise_share=0.0, tilt_nats=0.1, level_nats=(-3.0, 1.0),
        wake_share=0.0, speech_context_share=0.0, stretch=0.05, other_voice=0.0,
    )  # fmt: skip
    rows = RowBuilder(Material([], clips, [], []), recipe, seed=1)
    schedule = Schedule(minutes=60.0, peak_rate=5e-3, warm_steps=20, pruned_from=20, average=0.95)
    trainer = Trainer(folder / "run", SHAPE, schedule, dropout=0.0)
    first = torch.from_numpy(rows.batch(0).frames).reshape(-1, 64)
    trainer.set_normalisation(first.mean(0), first.std(0))
    for step in range(150):
        trainer.step(rows.batch(step))
    bundle = folder / "toy"
    (bundle / "selftest").mkdir(parents=True)
    layout = write_models(as_arrays(trainer.model), bundle)
    entries = []
    for number, text in enumerate(texts(12, 2)):
        name = f"selftest/{number:02d}.flac"
        silence = np.zeros(SAMPLE_RATE // 2, np.int16)
        samples = np.concatenate([silence, sung(text, BUNDLE_KEY), silence])
        soundfile.write(bundle / name, samples, SAMPLE_RATE, format="FLAC")
        entries.append(SelftestEntry(path=name, text=text))
    write_manifest(
        bundle, name="toy", languages=("en",), release=1, model="toy", layout=layout,
        selftest=entries, decoder=DecoderEntry(),
    )  # fmt: skip
    return bundle
