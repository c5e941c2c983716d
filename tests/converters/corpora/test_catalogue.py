"""Which splits a folder has, and which of them are trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.corpora.catalogue import find_splits, named_split, training_splits
from converters.corpora.errors import CorpusNameError
from converters.corpora.selection import chosen_splits


def _touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("")
    return folder


def _pair(prefix: str, part: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{kind}_{part}.jsonl.gz" for kind in ("recordings", "supervisions"))


def test_librispeech(librispeech: Path):
    assert sorted(find_splits(librispeech)) == ["dev-clean-2", "train-clean-5"]
    (train,) = training_splits(f"lhotse:{librispeech}")
    assert (train.name, train.title) == ("train-clean-5", "train-clean-5 of manifests")
    (asked,) = training_splits(f"lhotse:{librispeech}:dev-clean-2")
    assert asked.held_out


@pytest.mark.parametrize(
    ("part", "trained"),
    [
        ("train", True), ("train-other-500", True), ("en_train", True), ("TRAIN-XL", True),
        ("dev-clean", False), ("test-other", False), ("train-dev", False), ("valid", False),
        # Common Voice's contains the sentences of its dev and test.
        ("validated", False),
        ("XL", False), ("other", False), ("trained-by-others", False),
    ],
)  # fmt: skip
def test_names_that_are_trained_on(tmp_path: Path, part: str, trained: bool):
    folder = _touch(tmp_path / "m", *_pair("x", part))
    if trained:
        assert [split.name for split in training_splits(f"lhotse:{folder}")] == [part]
    else:
        with pytest.raises(CorpusNameError, match=f"SPLIT, of {part}"):
            training_splits(f"lhotse:{folder}")
        assert training_splits(f"lhotse:{folder}:{part}")[0].name == part


def test_corpora_whose_splits_are_called_alike_are_told_apart(tmp_path: Path):
    folder = _touch(tmp_path / "m", *_pair("cv-en", "train"), *_pair("slu", "train"))
    names = ["cv-en_train", "slu_train"]
    assert [split.name for split in training_splits(f"lhotse:{folder}")] == names
    (recordings, supervisions) = named_split(f"lhotse:{folder}:slu_train").files
    assert (recordings.name, supervisions.name) == _pair("slu", "train")


def test_cuts_go_before_recordings_and_halves_are_no_corpus(tmp_path: Path):
    folder = _touch(
        tmp_path / "m", *_pair("a", "train"), "a_cuts_train.jsonl.gz", "b_recordings_train.jsonl.gz"
    )
    (split,) = training_splits(f"lhotse:{folder}")
    assert [path.name for path in split.files] == ["a_cuts_train.jsonl.gz"]


def test_a_corpus_without_splits_is_for_training(tmp_path: Path):
    folder = _touch(tmp_path / "m", "cuts.jsonl")
    assert training_splits(f"lhotse:{folder}")[0].name == "all"
    assert named_split(f"lhotse:{folder}").name == "all"


def test_a_folder_may_have_a_colon_in_its_name(tmp_path: Path):
    folder = _touch(tmp_path / "a:b", *_pair("x", "train"))
    assert training_splits(f"lhotse:{folder}")[0].folder == folder
    assert named_split(f"lhotse:{folder}:train").folder == folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kaldi:x", "is no corpus: write lhotse:DIR"),
        ("lhotse:", "is no corpus: write lhotse:DIR"),
        ("lhotse:{}/nothing", "There is no folder"),
        ("lhotse:{}/empty", "has no lhotse manifests of sound and text"),
        ("lhotse:{}/m:tain", "has no split 'tain'; it has dev, train"),
    ],
)
def test_names_that_fit_nothing(tmp_path: Path, name: str, message: str):
    _touch(tmp_path / "m", *_pair("x", "train"), *_pair("x", "dev"))
    _touch(tmp_path / "empty")
    with pytest.raises(CorpusNameError, match=message) as caught:
        training_splits(name.format(tmp_path))
    assert "\n" not in str(caught.value)


def test_what_is_measured_on_must_be_named(tmp_path: Path):
    folder = _touch(tmp_path / "m", *_pair("x", "train"), *_pair("x", "dev"))
    with pytest.raises(CorpusNameError, match=r"must name a split to measure on.*dev, train"):
        named_split(f"lhotse:{folder}")


def test_no_split_is_both_learnt_from_and_chosen_by(tmp_path: Path):
    folder = _touch(tmp_path / "m", *_pair("x", "train"), *_pair("x", "dev"))
    again = tmp_path / "link"
    again.symlink_to(folder)
    with pytest.raises(CorpusNameError, match="both learnt from and chosen by"):
        chosen_splits([f"lhotse:{folder}:dev"], [f"lhotse:{again}:dev"])
    chosen = chosen_splits([f"lhotse:{folder}", f"lhotse:{folder}:train"], [f"lhotse:{folder}:dev"])
    assert [split.name for split in chosen] == ["train"]


def test_a_digest_belongs_to_the_bytes(tmp_path: Path):
    folder = _touch(tmp_path / "m", "cuts_train.jsonl", "cuts_dev.jsonl")
    before = {name: split.digest() for name, split in find_splits(folder).items()}
    assert len(set(before.values())) == 2
    (folder / "cuts_train.jsonl").write_text("{}\n")
    after = {name: split.digest() for name, split in find_splits(folder).items()}
    assert after["dev"] == before["dev"]
    assert after["train"] != before["train"]
