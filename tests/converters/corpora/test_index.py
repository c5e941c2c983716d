"""From manifests to portions: what is joined, left out, refused and found again."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import (
    CutSet,
    MonoCut,
    Recording,
    RecordingSet,
    SupervisionSegment,
    SupervisionSet,
)
from lhotse.audio import AudioSource

from converters.corpora import index as indexing
from converters.corpora.catalogue import named_split
from converters.corpora.errors import ManifestError
from converters.corpora.index import Index, build

RATE = 16_000


def _recording(folder: Path, name: str, seconds: float) -> Recording:
    path = folder / f"{name}.wav"
    soundfile.write(path, np.zeros(int(seconds * RATE), np.float32), RATE)
    return Recording.from_file(path)


def _said(name: str | int, recording: str, start: float, seconds: float, text: str, **more: object):
    return SupervisionSegment(name, recording, start, seconds, text=text, **more)


def _store(folder: Path, recordings: list[Recording], said: list[SupervisionSegment]) -> str:
    RecordingSet.from_recordings(recordings).to_file(folder / "x_recordings_train.jsonl.gz")
    SupervisionSet.from_segments(said).to_file(folder / "x_supervisions_train.jsonl.gz")
    return f"lhotse:{folder}:train"


def _build(name: str, folder: Path) -> Index:
    return build(named_split(name), folder)


def test_librispeech_as_lhotse_prepares_it(librispeech: Path, tmp_path: Path):
    index = _build(f"lhotse:{librispeech}:train-clean-5", tmp_path / "index")
    assert index.summary.utterances == 6
    assert index.summary.hours == pytest.approx(6 * 1.5 / 3600)
    assert index.summary.left_out == {}
    found = {entry.id: (entry.text, entry.speaker, entry.seconds) for entry in index.portion(0)}
    assert found["20-198-0001"] == ("it's raining", "20", 1.5)
    assert len(found) == 6


def test_a_long_recording_with_many_utterances(tmp_path: Path):
    recording = _recording(tmp_path, "talk", 10.0)
    said = [
        _said("b", "talk", 4.0, 2.0, "second", speaker="x"),
        _said("a", "talk", 1.0, 2.0, "first"),
        _said("c", "talk", 8.5, 1.501, "a millisecond too long"),
    ]
    index = _build(_store(tmp_path, [recording], said), tmp_path / "index")
    cuts = {entry.id: json.loads(entry.cut) for entry in index.portion(0)}
    assert (cuts["b"]["start"], cuts["b"]["duration"]) == (4.0, 2.0)
    assert (cuts["a"]["start"], cuts["a"]["duration"]) == (1.0, 2.0)
    assert cuts["c"]["duration"] == 1.5
    assert [entry.speaker for entry in index.sample() if entry.id == "b"] == ["x"]


def test_what_cannot_be_learnt_from_is_counted(tmp_path: Path):
    command = Recording(
        "shell", [AudioSource("command", [0], f"touch {tmp_path}/started")], RATE, 2 * RATE, 2.0
    )
    recordings = [_recording(tmp_path, "long", 17.0), _recording(tmp_path, "two", 2.0), command]
    said = [
        _said("1", "long", 0.0, 17.0, "too long a sentence"),
        _said("2", "two", 0.0, 0.1, "short"),
        _said("3", "two", 0.0, 2.0, ""),
        _said("4", "two", 0.0, 2.0, "до свидания"),
        _said("5", "two", 0.0, 2.0, "goodbye"),
        _said("6", "nowhere", 0.0, 2.0, "lost"),
        _said("7", "shell", 0.0, 2.0, "program"),
        # Begins where its recording has ended.
        _said("8", "two", 3.0, 1.0, "late"),
    ]
    index = _build(_store(tmp_path, recordings, said), tmp_path / "index")
    assert [entry.text for entry in index.sample()] == ["goodbye"]
    assert index.summary.left_out == {
        "too long": 1,
        "too short": 2,
        "without text": 1,
        "with letters other than a to z": 1,
        "whose recording is not in the manifests": 1,
        "whose sound is in no file of its own (a command, an address, an archive)": 1,
    }
    assert "1 utterances, 0.00 h; left out: " in index.summary.sentence()
    assert "2 too short" in index.summary.sentence()
    assert not (tmp_path / "started").exists()


def test_cuts_are_trimmed_to_what_is_said(tmp_path: Path):
    recording = _recording(tmp_path, "talk", 10.0)
    whole = MonoCut(
        "whole", 2.0, 6.0, 0, recording=recording,
        supervisions=[
            _said("a", "talk", 0.5, 2.0, "first"), _said("b", "talk", 3.0, 2.5, "second"),
        ],
    )  # fmt: skip
    silent = MonoCut("silent", 0.0, 1.0, 0, recording=recording)
    mixed = whole.append(whole.truncate(duration=3.0).with_id("again"))
    for cut, name in ((mixed, "m"), (whole, "w"), (silent, "s")):
        CutSet.from_cuts([cut]).to_file(tmp_path / f"{name}_cuts.jsonl.gz")
    index = _build(f"lhotse:{tmp_path}:w", tmp_path / "w")
    cuts = {entry.text: json.loads(entry.cut) for entry in index.sample()}
    assert (cuts["first"]["start"], cuts["first"]["duration"]) == (2.5, 2.0)
    assert (cuts["second"]["start"], cuts["second"]["duration"]) == (5.0, 2.5)
    assert _build(f"lhotse:{tmp_path}:m", tmp_path / "m").summary.utterances == 3
    with pytest.raises(ManifestError, match="Nothing can be learnt from s of"):
        _build(f"lhotse:{tmp_path}:s", tmp_path / "s")


def test_paths_beside_the_manifest_are_found(tmp_path: Path):
    recording = _recording(tmp_path, "two", 2.0)
    name = _store(tmp_path, [recording], [_said("a", "two", 0.0, 2.0, "words")])
    content = recording.to_dict()
    content["sources"][0]["source"] = "two.wav"
    (tmp_path / "x_recordings_train.jsonl.gz").write_bytes(
        gzip.compress(json.dumps(content).encode())
    )
    (entry,) = _build(name, tmp_path / "index").sample()
    assert json.loads(entry.cut)["recording"]["sources"][0]["source"] == str(tmp_path / "two.wav")


def test_numbers_for_names_and_no_speaker(tmp_path: Path):
    """As lhotse's recipe for Fluent Speech Commands writes them."""
    recordings = [_recording(tmp_path, name, 2.0) for name in ("cbdf5700", "8ac2f480")]
    said = [
        _said(number, recording.id, 0, 2.0, text, custom={"frames": ["activate", "lights", "none"]})
        for number, (recording, text) in enumerate(
            zip(recordings, ("Turn the lights on", "Lights on?"), strict=True)
        )
    ]
    index = _build(_store(tmp_path, recordings, said), tmp_path / "index")
    found = sorted((entry.id, entry.text, entry.speaker) for entry in index.sample())
    assert found == [("0", "turn the lights on", ""), ("1", "lights on", "")]


