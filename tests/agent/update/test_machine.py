"""The state machine on a real record and real slots: every way through it, and every way back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agent.errors import ExpiredError, SignatureError, TamperedError, UnreachableError
from agent.update.heard import Heard
from agent.update.journal import FACTORY, Journal, Refusal, Step
from agent.update.machine import MOST_ATTEMPTS
from tests.agent.update.board import CHUNK, Board, flip, holds


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_nothing_on_offer_changes_nothing(board):
    record = board.check()
    assert (record.step, record.active, board.running()) == ("idle", FACTORY, (FACTORY, 1))
    assert record.checked_ms > 0


@pytest.mark.parametrize("base", [None, 1], ids=["full image", "diff"])
def test_a_release_goes_to_a_slot_and_raises_the_floor(board, base):
    board.publish(2, base=base)
    record = board.check()
    holds(2, "a", board)
    assert (record.step, record.previous, record.floor) == ("idle", FACTORY, 2)
    assert board.floor().release == 2
    assert list((board.state / "update" / "download").iterdir()) == []


def test_releases_take_turns_in_the_slots(board):
    for release, slot in ((2, "a"), (3, "b"), (4, "a"), (5, "b")):
        board.publish(release, base=release - 1)
        board.check()
        holds(release, slot, board)
    assert [entry.release for entry in (board.record().a, board.record().b)] == [4, 5]


def test_the_newest_release_comes_in_the_smallest_form_that_fits(board):
    board.publish(2)
    full, diff = board.publish(3), board.publish(3, base=1)
    board.publish(3, base=2)
    board.check()
    assert board.source.received == diff.length < full.length
    holds(3, "a", board)


def test_a_diff_from_three_releases_back(board):
    board.publish(4, base=1)
    board.check()
    holds(4, "a", board)


@pytest.mark.parametrize(
    "terms",
    [{"halted": True}, {"share_permille": 0}, {"release": 1}],
    ids=["halted", "not for this share of the fleet", "not newer"],
)
def test_what_is_not_for_this_board_now_is_left_alone(board, terms):
    offer = board.publish(2)
    board.source.offers = [dataclasses.replace(offer, **terms)]
    record = board.check()
    assert (record.step, board.running()) == ("idle", (FACTORY, 1))
    assert board.source.received == 0


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"minimum_agent": "99.0.0"}, "AgentTooOldError"),
        ({"model": "other"}, "WrongModelError"),
        ({"hardware": "rpi9"}, "WrongHardwareError"),
    ],
    ids=["a newer agent", "another model", "another machine"],
)
def test_what_is_not_for_this_board_as_it_is_is_told_and_not_refused(board, terms, error):
    board.publish(2)
    board.check()
    offer = board.publish(3)
    board.source.offers = [dataclasses.replace(offer, **terms)]
    received = board.source.received
    record = board.check()
    assert record.trouble.startswith(error)
    assert (record.refused, board.source.received) == ((), received)
    holds(2, "a", board)
    board.source.offers.append(offer)
    assert board.check().trouble == ""
    holds(3, "b", board)


def test_below_the_floor_nothing_is_installed_and_nothing_is_said(board):
    for release in (2, 3):
        board.publish(release)
        board.check()
    board.machine().roll_back()
    assert (board.running(), board.floor().release) == (("a", 2), 3)
    board.source.offers = [o for o in board.source.offers if o.release == 2]
    record = board.check()
    assert (record.trouble, board.running()) == ("", ("a", 2))


def test_a_release_that_fails_its_trial_is_refused_for_good(board):
    board.publish(2)
    board.worse.add(2)
    record = board.check()
    assert board.running() == (FACTORY, 1)
    assert record.a is None
    assert record.refused == (
        Refusal(release=2, target="", reason="Release 2 understands nothing."),
    )
    failure = record.failure
    assert failure is not None
    assert (failure.release, failure.step, failure.error) == (2, "trial", "TrialError")
    assert len(failure.transaction) == 12
    board.publish(2, base=1)
    received = board.source.received
    board.check()
    assert (len(board.tried), board.source.received) == (1, received)
    board.publish(3)
    board.check()
    holds(3, "a", board)


def test_a_diff_that_does_not_make_what_was_signed_gives_way_to_the_full_image(board):
    full, diff = board.publish(2), board.publish(2, base=1)
    other = board.publish(3)
    board.source.offers = [full, dataclasses.replace(diff, result_sha256=other.result_sha256)]
    first = board.check()
    assert first.failure is not None
    assert (first.failure.error, first.failure.step) == ("WrongBaseError", "verify")
    assert [(r.release, r.target) for r in first.refused] == [(2, diff.sha256)]
    board.check()
    holds(2, "a", board)


def test_an_image_that_does_not_make_what_was_signed_is_refused(board):
    full = board.publish(2)
    board.source.offers = [dataclasses.replace(full, result_sha256="0" * 64)]
    record = board.check()
    assert record.failure is not None
    assert (record.failure.error, record.failure.step) == ("SlotError", "apply")
    assert board.running() == (FACTORY, 1)
    assert [(r.release, r.target) for r in record.refused] == [(2, full.sha256)]


def test_an_interrupted_download_goes_on_where_it_was(board):
    offer = board.publish(2)
    board.source.parts_left = 3
    record = board.check()
    assert (record.step, record.attempts) == ("receive", 0)
    assert record.trouble == "UnreachableError: The connection broke."
    transaction = record.transaction
    board.source.parts_left = None
    record = board.check()
    assert (record.transaction, record.trouble) == (transaction, "")
    assert board.source.received == offer.length > 3 * CHUNK
    holds(2, "a", board)


def test_what_the_network_breaks_is_never_refused(board):
    board.publish(2)
    for _ in range(3 * MOST_ATTEMPTS):
        board.source.parts_left = 1
        assert board.check().step == "receive"
    board.source.parts_left = None
    board.check()
    holds(2, "a", board)


def test_a_release_that_is_halted_while_it_comes_is_dropped_without_blame(board):
    offer = board.publish(2)
    board.source.parts_left = 1
    board.check()
    board.source.offers = [dataclasses.replace(offer, halted=True)]
    board.source.parts_left = None
    record = board.check()
    assert (record.step, record.refused, board.running()) == ("idle", (), (FACTORY, 1))
    board.source.offers = [offer]
    board.check()
    holds(2, "a", board)


def test_a_newer_release_takes_the_place_of_one_that_is_coming(board):
    board.publish(2)
    board.source.parts_left = 1
    board.check()
    board.publish(3)
    board.source.parts_left = None
    board.check()
    holds(3, "a", board)


def test_what_is_damaged_on_the_disk_is_received_again_but_not_for_ever(board):
    offer = board.publish(2)
    genuine = board.source.contents[offer.sha256]
    board.source.contents[offer.sha256] = genuine[:-1] + b"?"
    record = board.check()
    assert board.source.received == MOST_ATTEMPTS * offer.length
    assert record.failure is not None
    assert (record.failure.error, record.failure.step) == ("TamperedError", "verify")
    assert [(r.release, r.target) for r in record.refused] == [(2, offer.sha256)]


def test_a_damaged_file_is_received_again_and_then_installed(board):
    offer = board.publish(2)
    machine = board.machine()
    verified: list[object] = []

    def damage_once(release):
        path = board.state / "update" / "download" / f"{release.sha256}.part"
        if not verified:
            flip(path)
        verified.append(release)
        return original(release)

    original = machine._actions[Step.VERIFY]
    machine._actions[Step.VERIFY] = damage_once
    machine.run()
    assert (len(verified), board.source.received) == (2, 2 * offer.length)
    holds(2, "a", board)


@pytest.mark.parametrize(
    ("trouble", "stale"),
    [
        (ExpiredError("The timestamp has expired."), True),
        (UnreachableError("Nobody answers."), False),
        (SignatureError("1 of 2 keys."), False),
        (TamperedError("Other bytes."), False),
        (OSError(28, "No space left on device"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_metadata_that_cannot_be_believed_never_stop_speech(board, trouble, stale):
    board.publish(2)
    board.check()
    board.source.trouble = trouble
    record = board.check()
    assert (record.stale, board.running()) == (stale, ("a", 2))
    assert str(trouble) in record.trouble
    board.source.trouble = None
    record = board.check()
    assert (record.stale, record.trouble) == (False, "")


class TestProbation:
    @pytest.fixture
    def board(self, tmp_path: Path) -> Board:
        board = Board(tmp_path, probation_s=100)
        board.publish(2)
        board.check()
        return board

    def test_clean_hearing_ends_it(self, board):
        assert (board.record().step, board.floor().release) == ("probation", 1)
        heard = Heard(slot="a", release=2, clean_s=60)
        assert (board.check(heard).step, board.record().clean_s) == ("probation", 60)
        assert board.check(heard).step == "idle"
        assert board.floor().release == 2

    def test_hearing_with_another_slot_does_not_count(self, board):
        for heard in (Heard(slot=FACTORY, release=1, clean_s=500), Heard(clean_s=500)):
            assert board.check(heard).step == "probation"
        assert board.record().clean_s == 0

    def test_a_problem_rolls_back_and_refuses(self, board):
        problem = "release 2 was started 3 times and never lived"
        record = board.check(_missed("a", 2, problem))
        assert (record.step, record.active, board.running()) == ("idle", FACTORY, (FACTORY, 1))
        assert record.refuses(2, "whatever")
        assert record.failure is not None
        assert (record.failure.step, record.failure.message) == ("probation", problem)
        assert board.floor().release == 1
        assert board.check().step == "idle"

    def test_a_problem_of_another_slot_is_no_news(self, board):
        """`listen` may have fallen back long ago, and not loaded anything since."""
        for slot, release in (("b", 2), ("a", 1), ("", 0)):
            assert board.check(_missed(slot, release, "slot cannot be loaded")).step == "probation"
        assert board.record().refused == ()

    def test_nothing_newer_is_begun_before_it_ends(self, board):
        board.publish(3)
        assert board.check().step == "probation"
        board.check(Heard(slot="a", release=2, clean_s=100))
        board.check(Heard(slot="b", release=3, clean_s=100))
        holds(3, "b", board)

    def test_a_roll_back_goes_to_the_slot_before(self, board):
        board.check(Heard(slot="a", release=2, clean_s=100))
        board.publish(3)
        board.check()
        assert board.running() == ("b", 3)
        board.check(_missed("b", 3, "slot b cannot be loaded"))
        holds(2, "a", board)
        assert board.floor().release == 2


def _missed(slot: str, release: int, problem: str) -> Heard:
    """What `listen` says that could not load a slot, and so runs the factory's."""
    return Heard(slot=FACTORY, release=1, problem=problem, missed_slot=slot, missed_release=release)


