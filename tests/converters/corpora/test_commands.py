"""The commands on a tiny corpus: two processes train, without any pool, and go on; one measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from converters import cli
from converters.asr.development import development_sets
from tests.converters.corpora.tiny import prepared_librispeech

ROOT = Path(__file__).parents[3]


def _options(out: Path, manifests: Path, minutes: float) -> list[str]:
    return [
        "train-asr", "--corpus", f"lhotse:{manifests}", "--out", str(out),
        "--minutes", str(minutes), "--device", "cpu", "--hidden", "32", "--layers", "2",
        "--batch-frames", "400", "--threads", "1",
    ]  # fmt: skip


def _log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_two_processes_train_on_a_corpus_alone_and_one_goes_on(
    librispeech: Path, tmp_path: Path
):
    out = tmp_path / "run"
    options = _options(out, librispeech, 0.02)
    options += ["--dev-corpus", f"lhotse:{librispeech}:dev-clean-2"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         "-m", "converters.cli", *options],
        check=True, capture_output=True, text=True, timeout=240, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.count("train-clean-5 of manifests: 6 utterances") == 1
    (first,) = _log(out)
    assert set(first["word_error_rate"]) == {"dev-clean-2 of manifests"}
    assert first["step"] > 0
    # The dev split has left no shards behind to be trained on.
    (index,) = (out / "features" / "corpora").glob("*/index.sqlite")
    made = {path.name: path.stat().st_mtime_ns for path in index.parent.iterdir()}
    assert "copy0-00000.json" in made
    options[options.index("0.02")] = "0.03"
    assert cli.main(options) == 0
    assert _log(out)[-1]["step"] > first["step"]
    assert {path.name: path.stat().st_mtime_ns for path in index.parent.iterdir()} == made


def test_evaluate_measures_a_split(
    librispeech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "figures.json"
    corpus = f"lhotse:{librispeech}:dev-clean-2"
    assert cli.main(["evaluate", "--corpus", corpus, "--json", str(target)]) == 0
    assert "dev-clean-2 of manifests: 2 utterances" in capsys.readouterr().out
    content = json.loads(target.read_text())
    assert content["notes"] == ["dev-clean-2 of manifests: 2 utterances, 0.00 h; none left out"]
    (result,) = content["results"]
    assert result["set"] == "dev-clean-2 of manifests"
    assert result["word_errors"]["n"] == 5  # set a timer, good night


def test_dev_corpora_are_the_same_every_time_and_told_apart(librispeech: Path):
    corpus = f"lhotse:{librispeech}:train-clean-5"
    one, two = development_sets(None, None, 2, [corpus, corpus])
    assert (one.name, two.name) == ("train-clean-5 of manifests", "train-clean-5 of manifests (2)")
    assert one.texts == two.texts
    assert len(one.texts) == 2
    # 0.3 s of pause, 1.5 s, 0.6 s, in frames of 40 ms.
    assert [frames.shape for frames in one.frames] == [(60, 256)] * 2


def test_the_commands_name_what_is_wrong_in_a_sentence(
    librispeech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = ["--out", str(tmp_path / "run")]
    assert cli.main(["train-asr", *out]) == 2
    assert "give --pool or --corpus" in capsys.readouterr().err
    corpus = f"lhotse:{librispeech}"
    assert cli.main(["train-asr", *out, "--corpus", corpus, "--hear-share", "0.5"]) == 2
    assert "--hear-share needs a --pool" in capsys.readouterr().err
    assert cli.main(["train-asr", *out, "--corpus", f"{corpus}:tain"]) == 1
    assert "has no split 'tain'; it has dev-clean-2, train-clean-5." in capsys.readouterr().err
    assert cli.main(["evaluate", "--corpus", corpus]) == 1
    assert "must name a split" in capsys.readouterr().err
    damaged = tmp_path / "cuts_train.jsonl"
    damaged.write_text('{"id": 1}\n')
    assert cli.main(["train-asr", *out, "--corpus", f"lhotse:{tmp_path}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {damaged}, line 1, is no such line as lhotse writes")
    assert error.count("\n") == 1


def test_a_corpus_without_its_sound_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    manifests = prepared_librispeech(tmp_path)
    for path in tmp_path.rglob("*.flac"):
        path.unlink()
    assert cli.main(_options(tmp_path / "run", manifests, 1.0)) == 1
    first, last = capfd.readouterr().err.splitlines()
    assert first.startswith("error: 6 of 6 recordings of train-clean-5 of manifests cannot be read")
    assert last.startswith("error: No features were made")
    assert cli.main(["evaluate", "--corpus", f"lhotse:{manifests}:dev-clean-2"]) == 1
    assert "-198-000" in capfd.readouterr().err
