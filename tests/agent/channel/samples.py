"""Events for tests, told apart by a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.events import (
    Event,
    Final,
    Health,
    Hello,
    Partial,
    Reply,
    Speculative,
    State,
    Wake,
)

WALL: dict[str, Any] = {"time_s": 1.0, "wall_ms": 1, "clock_ok": False}


def hello(role: str) -> Hello:
    return Hello(protocol=1, agent="test", boot_id=f"boot of {role}", role=role)


def final(number: int, text: str = "turn on the light") -> Final:
    return Final(id=f"f{number}", session=f"s{number}", text=text, **WALL)


def partial(number: int) -> Partial:
    return Partial(session=f"s{number}", text="turn", stable_chars=0, time_s=1.0)


def speculative(number: int) -> Speculative:
    return Speculative(id=f"p{number}", session=f"s{number}", text="turn", **WALL)


def wake(number: int) -> Wake:
    return Wake(
        id=f"w{number}", session=f"s{number}", word="computer", score=0.9, level_dbfs=-20.0, **WALL
    )


def state(number: int) -> State:
    return State(session=f"s{number}", state="idle", previous="ending", reason="done", **WALL)


def reply(number: int) -> Reply:
    return Reply(id=f"r{number}", ok=True)


def health(number: int) -> Health:
    return Health(
        uptime_s=1.0,
        frames_total=number,
        xruns_total=0,
        rms_dbfs=-40.0,
        digital_silence=False,
        last_frame_age_s=0.0,
        sessions_total=0,
        dropped_total=0,
        unacknowledged=0,
        rss_bytes=1,
        cpu_s=0.0,
        **WALL,
    )


MAKERS: dict[str, Callable[[int], Event]] = {
    "partial": partial,
    "speculative": speculative,
    "health": health,
    "state": state,
    "reply": reply,
    "wake": wake,
    "final": final,
}


def sample(kind: str, number: int) -> Event:
    return MAKERS[kind](number)
