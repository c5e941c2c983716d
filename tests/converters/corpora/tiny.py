"""A tiny corpus, laid out as LibriSpeech is and prepared by lhotse's own recipe."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import soundfile

SENTENCES = {
    "train-clean-5": ("TURN ON THE LAMP", "IT'S RAINING", "WHAT TIME IS IT", "STOP", "GO ON",
                      "PLAY SOME MUSIC"),
    "dev-clean-2": ("SET A TIMER", "GOOD NIGHT"),
}  # fmt: skip
RATE = 16_000


def tone(seconds: float, hertz: float, rate: int = RATE) -> np.ndarray:
    """float32 [n]: a tone whose pitch tells recordings apart."""
    time = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def prepared_librispeech(root: Path) -> Path:
    """Folder of manifests; the recording of sentence i is a tone of 300 + 100 i hertz."""
    from lhotse.recipes import prepare_librispeech

    for part, sentences in SENTENCES.items():
        for number, sentence in enumerate(sentences):
            speaker = str(19 + number % 2)
            folder = root / "LibriSpeech" / part / speaker / "198"
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{speaker}-198-{number:04d}"
            soundfile.write(folder / f"{name}.flac", tone(1.5, 300 + 100 * number), RATE)
            with (folder / f"{speaker}-198.trans.txt").open("a") as file:
                file.write(f"{name} {sentence}\n")
    with contextlib.redirect_stderr(io.StringIO()):  # progress bars
        prepare_librispeech(root / "LibriSpeech", output_dir=root / "manifests")
    return root / "manifests"
