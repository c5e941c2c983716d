from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from agent.channel.backlog import Backlog, Ledger
from agent.events import Event
from tests.agent.channel.samples import final, partial, sample, speculative, state, wake

# Least important first, as the design has it.
ORDER = ["partial", "speculative", "health", "state", "reply", "wake"]


def push_all(backlog: Backlog, events: list[Event]) -> None:
    for event in events:
        backlog.push(event)


def drain(backlog: Backlog) -> list[Event]:
    events = []
    while (event := backlog.pop()) is not None:
        events.append(event)
    return events


def test_what_fits_comes_out_in_order() -> None:
    backlog = Backlog(events=3, finals=2)
    events: list[Event] = [wake(1), partial(1), final(1), state(1), final(2)]
    push_all(backlog, events)
    assert len(backlog) == 5
    assert drain(backlog) == events
    assert not backlog
    assert backlog.dropped == Counter()


def test_partials_go_first_oldest_first_then_speculative() -> None:
    backlog = Backlog(events=3, finals=1)
    push_all(backlog, [wake(1), partial(1), partial(2), speculative(1), speculative(2), state(1)])
    # speculative(1) pushes out partial(1), speculative(2) partial(2), and state(1) speculative(1).
    assert drain(backlog) == [wake(1), speculative(2), state(1)]
    assert backlog.dropped == Counter(partial=2, speculative=1)


def test_a_newcomer_may_itself_be_the_least_important() -> None:
    backlog = Backlog(events=1, finals=1)
    backlog.push(wake(1))
    backlog.push(partial(1))
    assert drain(backlog) == [wake(1)]


def test_finals_only_give_way_to_finals() -> None:
    backlog = Backlog(events=1, finals=2)
    push_all(backlog, [final(1), final(2), wake(1), wake(2), final(3)])
    assert drain(backlog) == [final(2), wake(2), final(3)]
    assert backlog.dropped == Counter(wake=1, final=1)


@given(
    st.lists(st.sampled_from([*ORDER, "final", "pop"]), max_size=60),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_it_keeps_what_a_simple_model_keeps(actions: list[str], events: int, finals: int) -> None:
    backlog = Backlog(events=events, finals=finals)
    model: list[tuple[str, Event]] = []
    pushed: Counter[str] = Counter()
    popped: Counter[str] = Counter()
    for number, action in enumerate(actions):
        if action == "pop":
            expected = model.pop(0) if model else ("", None)
            assert backlog.pop() == expected[1]
            popped[expected[0]] += expected[1] is not None
            continue
        event = sample(action, number)
        backlog.push(event)
        pushed[action] += 1
        model.append((action, event))
        others = [entry for entry in model if entry[0] != "final"]
        if len(model) - len(others) > finals:
            model.remove(next(entry for entry in model if entry[0] == "final"))
        elif len(others) > events:
            model.remove(min(others, key=lambda entry: ORDER.index(entry[0])))
        assert len(backlog) == len(model) <= events + finals
    left = Counter(kind for kind, _ in model)
    assert drain(backlog) == [event for _, event in model]
    # Nothing vanishes uncounted.
    assert backlog.dropped + popped + left == pushed


def test_ledger_repeats_until_acknowledged() -> None:
    ledger = Ledger(finals=3)
    for number in (1, 2, 3):
        ledger.add(final(number))
    assert ledger.waiting() == (final(1), final(2), final(3))
    assert ledger.acknowledge(["f2", "unknown", "f2"]) == 1
    assert ledger.waiting() == (final(1), final(3))
    ledger.add(final(4))
    ledger.add(final(5))
    assert ledger.waiting() == (final(3), final(4), final(5))
    assert ledger.lost == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60))
def test_ledger_loses_nothing_uncounted(actions: list[tuple[bool, int]]) -> None:
    ledger = Ledger(finals=4)
    acknowledged = added = 0
    for add, number in actions:
        if add:
            added += f"f{number}" not in [waiting.id for waiting in ledger.waiting()]
            ledger.add(final(number))
        else:
            acknowledged += ledger.acknowledge([f"f{number}"])
    assert len(ledger) <= 4
    assert added == acknowledged + ledger.lost + len(ledger)
