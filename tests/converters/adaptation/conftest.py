"""A bundle that hears tones, made once, and a folder of recordings that it hears badly."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from agent.hearing.features import SAMPLE_RATE
from tests.converters.adaptation.toy import PERSONS_KEY, make_bundle, sung, texts


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("toy_bundle"))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder as somebody who sings in `PERSONS_KEY` would make it."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    lines = []
    for number, text in enumerate(texts(12, 3), 1):
        lines.append(f"{number:03d}\t{text}\n")
        soundfile.write(folder / f"{number:03d}.wav", sung(text, PERSONS_KEY), SAMPLE_RATE)
    (folder / "prompts.tsv").write_text("".join(lines), encoding="utf-8")
    return folder
