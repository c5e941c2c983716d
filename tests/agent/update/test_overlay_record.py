from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.update.overlay_record import MOST_BEGUN, MOST_STARTS, OverlayMemory, Tried
from agent.update.starts import MOST_STARTS as STARTS_OF_A_RELEASE

PAIR = Tried(base="b", overlay="o")


def test_a_pair_is_found_as_it_was_kept_last(tmp_path: Path) -> None:
    memory = OverlayMemory(tmp_path / "overlay" / "record")
    assert memory.find("b", "o") is None
    memory.keep(dataclasses.replace(PAIR, begun=1))
    memory.keep(dataclasses.replace(PAIR, result="r"))
    memory.keep(Tried(base="b", overlay="other", reason="worse"))
    again = OverlayMemory(tmp_path / "overlay" / "record")
    assert again.find("b", "o") == dataclasses.replace(PAIR, result="r")
    assert again.find("other", "o") is None


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    memory = OverlayMemory(tmp_path / "record")
    for number in range(20):
        memory.keep(Tried(base=str(number), overlay="o", result="r"))
    known = [number for number in range(20) if memory.find(str(number), "o")]
    assert known == list(range(4, 20))
    # What was looked at again is the latest.
    memory.keep(Tried(base="4", overlay="o", result="r", starts=1))
    memory.keep(Tried(base="20", overlay="o"))
    assert memory.find("4", "o") is not None
    assert memory.find("5", "o") is None


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=300))
def test_whatever_lies_there_nothing_is_known(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("record")
    memory = OverlayMemory(folder / "record")
    memory._record.store(content)
    assert memory.find("b", "o") is None
    memory.keep(PAIR)
    assert memory.find("b", "o") == PAIR


@pytest.mark.parametrize(
    "content",
    [b'{"schema": 2, "tried": [{"base": "b", "overlay": "o"}]}', b'{"tried": [{"base": 7}]}'],
)
def test_a_record_of_another_agent_counts_as_none(tmp_path: Path, content: bytes) -> None:
    memory = OverlayMemory(tmp_path / "record")
    memory._record.store(content)
    assert memory.find("b", "o") is None


def test_what_speaks_against_use_and_against_a_trial() -> None:
    assert (PAIR.against_use, PAIR.against_trial) == ("", "")
    often = dataclasses.replace(PAIR, begun=MOST_BEGUN)
    assert often.against_use == ""
    assert often.against_trial == "its trial was begun 3 times and led to nothing"
    crashed = dataclasses.replace(PAIR, result="r", starts=MOST_STARTS)
    assert crashed.against_use == "`listen` was started 2 times with it and never lived"
    assert crashed.against_trial == crashed.against_use
    worse = dataclasses.replace(crashed, reason="it is worse")
    assert worse.against_use == worse.against_trial == "it is worse"


def test_an_overlay_is_given_up_before_a_release_on_probation_is() -> None:
    assert MOST_STARTS < STARTS_OF_A_RELEASE
