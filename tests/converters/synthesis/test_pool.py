from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.synthesis.errors import PoolError
from converters.synthesis.pool import PoolItem, PoolWriter, load_pool, parse_item

DEFINITION = {"kind": "command", "seed": 1}


def item(index: int, text: str = "stop") -> PoolItem:
    return PoolItem(
        index=index,
        offset=0,
        samples=0,
        seconds=0.0,
        text=text,
        speaker="s",
        engine="e",
        voice="v",
        split="train",
        kind="command",
        cell="template",
        intent="control",
        names=("anna",),
        slots={"contact": "anna"},
        word_ends_s=(0.5, None),
    )


def fill(folder: Path, first: int, count: int) -> None:
    with PoolWriter(folder, DEFINITION) as writer:
        for index in range(first, first + count):
            writer.append(item(index), np.full(100 + index, index, np.int16))


def test_what_was_written_is_read(tmp_path: Path):
    fill(tmp_path, 0, 3)
    pool = load_pool(tmp_path)
    assert len(pool) == 3
    # Utterance i has 100 + i samples of value i: they begin at 0, 100 and 201.
    assert [i.offset for i in pool.items] == [0, 100, 201]
    assert [i.samples for i in pool.items] == [100, 101, 102]
    assert pool.audio(2).dtype == np.int16
    assert pool.audio(2).tolist() == [2] * 102
    assert pool.items[1].names == ("anna",)
    assert pool.items[1].word_ends_s == (0.5, None)
    assert pool.items[1].slots == {"contact": "anna"}
    assert pool.hours == pytest.approx(303 / 16_000 / 3600)
    assert pool.definition["kind"] == "command"


def test_a_pool_is_continued(tmp_path: Path):
    fill(tmp_path / "whole", 0, 5)
    fill(tmp_path / "parts", 0, 2)
    with PoolWriter(tmp_path / "parts", DEFINITION) as writer:
        assert writer.next_index == 2
        assert writer.count == 2
    fill(tmp_path / "parts", 2, 3)
    for name in ("audio.i16", "manifest.jsonl", "pool.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_skipped_index_is_not_asked_for_again(tmp_path: Path):
    fill(tmp_path, 0, 1)
    fill(tmp_path, 4, 1)
    with PoolWriter(tmp_path, DEFINITION) as writer:
        assert writer.next_index == 5
        assert writer.count == 2


def test_what_was_cut_off_while_writing_is_dropped(tmp_path: Path):
    fill(tmp_path / "whole", 0, 3)
    cut = tmp_path / "cut"
    fill(cut, 0, 2)
    with (cut / "audio.i16").open("ab") as audio:
        audio.write(b"\1\2\3")
    with (cut / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b'{"index": 2, "off')
    assert len(load_pool(cut)) == 2
    fill(cut, 2, 1)
    for name in ("audio.i16", "manifest.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (cut / name).read_bytes()


def test_a_pool_can_be_read_while_it_grows(tmp_path: Path):
    with PoolWriter(tmp_path, DEFINITION) as writer:
        assert len(load_pool(tmp_path)) == 0
        writer.append(item(0), np.ones(50, np.int16))
        first = load_pool(tmp_path)
        writer.append(item(1), np.zeros(70, np.int16))
        assert first.audio(0).tolist() == [1] * 50
        assert len(load_pool(tmp_path)) == 2


def test_another_definition_is_refused(tmp_path: Path):
    fill(tmp_path, 0, 1)
    with pytest.raises(PoolError, match="another recipe or of other engine versions"):
        PoolWriter(tmp_path, {"kind": "command", "seed": 2})


def test_no_pool(tmp_path: Path):
    with pytest.raises(PoolError, match="There is no pool"):
        load_pool(tmp_path)


def test_a_damaged_line_is_named(tmp_path: Path):
    fill(tmp_path, 0, 3)
    lines = (tmp_path / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "manifest.jsonl").write_bytes(lines[0] + lines[2])
    with pytest.raises(PoolError, match=r"Line 2 of .* is damaged"):
        load_pool(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_damaged_definition_is_named(tmp_path: Path, text: str):
    fill(tmp_path, 0, 1)
    (tmp_path / "pool.json").write_text(text)
    with pytest.raises(PoolError, match=r"pool\.json is damaged"):
        load_pool(tmp_path)


def test_missing_audio_is_noticed(tmp_path: Path):
    fill(tmp_path, 0, 3)
    (tmp_path / "audio.i16").write_bytes(b"\0" * 10)
    with pytest.raises(PoolError, match="shorter than its manifest"):
        load_pool(tmp_path)
    with pytest.raises(PoolError, match="shorter than its manifest"):
        PoolWriter(tmp_path, DEFINITION)
    (tmp_path / "audio.i16").unlink()
    with pytest.raises(PoolError, match="cannot be read"):
        load_pool(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_utterance_or_a_value_error(line: bytes):
    with pytest.raises(ValueError):
        parse_item(line, 0)


@given(st.sampled_from(["index", "offset", "samples", "text", "names", "word_ends_s"]), JSON)
def test_a_field_of_another_type_never_gives_another_error(field: str, value: object):
    good = json.loads(json.dumps(vars(item(3)))) | {"samples": 10}
    try:
        read = parse_item(json.dumps(good | {field: value}).encode(), 0)
    except ValueError:
        return
    assert read.offset == 0
    assert read.samples > 0
