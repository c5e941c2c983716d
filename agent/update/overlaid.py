"""The owner's overlay over whatever release is in use: what `listen` does about it.

    overlaid = Overlaid(file, state / "overlay", build)
    models = overlaid.build(bundle)      # with the overlay if it has passed over this release,
    ...                                  # else without it, and its trial begins
    if overlaid.turn():                  # the trial has ended well
        models = overlaid.rebuild()
    overlaid.word                        # how it is, in a few words, for `health`

Who tries it? Not the updater, although that tries releases: an overlay is made from the owner's
voice, so the process on the network need not be able to read it; it must also work on a board that
gets no updates; and only `listen` knows which release it really runs. So `listen` tries it, in a
child at low priority, and hears with the plain release meanwhile: nobody waits for a trial. The
child costs the memory of recognising once more, because an overlay can change no graph.

Nothing that goes wrong with an overlay keeps the board from hearing. The signed release is never
written; what is made of both lies in a folder of its own and is hashed before it is used. If
`listen` dies young with it, twice in a row, it is dropped as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from agent.bundle.manifest import Bundle, load_bundle
from agent.errors import BundleError, DiffError
from agent.records import RecordError, plain, read_record
from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.journal import shortened
from agent.update.overlay_format import check_fit, read_overlay
from agent.update.overlay_record import OverlayMemory, Tried
from agent.update.overlay_trial import BOARDS_FAULT, Answer, OverlayJob

_LOGGER = logging.getLogger(__name__)

_LONGEST_TRIAL_S = 900.0
_LONGEST_ANSWER = 64 * 1024  # bytes; what a pipe holds, so that the child never waits for us

Models = TypeVar("Models")


class Overlaid(Generic[Models]):
    """An overlay, and the release that it is over.

    Belongs to one thread of `listen`.

    Args:
        file: The overlay.
        folder: For the record and for the bundle that is made; in a directory that we may write.
        build: Makes of a bundle what hears; raises BundleError.

    Attributes:
        word: How it is, in a few words.
    """

    def __init__(self, file: Path, folder: Path, build: Callable[[Bundle], Models]) -> None:
        self._file = file
        self._folder = folder
        self._build = build
        self._memory = OverlayMemory(folder / "record")
        self._bundle: Bundle | None = None
        self._pair: Tried | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0
        self._passed = False
        self.word = ""

    def build(self, bundle: Bundle) -> Models:
        """What hears, of a release: with the overlay, or without it as long as it has not passed.

        Args:
            bundle: The release.

        Raises:
            BundleError: Not even the release without the overlay can be used.
        """
        self.close()
        # Whatever was in use has lived until it is exchanged.
        self.lived()
        self._bundle, self._pair, self._passed = bundle, None, False
        models = None
        try:
            models = self._with_overlay(bundle)
        except (DiffError, BundleError) as error:
            self._say(f"not used: {type(error).__name__}: {error}", logging.ERROR)
        except OSError as error:
            self._say(f"not used: its trial cannot be noted or begun ({error.strerror})")
        return self._build(bundle) if models is None else models

    def rebuild(self) -> Models:
        """The same for the release of last time, because more is known by now.

        Raises:
            BundleError: See `build`.
        """
        assert self._bundle is not None
        return self.build(self._bundle)

    def turn(self) -> bool:
        """Looks after the trial; never waits.

        Returns:
            True if the overlay has passed, until `rebuild` or `build`.
        """
        child, pair = self._child, self._pair
        if child is None or pair is None:
            return self._passed
        if child.poll() is None:
            if time.monotonic() > self._deadline:
                _LOGGER.error("The trial of the overlay has run too long and is ended.")
                child.kill()
            return False
        self._child = None
        assert child.stdout is not None
        with child.stdout as stream:
            answer = _read_answer(stream.read(_LONGEST_ANSWER))
        try:
            if child.returncode == BOARDS_FAULT:
                self._keep(pair, begun=pair.begun - 1)
            if child.returncode != 0 or answer is None or answer.overlay != pair.overlay:
                # Also when the file was replaced meanwhile: the next start begins again.
                self._say(f"not used: its trial ended with exit status {child.returncode}")
                return False
            self._keep(pair, result=answer.result, reason=answer.reason)
        except OSError as error:
            self._say(f"not used: how its trial ended cannot be noted ({error.strerror})")
            return False
        if answer.reason:
            self._say(f"dropped: {answer.reason}", logging.ERROR)
        self._passed = not answer.reason
        return self._passed

    def lived(self) -> None:
        """What was built has heard for a while, or ends in order."""
        if self._pair is None or not self._pair.starts:
            return
        try:
            self._keep(self._pair, starts=0, begun=0)
        except OSError as error:
            _LOGGER.warning("That this start lived cannot be noted (%s).", error.strerror)

    def close(self) -> None:
        """Ends a trial that runs; it is begun again another time."""
        child, self._child = self._child, None
        if child is None or self._pair is None:
            return
        assert child.stdout is not None
        child.kill()
        child.wait()
        child.stdout.close()
        try:
            # It was we who cut it off.
            self._keep(self._pair, begun=self._pair.begun - 1)
        except OSError as error:
            _LOGGER.warning("That the trial is to be begun again cannot be noted (%s).", error)

    def _with_overlay(self, bundle: Bundle) -> Models | None:
        """The release with the overlay; None if that must not be, or not yet."""
        content = read_overlay(self._file)
        check_fit(content, bundle.manifest)
        base = bundle_digest(digest_files(bundle.directory))
        overlay = hashlib.sha256(content).hexdigest()
        pair = self._memory.find(base, overlay) or Tried(base=base, overlay=overlay)
        self._pair = pair
        usable = bool(pair.result) and self._holds(pair.result)
        objection = pair.against_use if usable else pair.against_trial
        if objection:
            self._say(f"dropped: {objection}", logging.ERROR)
            return None
        if not usable:
            self._keep(pair, begun=pair.begun + 1)
            self._start(bundle, passed=pair.result)
            self._say("on trial")
            return None
        # Counted before anything of it is loaded: it may crash where no error can be caught.
        pair = self._keep(pair, starts=pair.starts + 1)
        try:
            models = self._build(load_bundle(self._folder / "bundle"))
        except BundleError as error:
            reason = shortened(f"{type(error).__name__}: {error}")
            self._keep(pair, reason=reason)
            self._say(f"dropped: {reason}", logging.ERROR)
            return None
        self._say("in use")
        return models

    def _holds(self, digest: str) -> bool:
        """True if the bundle that was made is here, to the last bit."""
        try:
            return bundle_digest(digest_files(self._folder / "bundle")) == digest
        except BundleError:
            return False

    def _start(self, bundle: Bundle, *, passed: str) -> None:
        job = OverlayJob(
            parent=os.getpid(),
            overlay=str(self._file),
            base=str(bundle.directory),
            folder=str(self._folder),
            passed=passed,
        )
        self._deadline = time.monotonic() + _LONGEST_TRIAL_S
        self._child = subprocess.Popen(
            [sys.executable, "-m", "agent.update.overlay_trial", json.dumps(plain(job))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )

    def _keep(self, pair: Tried, **changes: str | int) -> Tried:
        self._pair = dataclasses.replace(pair, **changes)  # type: ignore[arg-type]
        self._memory.keep(self._pair)
        return self._pair

    def _say(self, word: str, level: int = logging.INFO) -> None:
        self.word = shortened(word)
        _LOGGER.log(level, "The overlay %s is %s", self._file, word)


def _read_answer(body: bytes) -> Answer | None:
    try:
        return read_record(Answer, json.loads(body))
    except (ValueError, RecursionError, RecordError):
        return None
