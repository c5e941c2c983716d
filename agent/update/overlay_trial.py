"""An overlay on trial: run by `listen` as a process of its own, which ends with it.

    python -m agent.update.overlay_trial JOB          prints one JSON object

JOB is an `OverlayJob` as JSON. The release with the overlay is made in a folder of its own, and
then tried like a release: both recognise the release's own self-test, each in a process that cannot
hurt anybody, and the overlay must not make it worse beyond chance. Nothing vouches for the result
but this: it is not signed, it is only the owner's. What it prints is an `Answer`; without an answer
nothing is known, and the trial is begun again another time.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import BundleError, DiffStorageError, UpdateError
from agent.log import start_logging
from agent.records import plain, read_record
from agent.update.journal import shortened
from agent.update.overlay_format import apply_overlay, read_overlay
from agent.update.release import TrialLimits
from agent.update.storage import empty_folder, sync, sync_tree
from agent.update.trial import try_bundle

_LOGGER = logging.getLogger(__name__)

# An overlay changes numbers and no graph, so it can hardly be slower; only a decoder that runs away
# is, and by more than this. Self-tests are short, and their times are noisy.
_LIMITS = TrialLimits(latency_permille=3000)
BOARDS_FAULT = 4  # exit status: a file could not be read or written
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class OverlayJob:
    """What is to be tried."""

    parent: int
    """Process id of `listen`."""
    overlay: str
    """The file."""
    base: str
    """The release."""
    folder: str
    """Where `bundle` is put if all is well; belongs to overlays alone."""
    passed: str = ""
    """Bundle digest of what has passed before, over this release: then it is only made again."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it."""

    overlay: str
    """SHA-256 of the overlay's file, as it was read here."""
    result: str = ""
    """Bundle digest of `bundle`; empty if the overlay is refused."""
    reason: str = ""
    """Why it is refused."""


def try_overlay(job: OverlayJob) -> Answer:
    """Makes the bundle, tries it and puts it into its place.

    Args:
        job: What is to be done.

    Returns:
        The verdict.

    Raises:
        DiffLimitError: The file has grown beyond any overlay meanwhile.
        DiffStorageError: A file cannot be read or written; nothing is known about the overlay.
        OSError: The same.
    """
    content = read_overlay(Path(job.overlay))
    overlay = hashlib.sha256(content).hexdigest()
    base, folder = Path(job.base), Path(job.folder)
    made, place = folder / "new" / "bundle", folder / "bundle"
    empty_folder(made.parent)
    try:
        result = apply_overlay(content, base, made)
        sync_tree(made)
        if result != job.passed:
            try_bundle(made, base, _LIMITS, what="overlay")
    except DiffStorageError:
        raise
    except (UpdateError, BundleError) as error:
        shutil.rmtree(made, ignore_errors=True)
        return Answer(overlay=overlay, reason=shortened(f"{type(error).__name__}: {error}"))
    # Models that are in use keep the files that they have opened.
    shutil.rmtree(place, ignore_errors=True)
    os.rename(made, place)  # noqa: PTH104 - within one folder
    sync(folder)
    return Answer(overlay=overlay, result=result)


def main(arguments: Sequence[str]) -> int:
    """Does the job that the module's text describes."""
    job = read_record(OverlayJob, json.loads(arguments[0]))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != job.parent:
        # It has ended before the kernel was asked to tell us.
        return 1
    start_logging("overlay")
    # Whoever speaks meanwhile comes first. Where the unit forbids it, the kernel shares fairly.
    with contextlib.suppress(OSError):
        os.nice(10)
    try:
        answer = try_overlay(job)
    except (DiffStorageError, OSError) as error:
        _LOGGER.error("%s: %s", type(error).__name__, error)
        return BOARDS_FAULT
    print(json.dumps(plain(answer)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