def test_portions_share_all_utterances_and_stay_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(indexing, "PORTION_S", 60.0)
    recording = _recording(tmp_path, "talk", 100.0)
    said = [_said(f"u{i:03d}", "talk", i / 3, 2.0, "words") for i in range(290)]
    name = _store(tmp_path, [recording], said)
    index = _build(name, tmp_path / "index")
    portions = [[entry.id for entry in index.portion(n)] for n in range(10)]
    assert index.summary.portions == 10
    assert sorted(itertools.chain(*portions)) == [f"u{i:03d}" for i in range(290)]
    # About a minute each, and not in the order of the manifest.
    assert all(10 < len(portion) < 60 for portion in portions)
    assert portions[0] != sorted(portions[0])
    reversed_order = _build(_store(tmp_path, [recording], said[::-1]), tmp_path / "again")
    assert [[e.id for e in reversed_order.portion(n)] for n in range(10)] == portions
    assert [entry.id for entry in index.sample(5)] == [entry.id for entry in index.sample()][:5]


def test_an_index_is_built_once_and_never_half(librispeech: Path, tmp_path: Path):
    split = named_split(f"lhotse:{librispeech}:dev-clean-2")
    build(split, tmp_path / "index")
    written = (tmp_path / "index" / "index.sqlite").stat().st_mtime_ns
    assert build(split, tmp_path / "index").summary.utterances == 2
    assert (tmp_path / "index" / "index.sqlite").stat().st_mtime_ns == written
    with sqlite3.connect(tmp_path / "index" / "index.sqlite") as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


