"""From what a session tells to what travels on the socket: ids, wall clock, latency.

The session counts frames and knows no clock; here its events get the session's id, an id of their
own where they are to be stored or acted upon, and the wall clock beside the seconds of audio.
"""

from __future__ import annotations

import time

from agent.clock import clock_ok, wall_ms
from agent.events import Event, Final, Ids, Partial, Speculative, State, Wake
from agent.hearing.session_events import (
    Finished,
    Moved,
    PartialText,
    SessionEvent,
    SpeculativeText,
    Woken,
)
from agent.result import Timing


class Announcer:
    """Makes socket messages for one process.

    Args:
        ids: Where ids come from.

    Attributes:
        sessions: Sessions so far.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._session: str | None = None
        self._cpu = 0.0
        self.sessions = 0

    def message(self, event: SessionEvent, age_s: float) -> Event:
        """The message for an event.

        Args:
            event: From the session.
            age_s: Seconds since the sound that led to it was complete.

        Returns:
            What to send.
        """
        if isinstance(event, PartialText):
            return Partial(
                session=self._session or "",
                text=event.text,
                stable_chars=event.stable_chars,
                time_s=event.time_s,
            )
        wall, trusted = wall_ms(), clock_ok()
        if isinstance(event, Woken):
            self._session = self._ids.next()
            self._cpu = time.process_time()
            self.sessions += 1
            return Wake(
                id=self._ids.next(),
                session=self._session,
                word=event.word,
                score=event.score,
                time_s=event.time_s,
                level_dbfs=event.level_dbfs,
                wall_ms=wall,
                clock_ok=trusted,
            )
        if isinstance(event, Moved):
            return State(
                session=self._session,
                state=event.state.value,
                previous=event.previous.value,
                reason=event.reason,
                time_s=event.time_s,
                wall_ms=wall,
                clock_ok=trusted,
            )
        if isinstance(event, SpeculativeText):
            return Speculative(
                id=self._ids.next(),
                session=self._session or "",
                text=event.text,
                time_s=event.time_s,
                wall_ms=wall,
                clock_ok=trusted,
            )
        return self._final(event, age_s, wall, trusted=trusted)

    def _final(self, event: Finished, age_s: float, wall: int, *, trusted: bool) -> Final:
        timing = Timing(audio_s=event.audio_s, compute_s=round(time.process_time() - self._cpu, 6))
        waited = event.time_s - event.speech_end_s + age_s
        return Final(
            id=self._ids.next(),
            session=self._session or "",
            text=event.text,
            confidence=event.confidence,
            wake=event.wake,
            utterances=event.utterances,
            nbest=event.nbest,
            endpoint=event.endpoint,
            routing=event.routing,
            timing=timing,
            latency_ms=round(1000.0 * max(0.0, waited), 1) if event.text else None,
            time_s=event.time_s,
            wall_ms=wall,
            clock_ok=trusted,
        )
