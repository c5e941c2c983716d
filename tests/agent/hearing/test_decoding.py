"""Which decoder a bundle gets, and that a beam with a language model hears what greedy hears."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agent.bundle.manifest import Bundle, DecoderEntry, load_bundle
from agent.config import Config
from agent.errors import BundleFileError
from agent.hearing.beam import BeamSearch
from agent.hearing.features import BLOCK
from agent.hearing.pipeline import Pipeline
from agent.hearing.session_events import Finished, PartialText
from agent.hearing.transducer import Transducer
from converters.language.counting import count, label_stream
from converters.language.estimation import estimate
from tests.agent.toy_bundle import LABEL, tones, write_toy_bundle, write_toy_manifest

_SENTENCES = ("ab", "a dc", "cab")


def _with_beam(directory: Path, language: bytes | None, beam: int = 4) -> Bundle:
    """A toy bundle that asks for a beam."""
    write_toy_bundle(directory)
    manifest = load_bundle(directory).manifest
    if language is not None:
        (directory / "language.npz").write_bytes(language)
    write_toy_manifest(directory, manifest.wake, manifest.selftest)
    found = load_bundle(directory)
    entry = DecoderEntry(beam=beam, language_permille=500)
    return dataclasses.replace(found, manifest=dataclasses.replace(found.manifest, decoder=entry))


def _language() -> bytes:
    labels = [[LABEL[letter] for letter in text] for text in _SENTENCES]
    return estimate(count(label_stream(labels, 6), 6), (1,) * 6)


def _hear(pipeline: Pipeline, text: str) -> list[object]:
    sound = (tones(text, silence=1e-4) * 32767).astype("int16")
    events: list[object] = []
    for start in range(0, len(sound) - BLOCK + 1, BLOCK):
        events += pipeline.process(sound[start : start + BLOCK])
    return [*events, *pipeline.finish(len(sound) / 16_000)]


@pytest.mark.parametrize("text", _SENTENCES)
def test_a_beam_hears_what_greedy_hears_and_says_how_sure_it_is(text: str, tmp_path: Path):
    pipeline = Pipeline(_with_beam(tmp_path / "toy", _language()), Config())
    assert isinstance(pipeline.decoder, BeamSearch)
    events = _hear(pipeline, f"_*{text}.")
    (final,) = [event for event in events if isinstance(event, Finished)]
    assert final.text == text
    assert final.nbest[0].text == text
    posteriors = [entry.posterior for entry in final.nbest]
    if len(posteriors) > 1:
        assert sum(p or 0.0 for p in posteriors) == pytest.approx(1.0, abs=1e-3)
    for event in events:
        if isinstance(event, PartialText):
            assert 0 <= event.stable_chars <= len(event.text)


def test_a_bundle_without_a_language_model_may_ask_for_a_beam(tmp_path: Path):
    pipeline = Pipeline(_with_beam(tmp_path / "toy", None), Config())
    assert isinstance(pipeline.decoder, BeamSearch)
    (final,) = [e for e in _hear(pipeline, "_*cab.") if isinstance(e, Finished)]
    assert final.text == "cab"


def test_one_reading_is_greedy(tmp_path: Path):
    pipeline = Pipeline(_with_beam(tmp_path / "toy", _language(), beam=1), Config())
    assert isinstance(pipeline.decoder, Transducer)


def test_a_damaged_language_model_is_refused(tmp_path: Path):
    with pytest.raises(BundleFileError, match=r"language\.npz is damaged"):
        Pipeline(_with_beam(tmp_path / "toy", b"not a model"), Config())
