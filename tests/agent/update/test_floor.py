from __future__ import annotations

from pathlib import Path

import pytest

from agent.update.floor import LATEST_S, Floor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "floor"


def test_without_a_record_what_the_package_brought_holds(path: Path) -> None:
    floor = Floor(path, factory_release=3, built_s=1000)
    assert (floor.release, floor.root) == (3, 0)
    assert floor.time_s(5, keys="a", root_issued_s=0) == 1000
    assert floor.time_s(2000, keys="a", root_issued_s=0) == 2000
    assert floor.time_s(5, keys="a", root_issued_s=3000) == 3000


def test_the_release_only_goes_up(path: Path) -> None:
    floor = Floor(path, factory_release=3)
    for raised, expected in ((5, 5), (4, 5), (2, 5), (6, 6)):
        floor.raise_release(raised)
        assert (floor.release, Floor(path).release) == (expected, expected)


def test_time_and_root_only_go_up(path: Path) -> None:
    floor = Floor(path)
    floor.note_refresh(root=2, issued_s=500, keys="a")
    floor.note_refresh(root=1, issued_s=400, keys="a")
    again = Floor(path)
    assert (again.root, again.issued_s("a"), again.time_s(1, keys="a", root_issued_s=0)) == (
        2,
        500,
        500,
    )


def test_new_keys_forget_the_time_that_the_old_ones_told(path: Path) -> None:
    floor = Floor(path)
    floor.note_refresh(root=1, issued_s=LATEST_S, keys="stolen")
    assert floor.time_s(7, keys="stolen", root_issued_s=0) == LATEST_S
    assert floor.time_s(7, keys="new", root_issued_s=100) == 100
    floor.note_refresh(root=2, issued_s=200, keys="new")
    assert Floor(path).time_s(7, keys="new", root_issued_s=100) == 200


def test_the_clock_itself_is_never_written_down(path: Path) -> None:
    floor = Floor(path)
    floor.time_s(LATEST_S, keys="a", root_issued_s=0)
    floor.note_refresh(root=1, issued_s=10, keys="a")
    assert Floor(path).time_s(20, keys="a", root_issued_s=0) == 20


def test_two_who_write_do_not_lower_each_other(path: Path) -> None:
    one, two = Floor(path), Floor(path)
    one.raise_release(9)
    two.note_refresh(root=4, issued_s=50, keys="a")
    two.raise_release(3)
    assert (Floor(path).release, Floor(path).root) == (9, 4)


def test_a_record_that_is_whole_and_still_nonsense_is_none(path: Path) -> None:
    floor = Floor(path, factory_release=2)
    for content in (b"[]", b"{", b'{"release": -1}', b'{"issued": 1e9}', b"\xff", b"[" * 9999):
        floor._record.store(content)
        assert Floor(path, factory_release=2).release == 2
