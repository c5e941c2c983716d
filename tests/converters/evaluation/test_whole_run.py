"""The command, from a pool and recordings to figures, tables and pictures.

The shipped bundle hears its own self-test recordings, as a synthetic pool and as real ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import firmware_models
from agent.bundle.manifest import load_bundle
from converters import cli
from converters.asr.corpora import read_audio
from converters.synthesis.pool import PoolItem, PoolWriter

RATE = 16_000
_TEXTS = 2


@pytest.fixture(scope="module")
def spoken() -> list[tuple[np.ndarray, str]]:
    """The first recordings of the bundle's self-test that hold words, with their texts."""
    bundle = load_bundle(firmware_models.factory_bundle())
    entries = [entry for entry in bundle.manifest.selftest if entry.text]
    return [(read_audio(bundle.directory / e.path), e.text) for e in entries[:_TEXTS]]


@pytest.fixture
def pool(spoken: list[tuple[np.ndarray, str]], tmp_path: Path) -> Path:
    with PoolWriter(tmp_path / "pool", {"kind": "test"}) as writer:
        for index, (samples, text) in enumerate(spoken):
            item = PoolItem(
                index=index, offset=0, samples=0, seconds=0.0, text=text, speaker="s",
                engine="flite", voice="rms", split="test", kind="test", cell="template-seen",
                intent="x", slots={"all": text},
            )  # fmt: skip
            writer.append(item, samples)
    return tmp_path / "pool"


@pytest.fixture
def real(spoken: list[tuple[np.ndarray, str]], tmp_path: Path) -> Path:
    """The same recordings as somebody's commands, one noise, one room."""
    folder = tmp_path / "real"
    (folder / "manifests").mkdir(parents=True)
    lines: dict[str, list[dict[str, Any]]] = {"household": [], "aed_esc10": [], "rir": []}

    def add(corpus: str, samples: np.ndarray, split: str, **more: Any) -> None:
        path = folder / f"{corpus}{len(lines[corpus])}.wav"
        soundfile.write(path, samples, RATE)
        common = {"path": path.name, "split": split, "seconds": len(samples) / RATE}
        lines[corpus].append({**common, **more})

    for number, (samples, text) in enumerate(spoken):
        label = {"intent": "x", "slots": {}}
        add("household", samples, "test", text=text, speaker=f"p{number}", label=label,
            language="en", use="eval_only")  # fmt: skip
    add("aed_esc10", np.random.default_rng(0).normal(0, 0.1, RATE), "test")
    add("rir", np.array([1.0, 0.0, 0.1]), "train")
    for corpus, entries in lines.items():
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        (folder / "manifests" / f"{corpus}.jsonl").write_text(text)
    return folder


def test_figures_tables_and_pictures(pool: Path, real: Path, tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    assert cli.main([
        "evaluate", "--pool", str(pool), "--real", str(real), "--noise", "--over", str(pool),
        "--part", "1", "--json", str(target),
    ]) == 0  # fmt: skip
    figures = json.loads(target.read_text())
    synthetic, people = figures["results"]
    assert (synthetic["set"], people["set"]) == ("flite/rms: commands", "household (test)")
    assert synthetic["sentences_right"]["n"] == people["sentences_right"]["n"] == _TEXTS
    # The same audio by another road gives the same texts, and a ratio of one where there are
    # errors at all.
    assert synthetic["word_errors"]["k"] == people["word_errors"]["k"]
    ratios = figures["real_to_synthetic"]["results"]
    assert ratios == ({"household (test)": 1.0} if people["word_errors"]["k"] else {})
    conditions = ["clean", "20 dB", "10 dB", "5 dB", "0 dB", "room"]
    assert {name: list(row) for name, row in figures["noise"].items()} == {
        "flite/rms: commands": conditions, "household (test)": conditions,
    }  # fmt: skip
    assert list(figures["over_speech"]) == ["flite/rms: commands"]
    assert list(figures["over_speech"]["flite/rms: commands"]) == ["clean", "over rms at 5 dB"]
    for row in (*figures["noise"].values(), *figures["over_speech"].values()):
        assert all(result["sentences_right"]["n"] == 1 for result in row.values())
    # Synthetic and real are the same audio here, but not the noises' places.
    clean = [row["clean"] for row in figures["noise"].values()]
    assert clean[0]["word_errors"] == clean[1]["word_errors"]
    tables = target.with_suffix(".md").read_text()
    assert f"| flite/rms: commands | {synthetic['word_errors']['k']} of " in tables
    assert "| Word errors | Sentences | clean | 20 dB | 10 dB | 5 dB | 0 dB | room |" in tables
    assert "| household (test) | p" in tables  # by speaker
    for picture in ("figures_noise.png", "figures_confusions.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "give --pool, --real or --corpus"),
        (["--pool", "{pool}", "--noise"], "--noise needs --real"),
        (["--real", "{real}", "--over", "{pool}"], "--over needs a --pool"),
    ],
    ids=["nothing", "no noises", "no synthetic commands"],
)
def test_what_cannot_be_done_is_said_before_anything_is_heard(
    options: list[str], told: str, pool: Path, real: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [option.format(pool=pool, real=real) for option in options]
    assert cli.main(["evaluate", *given]) == 2
    assert told in capsys.readouterr().err
