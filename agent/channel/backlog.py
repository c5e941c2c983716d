"""What waits to be sent, and what gives way when a peer is slow.

Two decisions, without a socket or a clock:

* `Backlog`, one for each peer: first in, first out, bounded. When it is full, the oldest event of
  the least important kind goes: partials first, then speculative results, then health, states,
  replies, wakes. Finals never give way to other kinds.
* `Ledger`, one for the process: the finals that `link` has not acknowledged. They are sent again to
  whoever connects. Only when more than its size are waiting does the oldest fall out, and that is
  counted.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable

from agent.events import Event, Final, Health, Partial, Reply, Speculative, State, Wake

FINALS_KEPT = 256
EVENTS_KEPT = 256

# Least important first. `listen` sends no other kinds.
_SHED_ORDER: tuple[type[Event], ...] = (Partial, Speculative, Health, State, Reply, Wake)


class Backlog:
    """Events that wait for one peer.

    Args:
        events: How many that are not finals may wait.
        finals: How many finals may wait.

    Attributes:
        dropped: How many of each kind gave way.
    """

    def __init__(self, *, events: int = EVENTS_KEPT, finals: int = FINALS_KEPT) -> None:
        self._queue: deque[Event] = deque()
        self._events = events
        self._finals = finals
        self._finals_waiting = 0
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._queue)

    def push(self, event: Event) -> None:
        """Adds an event at the end; another one may give way for it.

        Args:
            event: What to send.
        """
        self._queue.append(event)
        self._finals_waiting += isinstance(event, Final)
        if self._finals_waiting > self._finals:
            self._shed((Final,))
        elif len(self._queue) - self._finals_waiting > self._events:
            self._shed(_SHED_ORDER)

    def pop(self) -> Event | None:
        """Takes the event that is to be sent next, or None if nothing waits."""
        if not self._queue:
            return None
        event = self._queue.popleft()
        self._finals_waiting -= isinstance(event, Final)
        return event

    def _shed(self, order: tuple[type[Event], ...]) -> None:
        for kind in order:
            for index, event in enumerate(self._queue):
                if isinstance(event, kind):
                    del self._queue[index]
                    self._finals_waiting -= kind is Final
                    self.dropped[kind.KIND] += 1
                    return


class Ledger:
    """Finals that are not known to be stored.

    Args:
        finals: How many are kept.

    Attributes:
        lost: How many fell out because too many were waiting.
    """

    def __init__(self, *, finals: int = FINALS_KEPT) -> None:
        self._waiting: OrderedDict[str, Final] = OrderedDict()
        self._size = finals
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, final: Final) -> None:
        """Remembers a final until it is acknowledged.

        Args:
            final: A result that is about to be sent.
        """
        self._waiting[final.id] = final
        if len(self._waiting) > self._size:
            self._waiting.popitem(last=False)
            self.lost += 1

    def acknowledge(self, ids: Iterable[str]) -> int:
        """Forgets finals.

        Args:
            ids: Finals that are stored elsewhere now; ids that are not known do no harm.

        Returns:
            How many were forgotten.
        """
        return sum(self._waiting.pop(key, None) is not None for key in ids)

    def waiting(self) -> tuple[Final, ...]:
        """What is to be sent again, oldest first."""
        return tuple(self._waiting.values())