def test_a_release_that_was_kept_and_cannot_be_loaded_any_more_is_left_without_blame(board):
    board.publish(2)
    board.check()
    board.source.offers.clear()
    record = board.check(_missed("a", 2, "slot a cannot be loaded"))
    assert (record.active, record.refused, board.running()) == (FACTORY, (), (FACTORY, 1))
    assert record.failure is not None
    assert record.failure.message == "slot a cannot be loaded; slot factory takes its place."


def test_a_newer_package_takes_over_from_an_older_release(board):
    board.publish(2)
    board.check()
    board.factory = board.bundle(5)
    choice = board.slots().choose(board.record())
    assert (choice.slot, choice.release) == (FACTORY, 5)
    assert choice.reason == "release 5 was installed after release 2"
    record = board.check()
    assert (record.active, record.a) == (FACTORY, None)
    assert record.refused == ()
    board.publish(6, base=5)
    board.check()
    assert board.running()[1] == 6


def test_an_operator_rolls_back(board):
    for release in (2, 3):
        board.publish(release)
        board.check()
    board.machine().roll_back()
    holds(2, "a", board)
    assert board.record().refuses(3, "any")
    board.check()
    holds(2, "a", board)
    board.machine().roll_back()
    assert board.running() == (FACTORY, 1)
    board.machine().roll_back()
    assert board.running() == (FACTORY, 1)


def test_a_record_that_makes_no_sense_is_the_factory_slot(board):
    board.publish(2)
    board.check()
    journal = Journal(board.state / "update" / "journal")
    for content in (b"", b"[]", b'{"step": "flying"}', b'{"schema": 99}', b"\xff" * 100):
        journal._record.store(content)
        assert board.running() == (FACTORY, 1), content
