"""What `listen` does about an overlay, with real bundles of tones and the real trial."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.bundle.manifest import load_bundle
from agent.bundle.schema import manifest_bytes
from agent.errors import BundleError
from agent.update.overlay_record import MOST_BEGUN, MOST_STARTS
from tests.agent.update.handmade import read_files
from tests.agent.update.overlay_board import OverlayBoard as Board
from tests.agent.update.toy_overlays import write_listed_toy


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("releases")
    return {number: write_listed_toy(folder / str(number), release=number) for number in (1, 2)}


@pytest.fixture
def board(tmp_path: Path, releases: dict[int, Path]) -> Iterator[Board]:
    board = Board(tmp_path, releases)
    yield board
    if board.overlaid is not None:
        board.overlaid.close()


def test_it_is_tried_once_over_each_release(board: Board) -> None:
    board.overlay(deaf="d")
    before = read_files(board.releases[1])
    assert board.start() == board.releases[1]
    assert board.word == "on trial"
    assert board.tried()
    assert board.listens_with() == board.both
    assert board.word == "in use"
    assert load_bundle(board.both).manifest.release == 1
    # The next start needs no trial.
    assert board.start() == board.both
    assert not board.on_trial
    # After an update it is tried again, and goes on from the new release's weights.
    assert board.start(2) == board.releases[2]
    assert board.word == "on trial"
    assert board.tried()
    assert board.listens_with() == board.both
    assert load_bundle(board.both).manifest.release == 2
    # Back on the old release it has passed before: it is made again.
    assert board.start(1) == board.releases[1]
    assert board.tried()
    assert load_bundle(board.listens_with()).manifest.release == 1
    assert read_files(board.releases[1]) == before


def test_one_that_hurts_is_dropped_for_good_with_a_reason(board: Board) -> None:
    board.overlay(deaf="abcd")
    assert board.start() == board.releases[1]
    assert not board.tried()
    assert board.word == (
        "dropped: TrialError: The overlay fails its trial: it makes 8 word errors where the bundle"
        " in use makes 0, and 8 more are beyond chance (5.7)."
    )
    assert board.listens_with() == board.releases[1]
    reason = board.word
    assert board.start() == board.releases[1]
    assert (board.word, board.on_trial) == (reason, False)
    assert not board.both.exists()
    # Another overlay in the same file is another overlay.
    board.overlay(deaf="")
    assert board.start() == board.releases[1]
    assert board.tried()
    assert board.listens_with() == board.both


def test_one_that_crashes_is_dropped(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the self-test's Python a program that dies, and only there."""
    board.overlay(deaf="d")
    folder = board.folder.parent / "program"
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'agent.update.selftest' in sys.orig_argv and '/new/' in sys.orig_argv[3]:\n"
        "    os.kill(os.getpid(), 11)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path.cwd())]))
    assert board.start() == board.releases[1]
    assert not board.tried()
    assert board.word.startswith("dropped: TrialError: The self-test crashed (SIGSEGV)")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (None, "DiffStorageError"),
        (b"", "MalformedDiffError"),
        (b"VDIF" + bytes(100), "MalformedDiffError"),
        (b"VOVL\x01\x00" + bytes(32), "BaseMismatchError"),
        (b"VOVL\x09", "UnsupportedDiffError"),
    ],
)
def test_what_does_not_fit_is_named_and_needs_no_trial(
    board: Board, content: bytes | None, name: str
) -> None:
    if content is not None:
        board.file.write_bytes(content)
    assert board.start() == board.releases[1]
    assert board.word.startswith(f"not used: {name}: ")
    assert not board.on_trial
    assert not board.folder.exists()


def test_one_that_is_cut_off_is_named(board: Board) -> None:
    board.overlay(deaf="d")
    board.file.write_bytes(board.file.read_bytes()[:-3])
    assert board.start() == board.releases[1]
    assert not board.tried()
    assert board.word == (
        "dropped: MalformedDiffError: The overlay is damaged; copy it again, or make it anew."
    )
    assert not board.both.exists()