GOOD = {
    "x_recordings_train.jsonl.gz": b'{"id": "r", "sources": [{"type": "file", "channels": [0], '
    b'"source": "r.wav"}], "sampling_rate": 16000, "num_samples": 32000, "duration": 2.0}\n',
    "x_supervisions_train.jsonl.gz": b'{"id": "s", "recording_id": "r", "start": 0.0, '
    b'"duration": 2.0, "channel": 0, "text": "some words"}\n',
    "x_cuts_train.jsonl.gz": b'{"id": "c", "start": 0.0, "duration": 2.0, "channel": 0, '
    b'"supervisions": [{"id": "s", "recording_id": "r", "start": 0.0, "duration": 2.0, '
    b'"channel": 0, "text": "some words"}], "recording": {"id": "r", "sources": [{"type": "file", '
    b'"channels": [0], "source": "r.wav"}], "sampling_rate": 16000, "num_samples": 32000, '
    b'"duration": 2.0}, "type": "MonoCut"}\n',
}
PAIR = ("x_recordings_train.jsonl.gz", "x_supervisions_train.jsonl.gz")
CUTS = ("x_cuts_train.jsonl.gz",)


def _written(folder: Path, names: tuple[str, ...], **changed: bytes) -> str:
    for name in names:
        (folder / name).write_bytes(changed.get(name, gzip.compress(GOOD[name])))
    return f"lhotse:{folder}:train"


@pytest.mark.parametrize("names", [PAIR, CUTS], ids=["recordings and supervisions", "cuts"])
def test_the_good_manifests_of_this_file_are_good(tmp_path: Path, names: tuple[str, ...]):
    (entry,) = _build(_written(tmp_path, names), tmp_path / "index").sample()
    assert (entry.id, entry.text, entry.seconds) == ("s", "some words", 2.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(GOOD[PAIR[0]])[:-12], "cannot be read after line"),
        (b"plain text", "cannot be read after line 0"),
        (gzip.compress(b"\xff\xfe\n"), "cannot be read after line 0"),
        (gzip.compress(GOOD[PAIR[0]] + b'{"id": \n'), "line 2, is no such line as lhotse writes"),
        (gzip.compress(b'{"id": "r"}\n'), "line 1, is no such line as lhotse writes"),
        (gzip.compress(b"[1]\n"), "line 1, is no such line as lhotse writes"),
        (
            gzip.compress(GOOD[PAIR[0]].replace(b'"r"', b'"\\ud800"')),
            "line 1, is no such line as lhotse writes",
        ),
    ],
    ids=["cut off", "not compressed", "not text", "half a line", "fields missing", "a list",
         "half a surrogate pair"],
)
def test_a_damaged_manifest_is_named_in_a_sentence(tmp_path: Path, content: bytes, message: str):
    name = _written(tmp_path, PAIR, **{PAIR[0]: content})
    with pytest.raises(ManifestError, match=message) as caught:
        _build(name, tmp_path / "index")
    assert str(tmp_path / PAIR[0]) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "index").iterdir()) == []


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([(name, names) for names in (PAIR, CUTS) for name in names]),
    st.integers(0, 400), st.integers(0, 30), st.binary(max_size=12),
)  # fmt: skip
def test_any_damage_is_a_manifest_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory,
    chosen: tuple[str, tuple[str, ...]],
    start: int,
    count: int,
    put: bytes,
):
    damaged, names = chosen
    content = GOOD[damaged]
    changed = content[:start] + put + content[start + count :]
    folder = tmp_path_factory.mktemp("damaged")
    name = _written(folder, names, **{damaged: gzip.compress(changed)})
    with contextlib.suppress(ManifestError):
        assert _build(name, folder / "i").summary.utterances > 0
