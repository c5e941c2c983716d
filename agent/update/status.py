"""What a board says about its updates: the retained message, and the lines for people.

Only the record is read here, so `link` can do it at every change without loading anything.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from agent import __version__
from agent.update.heard import Heard
from agent.update.journal import FACTORY, Record, Step

_MOST_REFUSALS = 16
"""The latest; 16 of 500 characters fit into a message."""


def status_of(record: Record, heard: Heard, *, hardware: str) -> dict[str, Any]:
    """The message on the topic `update`.

    Args:
        record: What holds.
        heard: What `listen` runs; without a slot, what the record names counts.
        hardware: This machine.

    Returns:
        A table that JSON can hold.
    """
    under_way = record.step not in (Step.IDLE, Step.PROBATION)
    return {
        "agent": __version__,
        "model": record.model,
        "hardware": hardware,
        "slot": heard.slot or record.active,
        "release": (heard.release if heard.slot else running_release(record)) or None,
        "problem": heard.problem or None,
        "stage": record.step,
        "transaction": record.transaction,
        "candidate": record.candidate_release if under_way else None,
        "active": record.active,
        "previous": record.previous,
        "clean_s": record.clean_s,
        "floor": record.floor,
        "checked_ms": record.checked_ms,
        "stale": record.stale,
        "trouble": record.trouble or None,
        "error": last_error(record),
        "refused": [
            {"release": each.release, "reason": each.reason}
            for each in record.refused[-_MOST_REFUSALS:]
        ],
    }


def running_release(record: Record) -> int:
    """The release in the active slot."""
    entry = record.entry(record.active)
    return record.factory_release if entry is None else entry.release


def last_error(record: Record) -> str | None:
    """How the last update failed, in one line; None if it did not."""
    failure = record.failure
    if failure is None:
        return None
    return f"{failure.step}: {failure.error}: {failure.message}"


def lines_of(record: Record) -> list[tuple[str, str]]:
    """The same for people.

    Args:
        record: What holds.

    Returns:
        (what, how it is), in the order in which to show them.
    """
    entry = record.entry(record.active)
    name = f"{entry.name}, release" if entry else "the bundle that ships, release"
    lines = [("slot", f"{record.active}: {name} {running_release(record)}")]
    fallback = record.entry(record.previous)
    release = record.factory_release if fallback is None else fallback.release
    if record.active != FACTORY:
        lines.append(("before", f"{record.previous}: release {release}"))
    lines.append(("step", _step(record)))
    lines.append(("floor", f"release {record.floor}"))
    lines.append(("checked", _when(record.checked_ms) + (", stale" if record.stale else "")))
    if record.trouble:
        lines.append(("trouble", record.trouble))
    if (error := last_error(record)) is not None and record.failure is not None:
        lines.append(("failed", f"release {record.failure.release} in {error}"))
        lines.append(("", f"at {_when(record.failure.wall_ms)}, [{record.failure.transaction}]"))
    lines += [("refused", f"release {each.release}: {each.reason}") for each in record.refused]
    return lines


def _step(record: Record) -> str:
    if record.step == Step.IDLE:
        return "idle"
    if record.step == Step.PROBATION:
        return f"probation, {record.clean_s} s of clean hearing so far [{record.transaction}]"
    return f"{record.step}, release {record.candidate_release} [{record.transaction}]"


def _when(wall_ms: int) -> str:
    if not wall_ms:
        return "never"
    moment = dt.datetime.fromtimestamp(wall_ms / 1000, dt.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