def test_a_flipped_bit_in_what_was_made_is_made_good_without_another_trial(
    board: Board, capfd: pytest.CaptureFixture[str]
) -> None:
    board.overlay(deaf="d")
    board.start()
    assert board.tried()
    path = board.listens_with() / "joiner.tflite"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert board.start() == board.releases[1]
    assert board.tried()
    assert board.listens_with() == board.both
    assert path.read_bytes() == whole
    assert capfd.readouterr().err.count("The trial is passed") == 1


def test_if_listen_never_lives_with_it_it_is_dropped(board: Board) -> None:
    board.overlay(deaf="d")
    board.start()
    assert board.tried()
    for _ in range(MOST_STARTS):
        assert board.start(after_crash=True) == board.both
    assert board.start(after_crash=True) == board.releases[1]
    assert board.word == "dropped: `listen` was started 2 times with it and never lived"


def test_starts_that_live_are_no_reason(board: Board) -> None:
    board.overlay(deaf="d")
    board.start()
    assert board.tried()
    for _ in range(2 * MOST_STARTS):
        assert board.start() == board.both


def test_one_that_passed_and_cannot_be_loaded_gives_way(board: Board) -> None:
    board.overlay(deaf="d")
    board.start()
    assert board.tried()
    board.broken.add(board.both)
    assert board.listens_with() == board.releases[1]
    reason = board.word
    assert reason == "dropped: BundleFileError: The joiner is from the moon."
    assert board.start() == board.releases[1]
    assert (board.word, board.on_trial) == (reason, False)
    board.broken.add(board.releases[1])
    with pytest.raises(BundleError, match="moon"):
        board.start()


def test_trials_that_are_killed_are_begun_again_but_not_for_ever(board: Board) -> None:
    board.overlay(deaf="d")
    for _ in range(MOST_BEGUN):
        assert board.start() == board.releases[1]
        assert board.overlaid is not None
        assert board.overlaid._child is not None
        board.overlaid._child.send_signal(signal.SIGKILL)
        assert not board.tried()
        assert board.word == "not used: its trial ended with exit status -9"
    assert board.start() == board.releases[1]
    assert board.word == "dropped: its trial was begun 3 times and led to nothing"


def test_a_trial_that_listen_ends_itself_counts_for_nothing(board: Board) -> None:
    board.overlay(deaf="d")
    for _ in range(2 * MOST_BEGUN):
        assert board.start() == board.releases[1]
        assert board.on_trial


def test_what_the_disk_does_is_not_the_overlays_fault(board: Board) -> None:
    board.overlay(deaf="d")
    content = board.file.read_bytes()
    for _ in range(MOST_BEGUN + 1):
        board.file.write_bytes(content)
        board.start()
        board.file.unlink()
        assert not board.tried()
        assert board.word == "not used: its trial ended with exit status 4"
    board.file.write_bytes(content)
    board.start()
    assert board.on_trial


def test_one_that_is_exchanged_during_its_trial_gets_no_verdict(board: Board) -> None:
    board.overlay(deaf="abcd")
    bad = board.file.read_bytes()
    board.overlay(deaf="d")
    good = board.file.read_bytes()
    board.start()
    board.file.write_bytes(bad)
    # Its process takes far longer to begin; had it been quicker, it would have read the good one.
    if not board.tried():
        assert board.word == "not used: its trial ended with exit status 0"
        board.file.write_bytes(good)
        board.start()
        assert board.on_trial


def test_a_folder_that_cannot_be_written_keeps_nobody_from_hearing(board: Board) -> None:
    board.overlay(deaf="d")
    board.folder.parent.mkdir(parents=True)
    board.folder.write_text("a file where a folder belongs")
    assert board.start() == board.releases[1]
    assert board.word.startswith("not used: its trial cannot be noted or begun")
    assert not board.on_trial


def test_without_a_self_test_nothing_can_be_said_for_it(board: Board, tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    shutil.copytree(board.releases[1], silent)
    _without_selftest(silent)
    board.overlay(deaf="d")
    board.releases = {**board.releases, 3: silent}
    assert board.start(3) == silent
    assert not board.tried()
    assert "has no self-test" in board.word


def _without_selftest(bundle: Path) -> None:
    manifest = dataclasses.replace(load_bundle(bundle).manifest, selftest=())
    (bundle / "manifest.json").write_bytes(manifest_bytes(manifest))
