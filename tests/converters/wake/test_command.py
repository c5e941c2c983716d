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
        train_wake, "--phrase", "beep", "--real", data, "--out", out, "--steps", 240,
        "--cache", out / "shared",
        "--channels", 16, "--words", 0, "--music", 0,
        "--from-scratch",
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
    closing = (trained / "report.md").read_text()
    assert report["reason"] in closing
    assert "| real, clean |" in closing


def test_repeating_the_command_trains_nothing_and_writes_the_same_file(trained, data):
    before = (trained / "beep.tflite").read_bytes()
    args = parsed(
        train_wake, "--phrase", "beep", "--real", data, "--out", trained, "--steps", 240,
        "--cache", trained / "shared",
        "--channels", 16, "--words", 0, "--music", 0,
        "--from-scratch",
    )  # fmt: skip
    assert train_wake.main(args) == 0
    assert (trained / "beep.tflite").read_bytes() == before


def test_the_evaluation_counts_every_clip_of_the_test_split(trained, data, tmp_path, capsys):
    out = tmp_path / "wake.json"
    args = parsed(
        evaluation, "--model", trained / "beep.tflite", "--real", data, "--json", out, "--cpu",
        "--cpu-minutes", 0.05,
    )  # fmt: skip
    assert evaluation.run(args) == 0
    found = json.loads(out.read_text())
    groups = {group["name"]: group for group in found["positives"]}
    # the toy has no noise recordings, so there are no conditions with noise
    assert set(groups) == {
        f"real {split}{after}: {condition}"
        for split in ("dev", "test")
        for after in ("", " + command")
        for condition in ("clean", "room")
    }
    clean = groups["real test: clean"]
    assert clean["missed"]["n"] == 9
    assert sum(s["n"] for s in clean["speakers"].values()) == 9
    assert len(clean["missed_keys"]) == clean["missed"]["k"]
    speech = {group["name"]: group for group in found["negatives"]}["(a) real speech"]
    assert speech["utterances"]["n"] == 18  # dev and test; what was trained on never counts
    (cost, *_) = found["cpu"]
    assert 0 < cost["lowest"] <= cost["seconds_per_second"] <= cost["highest"] < 1
    assert cost["rounds"] == 5
    assert "misses" in capsys.readouterr().out


def test_own_recordings_alone_go_on_from_a_file(trained, tmp_path):
    rng = np.random.default_rng(1)
    for number in range(12):
        shift = float(rng.uniform(0.9, 1.1))
        for name, samples in (
            ("calls", wake_word(shift)),
            ("television", np.concatenate((other_word(shift), rest(1.5), other_word(shift)))),
        ):
            (tmp_path / name).mkdir(exist_ok=True)
            soundfile.write(tmp_path / name / f"{number}.wav", samples, RATE)
    out = tmp_path / "out"
    args = parsed(
        train_wake, "--from", trained / "beep.tflite", "--positives", tmp_path / "calls",
        "--negatives", tmp_path / "television", "--out", out, "--steps", 20, "--words", 0,
        "--music", 0, "--cache", tmp_path / "shared",
    )  # fmt: skip
    assert train_wake.main(args) == 0
    entry = json.loads((out / "wake.json").read_text())
    assert entry["phrase"] == "beep"  # that of the file
    report = json.loads((out / "report.json").read_text())
    assert report["bytes"] == (trained / "beep.tflite").stat().st_size  # and its shape
    assert report["tuning"]["misses"]["real, clean"]["n"] == 2  # one in five of twelve
    fresh = json.loads((trained / "report.json").read_text())["history"]
    # After one step from random weights nothing is told apart; from the file, something is at once.
    assert fresh[0]["merit"] == 0.0
    assert report["history"][0]["merit"] > 0.3
