"""A release on trial: its own self-test, in a process that cannot hurt anybody.

The process has a limit on its memory, a deadline for the whole trial, no standard input, and a
group of its own that is killed as one. Only what it has measured is judged, see
`agent.update.verdict`.

Running time is the CPU time of the recognition. It is measured for the bundle in use as well, on
the same board at the same hour; a release that seems slow is measured once more, because somebody
else may have been busy, and the faster one of two counts. An owner's overlay gets the same trial.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from agent.bundle.manifest import load_bundle
from agent.errors import BundleError, TrialError
from agent.records import RecordError, read_record
from agent.update.release import TrialLimits
from agent.update.selftest import FAILED, Measured
from agent.update.verdict import objection, too_slow

_LOGGER = logging.getLogger(__name__)

_SPARE_MEMORY = 192 * 1024 * 1024
"""Address space above the limit: Python and its libraries reserve more than they ever touch."""
_LONGEST_ANSWER = 1024 * 1024  # bytes
_LONGEST_COMPLAINT = 300  # characters
_PR_SET_PDEATHSIG = 1


def try_bundle(bundle: Path, base: Path, limits: TrialLimits, *, what: str = "release") -> None:
    """Tries a release.

    Args:
        bundle: The slot with the release.
        base: The bundle in use.
        limits: What was signed.
        what: What is on trial, in a word, for messages.

    Raises:
        TrialError: It does not pass; the message says why.
    """
    try:
        own = load_bundle(bundle).manifest.trial
    except BundleError as error:
        raise TrialError(f"The {what} cannot be loaded: {error}") from error
    deadline = time.monotonic() + limits.seconds
    new = _measure(bundle, bundle, limits, deadline)
    if new.words == 0:
        raise TrialError("The release has no self-test; publish one that has.")
    _refuse(objection(new, None, signed=limits, own=own), what)
    try:
        before: Measured | None = _measure(base, bundle, limits, deadline)
    except TrialError as error:
        # The bundle in use may be older than what the recordings need; then only limits count.
        _LOGGER.warning("The bundle in use cannot be compared: %s", error)
        before = None
    if before is not None and too_slow(new, before, limits):
        again = _measure(bundle, bundle, limits, deadline)
        new = replace(new, cpu_s=min(new.cpu_s, again.cpu_s))
    _refuse(objection(new, before, signed=limits, own=own), what)
    _LOGGER.info(
        "The trial is passed: %d of %d words wrong (before: %s), %.2f s of computing (before: %s),"
        " %d MB.",
        new.errors,
        new.words,
        before.errors if before else "not measured",
        new.cpu_s,
        f"{before.cpu_s:.2f} s" if before else "not measured",
        new.peak_mb,
    )


def _refuse(reason: str | None, what: str) -> None:
    if reason is not None:
        raise TrialError(f"The {what} fails its trial: {reason}.")


def _measure(models: Path, clips: Path, limits: TrialLimits, deadline: float) -> Measured:
    memory = limits.memory_mb * 1024 * 1024 + _SPARE_MEMORY

    def restrain() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    process = subprocess.Popen(
        [sys.executable, "-m", "agent.update.selftest", str(models), str(clips)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        # The updater has one thread when it gets here, so no lock is held between fork and exec.
        preexec_fn=restrain,  # noqa: PLW1509
    )
    try:
        answer, complaint = process.communicate(timeout=max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired as error:
        raise TrialError(
            f"The trial takes longer than the {limits.seconds} s that it may; it was ended."
        ) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    if process.returncode != 0:
        raise TrialError(_death(process.returncode, complaint))
    try:
        return read_record(Measured, json.loads(answer[:_LONGEST_ANSWER]))
    except (ValueError, RecursionError, RecordError) as error:
        raise TrialError(f"The self-test does not say what it measured ({error}).") from error


def _death(status: int, complaint: bytes) -> str:
    lines = complaint.decode(errors="replace").strip().splitlines()
    last = lines[-1][:_LONGEST_COMPLAINT] if lines else "it said nothing"
    if status < 0:
        return f"The self-test crashed ({signal.Signals(-status).name}): {last}"
    if status == FAILED:
        return f"The self-test cannot run: {last}"
    return f"The self-test ended with exit status {status}: {last}"
