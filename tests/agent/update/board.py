"""A board without a network: real slots, a real record, releases from a folder of the test.

board = Board(tmp_path)                       # runs release 1, the factory's
two = board.publish(2)                        # a full image; or publish(2, base=1) for a diff
board.check()                                 # the real state machine
assert board.running() == ("a", 2)
"""

from __future__ import annotations

import hashlib
import io
import os
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from agent.bundle.manifest import write_manifest
from agent.errors import TrialError, UnreachableError
from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.floor import Floor
from agent.update.heard import Heard
from agent.update.journal import Journal, Record
from agent.update.machine import Machine
from agent.update.release import Release, TrialLimits
from agent.update.slots import Slots
from converters.updates.diff_maker import make_diff

SIZE = 20_000  # bytes of the largest file
CHUNK = 1024


class Folder:
    """Releases in memory, received in parts as from a broker; what fails is the test's choice."""

    def __init__(self) -> None:
        self.offers: list[Release] = []
        self.contents: dict[str, bytes] = {}
        self.trouble: Exception | None = None
        self.parts_left: int | None = None
        """Parts until the connection breaks; None: it never does."""
        self.dies_after_parts: int | None = None
        """Parts until the process is killed; None: it is not."""
        self.received = 0

    def refresh(self) -> list[Release]:
        if self.trouble is not None:
            raise self.trouble
        return sorted(self.offers, key=lambda r: (-r.release, r.length))

    def open_target(self, release: Release, folder: Path) -> BinaryIO:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{release.sha256}.part"
        content = self.contents[release.sha256]
        have = path.stat().st_size if path.exists() else 0
        with path.open("ab") as stream:
            for start in range(have, len(content), CHUNK):
                if self.parts_left == 0:
                    raise UnreachableError("The connection broke.")
                if self.parts_left is not None:
                    self.parts_left -= 1
                self.received += stream.write(content[start : start + CHUNK])
                stream.flush()
                if self.dies_after_parts is not None:
                    self.dies_after_parts -= 1
                    if not self.dies_after_parts:
                        os.kill(os.getpid(), signal.SIGKILL)
            os.fsync(stream.fileno())
        return path.open("rb")


def write_bundle(folder: Path, release: int) -> Path:
    """A bundle of files that nobody runs, in a few hundredths of a second."""
    (folder / "selftest").mkdir(parents=True)
    weights = bytearray(hashlib.shake_256(b"weights").digest(SIZE))
    for index in range(release):
        weights[index * 97 % SIZE] ^= 1 + release % 100
    (folder / "encoder_slow.tflite").write_bytes(bytes(weights))
    (folder / "tokens.txt").write_text("<blank>\na\n")
    (folder / "selftest" / "clip.txt").write_text(f"release {release}")
    write_manifest(folder, name="toy", languages=["en"], release=release, model="none")
    return folder


def image_of(bundle: Path) -> bytes:
    """A full image."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
            tar.add(path, path.relative_to(bundle).as_posix())
    return buffer.getvalue()


def flip(path: Path) -> None:
    """Changes one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def holds(release: int, slot: str, board: Board) -> None:
    """A board runs a slot, and it holds a release to the last bit."""
    assert board.running() == (slot, release)
    assert {
        path.relative_to(board.bundle(release)): path.read_bytes()
        for path in board.bundle(release).rglob("*")
        if path.is_file()
    } == {
        path.relative_to(board.state / "slots" / slot): path.read_bytes()
        for path in (board.state / "slots" / slot).rglob("*")
        if path.is_file()
    }


class Board:
    """One board and the releases for it.

    Args:
        folder: For everything.
        probation_s: Of the machine.
    """

    def __init__(self, folder: Path, *, probation_s: int = 0) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(exist_ok=True)
        self.source = Folder()
        self.tried: list[Path] = []
        self.worse: set[int] = set()
        """Releases that fail their trial."""
        self.probation_s = probation_s
        self.factory = folder / "bundles" / "1"
        if not self.factory.exists():
            write_bundle(self.factory, 1)

    def elsewhere(self, folder: Path) -> Board:
        """A board with the same releases on offer, and with the state that lies in a folder."""
        board = Board.__new__(Board)
        board.__dict__ |= self.__dict__ | {"state": folder / "state", "tried": []}
        return board

    def bundle(self, release: int) -> Path:
        path = self.folder / "bundles" / str(release)
        return path if path.exists() else write_bundle(path, release)

    def publish(self, release: int, *, base: int | None = None, **terms: Any) -> Release:
        """Makes a release and offers it."""
        bundle = self.bundle(release)
        if base is None:
            content = image_of(bundle)
        else:
            out = self.folder / f"{base}-{release}.diff"
            make_diff(self.bundle(base), bundle, out)
            content = out.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        files = digest_files(bundle)
        values: dict[str, Any] = {
            "release": release,
            "name": f"toy {release}",
            "format": "full" if base is None else "diff",
            "model": "toy",
            "hardware": "any",
            "minimum_agent": "0.1.0",
            "base_sha256": "" if base is None else bundle_digest(digest_files(self.bundle(base))),
            "result_sha256": bundle_digest(files),
            "result_bytes": sum(file.length for file in files),
            "trial": TrialLimits(),
            "target": f"toy/any/{release}",
            "length": len(content),
            "sha256": digest,
        }
        offer = Release(**(values | terms))
        self.source.offers.append(offer)
        self.source.contents[offer.sha256] = content
        return offer

    def digest(self, bundle: Path) -> str:
        """Of a bundle that was published."""
        return bundle_digest(digest_files(bundle))

    def floor(self) -> Floor:
        return Floor(self.state / "update" / "floor", factory_release=1)

    def machine(self, trial: Callable[[Path, Path, TrialLimits], None] | None = None) -> Machine:
        """As a new process would make it."""
        return Machine(
            journal=Journal(self.state / "update" / "journal"),
            slots=Slots(self.state, self.factory),
            source=self.source,
            trial=trial or self._try,
            floor=self.floor(),
            device="kitchen",
            downloads=self.state / "update" / "download",
            probation_s=self.probation_s,
            clock=lambda: 1_700_000_000_000,
        )

    def check(self, heard: Heard | None = None) -> Record:
        return self.machine().run(heard)

    def record(self) -> Record:
        return Journal(self.state / "update" / "journal").load()

    def slots(self) -> Slots:
        return Slots(self.state, self.factory)

    def running(self) -> tuple[str, int]:
        """What `listen` would run now: slot and release."""
        choice = self.slots().choose(self.record())
        return choice.slot, choice.release

    def _try(self, bundle: Path, base: Path, limits: TrialLimits) -> None:
        self.tried.append(bundle)
        text = (bundle / "selftest" / "clip.txt").read_text()
        release = int(text.removeprefix("release "))
        if release in self.worse:
            raise TrialError(f"Release {release} understands nothing.")
