from __future__ import annotations

import json

import pytest

from agent.errors import UnreadableAudioError
from converters.wake.recordings import Role, folded, read_manifests, role_of


def line(**values):
    return {
        "path": "a.flac",
        "seconds": 1.5,
        "split": "train",
        "label": None,
        "text": None,
    } | values


@pytest.mark.parametrize(
    ("entry", "corpus", "role"),
    [
        (line(label="computer", text="computer"), "wake", Role.POSITIVE),
        (line(label="Computer"), "wake", Role.POSITIVE),
        (line(label="hey computer", text="hey computer"), "wake", Role.POSITIVE),
        (line(text="der Computerspiel-Markt", seconds=4.0), "de", Role.LEFT_OUT),
        (line(text="computer turn on the light", seconds=4.0), "cmd", Role.LEFT_OUT),
        (line(text="com puter"), "cmd", Role.LEFT_OUT),
        (line(text="alexa"), "wake", Role.WORD),
        (line(text="a commuter train left", seconds=6.0), "speech", Role.SPEECH),
        (line(label={"intent": "order"}, text_auto="a large mocha", seconds=3.0), "c", Role.SPEECH),
        (line(label="music"), "noise_music", Role.NOISE),
        (line(label="rir"), "rir", Role.ROOM),
    ],
    ids=lambda value: str(value)[:40],
)
def test_roles_for_computer(entry, corpus, role):
    assert role_of(entry, corpus, "computer") is role


def test_a_phrase_of_several_words_is_matched_whatever_its_case():
    assert role_of(line(text="Smart Mirror"), "wake", "smart  mirror") is Role.POSITIVE
    assert role_of(line(text="smart"), "wake", "smart mirror") is Role.WORD


def write(folder, corpus, *entries):
    (folder / "manifests").mkdir(exist_ok=True)
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    (folder / "manifests" / f"{corpus}.jsonl").write_text(text)


def test_what_is_only_for_evaluation_is_never_trainable(tmp_path):
    write(
        tmp_path,
        "wake",
        line(text="computer", use="train_ok", speaker="s1"),
        line(text="computer", use="eval_only"),
        line(text="computer"),
    )
    assert [r.trainable for r in read_manifests(tmp_path, "computer")] == [True, False, False]


def test_some_noise_is_kept_for_tests_by_the_name_of_the_file(tmp_path):
    entries = [line(path=f"noise_music/train/{n}.opus", use="train_ok") for n in range(200)]
    write(tmp_path, "noise_music", *entries)
    splits = [r.split for r in read_manifests(tmp_path, "computer")]
    assert 25 < splits.count("test") < 75
    assert splits.count("test") + splits.count("train") == 200
    assert splits == [r.split for r in read_manifests(tmp_path, "jarvis")]


def test_a_folder_without_manifests_is_refused(tmp_path):
    with pytest.raises(UnreadableAudioError, match="no manifests"):
        list(read_manifests(tmp_path, "computer"))


def test_two_folds_test_every_speaker_once_and_train_on_none_of_them(tmp_path):
    calls = [
        line(path=f"c{n}.flac", text="computer", use="train_ok", speaker=f"s{n % 20}",
             split=("train", "dev", "test")[n % 3])
        for n in range(60)
    ]  # fmt: skip
    other = line(path="o.flac", text="hello", use="train_ok", speaker="s1", split="test")
    foreign = line(path="e.flac", text="computer", use="eval_only", speaker="e", split="test")
    write(tmp_path, "wake", *calls, other, foreign)
    recordings = list(read_manifests(tmp_path, "computer"))
    folds = [list(folded(recordings, number)) for number in (1, 2)]
    speakers = [
        {
            split: {r.speaker for r in fold if r.role is Role.POSITIVE and r.split == split}
            for split in ("train", "dev", "test")
        }
        for fold in folds
    ]
    for fold, found in zip(folds, speakers, strict=True):
        assert not found["test"] & (found["train"] | found["dev"])
        assert not found["train"] & found["dev"]
        assert len(found["dev"]) == 2
        assert [r.key for r in fold] == [r.key for r in recordings]
        assert next(r for r in fold if r.key == "o.flac").split == "test"
        assert next(r for r in fold if r.key == "e.flac").split == "test"
    assert speakers[0]["test"] & speakers[1]["test"] == {"e"}
    assert len(speakers[0]["test"] | speakers[1]["test"]) == 21
