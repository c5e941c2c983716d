"""The command from a folder of recordings to files, and the evaluation of what it wrote."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import soundfile

from converters.commands import train_wake
from converters.evaluation import wake as evaluation
from tests.converters.wake.toy import RATE, other_word, rest, wake_word


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "manifests").mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for number in range(36):
        split = ("train", "train", "dev", "test")[number % 4]
        shift = float(rng.uniform(0.9, 1.1))
        for text, samples in (
            ("beep", wake_word(shift)),
            ("other", np.concatenate((other_word(shift), rest(1.0), other_word(shift)))),
        ):
            path = f"{text}{number}.flac"
            soundfile.write(folder / path, samples, RATE)
            lines.append(
                {
                    "path": path,
                    "seconds": len(samples) / RATE,
                    "split": split,
                    "text": text,
                    "speaker": f"s{number % 6}",
                    "use": "train_ok",
                }
            )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "manifests" / "toy.jsonl").write_text(text)
    return folder


def parsed(module, *words):
    parser = argparse.ArgumentParser()
    module.configure(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    args = parsed(
        train_wake, "--phrase", "beep", "--real", data, "--out", out, "--steps", 60,
        "--channels", 16,
    )  # fmt: skip
    assert train_wake.main(args) == 0
    return out


def test_everything_is_written(trained):
    entry = json.loads((trained / "wake.json").read_text())
    assert entry["phrase"] == "beep"
    assert entry["file"] == "wake/beep.tflite"
    assert 0 < entry["threshold"] < 1000
    report = json.loads((trained / "report.json").read_text())
    assert report["bytes"] == (trained / "beep.tflite").stat().st_size
    assert report["tuning"]["misses"]["real, clean"]["n"] == 9
    assert (trained / "report.png").read_bytes().startswith(b"\x89PNG")


def test_repeating_the_command_trains_nothing_and_writes_the_same_file(trained, data):
    before = (trained / "beep.tflite").read_bytes()
    args = parsed(
        train_wake, "--phrase", "beep", "--real", data, "--out", trained, "--steps", 60,
        "--channels", 16,
    )  # fmt: skip
    assert train_wake.main(args) == 0
    assert (trained / "beep.tflite").read_bytes() == before


def test_the_evaluation_counts_every_clip_of_the_test_split(trained, data, tmp_path, capsys):
    out = tmp_path / "wake.json"
    args = parsed(evaluation, "--model", trained / "beep.tflite", "--real", data, "--json", out)
    args.json, args.bundle = out, None
    assert evaluation.run(args) == 0
    found = json.loads(out.read_text())
    groups = {group["name"]: group for group in found["positives"]}
    clean = groups["real test: clean"]
    assert clean["missed"]["n"] == 9
    assert sum(s["n"] for s in clean["speakers"].values()) == 9
    assert len(clean["missed_keys"]) == clean["missed"]["k"]
    speech = {group["name"]: group for group in found["negatives"]}["real speech"]
    assert speech["utterances"]["n"] == 18  # dev and test; what was trained on never counts
    assert "misses" in capsys.readouterr().out
