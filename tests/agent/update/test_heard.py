from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UpdateError
from agent.events import Health
from agent.update.heard import LARGEST_HEARD, Heard, Hearing, read_heard
from tests.agent.channel.samples import health


def _report(
    seconds: float, slot: str = "a", release: int = 2, problem: str | None = None
) -> Health:
    return dataclasses.replace(
        health(round(seconds / 0.04)),
        slot=slot,
        release=release,
        slot_problem=problem,
        missed_slot="b",
        missed_release=3,
    )


def test_seconds_of_hearing_are_added_up_until_they_are_told() -> None:
    hearing = Hearing()
    for seconds in (100, 110, 125):
        hearing.note(_report(seconds), "boot")
    first = hearing.so_far()
    assert (first.slot, first.release, first.clean_s) == ("a", 2, 25)
    hearing.note(_report(130), "boot")
    hearing.told(first)
    assert hearing.so_far().clean_s == 5
    hearing.told(hearing.so_far())
    assert hearing.so_far().clean_s == 0


def test_only_sound_counts_and_only_within_one_life() -> None:
    hearing = Hearing()
    hearing.note(_report(100), "first")
    hearing.note(_report(100), "first")  # a dead microphone
    hearing.note(_report(3), "second")
    assert hearing.so_far().clean_s == 0
    hearing.note(_report(8), "second")
    assert hearing.so_far().clean_s == 5


def test_another_release_begins_at_nothing() -> None:
    hearing = Hearing()
    hearing.note(_report(0), "boot")
    hearing.note(_report(60), "boot")
    told = hearing.so_far()
    hearing.note(_report(70, slot="b", release=3), "boot")
    assert hearing.so_far().clean_s == 0
    hearing.note(_report(75, slot="b", release=3), "boot")
    hearing.told(told)
    assert hearing.so_far().clean_s == 5


def test_a_problem_is_passed_on_with_what_it_is_about() -> None:
    hearing = Hearing()
    hearing.note(_report(1, problem="slot b cannot be loaded: " + "x" * 9000), "boot")
    heard = hearing.so_far()
    assert (heard.missed_slot, heard.missed_release) == ("b", 3)
    assert heard.problem.startswith("slot b cannot be loaded")
    assert len(heard.as_json()) < LARGEST_HEARD


@given(
    slot=st.text(max_size=10),
    release=st.integers(0, 2**31),
    clean_s=st.integers(0, 2**40),
    problem=st.text(max_size=500),
)
def test_what_is_written_is_read(slot: str, release: int, clean_s: int, problem: str) -> None:
    heard = Heard(slot=slot, release=release, clean_s=clean_s, problem=problem)
    assert read_heard(heard.as_json()) == heard


@given(st.binary(max_size=200))
def test_anything_else_is_a_named_error(body: bytes) -> None:
    try:
        read_heard(body)
    except UpdateError as error:
        assert "not understood" in str(error)  # noqa: PT017 - most bytes are no record


def test_nonsense_is_a_named_error() -> None:
    for body in (b"", b"[]", b'{"clean_s": -1}', b'{"slot": 7}', b"[" * 100_000):
        with pytest.raises(UpdateError, match="not understood"):
            read_heard(body)
