"""From recordings to an adapted bundle that was found better for one and no worse for others.

First every weight's importance for general speech is found, then, on recordings held out in turn,
how long to adapt. The adaptation itself learns from all recordings. The board's own self-test,
before and after, has the last word.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.bundle.manifest import Bundle, load_bundle
from agent.update import selftest
from agent.update.selftest import Measured
from agent.update.verdict import worse_by
from converters.adaptation.adapted_bundle import write_adapted
from converters.adaptation.choosing import FOLDS, Choice, choose, heard
from converters.adaptation.errors import NoGainError, RecordingsError
from converters.adaptation.grid import Place, integers_of, read_places
from converters.adaptation.importance import importance
from converters.adaptation.material import examples_of, own_rows, selftest_speech
from converters.adaptation.recordings import Recording
from converters.adaptation.tuning import Plan, Tuner
from converters.asr.model import Recogniser
from converters.export.warm_start import read_weights

_FEWEST = FOLDS
_PARTS = (1.0, 0.7, 0.4)
"""Of the way from the bundle to what was learnt, tried in turn."""
Progress = Callable[[str, int], None]
"""Told what is being done and how many parts of it there will be; each further call is one part."""


@dataclass(frozen=True)
class Base:
    """A bundle, ready to be adapted to anyone."""

    bundle: Bundle
    model: Recogniser
    places: dict[str, Place]
    held: dict[str, Tensor]
    """Importance of every weight for everybody."""
    general: Sequence[Recording]
    """What is rehearsed beside the person's speech."""
    before: Measured
    """Its own self-test, as a board runs it."""


@dataclass(frozen=True)
class Adapted:
    """An adaptation before its self-test."""

    choice: Choice
    model: Recogniser
    integers: dict[str, NDArray[np.int8]]
    changed: int
    """Integers that differ from the bundle's."""
    total: int
    part: float = 1.0
    """How much of the way was left by the self-test."""


def prepare(
    directory: Path,
    general: Sequence[Recording] = (),
    *,
    on_example: Callable[[], None] = lambda: None,
    dropout: float = 0.1,
) -> Base:
    """Reads a bundle and weighs its weights.

    Args:
        directory: the bundle.
        general: clips of general speech, to weigh by and to rehearse; without any, the bundle's
            self-test weighs and nothing is rehearsed.
        on_example: called after each of them.
        dropout: share of channels that is dropped while adapting.

    Raises:
        BundleError: it cannot be used.
    """
    bundle = load_bundle(directory)
    shape, state = read_weights(directory)
    model = Recogniser(shape, dropout)
    model.load_state_dict(state)
    model.eval()
    places = read_places(directory)
    examples = examples_of(general or selftest_speech(bundle))
    held = importance(model, places, examples, on_example)
    return Base(bundle, model, places, held, general, selftest.run(bundle, bundle))


def adapt(
    base: Base,
    recordings: Sequence[Recording],
    plan: Plan,
    *,
    seed: int = 1,
    fixed: bool = False,
    on_look: Callable[[], None] = lambda: None,
) -> Adapted:
    """Adapts to recordings, for as long as held-out ones gain by it.

    Args:
        base: what to adapt.
        recordings: of one person.
        plan: how fast and how firmly.
        seed: of rows and dropout.
        fixed: adapts for all steps of the plan and holds nothing out, in a quarter of the time; for
            measuring on other recordings.
        on_look: called at most `looks(plan)` times.

    Raises:
        RecordingsError: there are too few.
        NoGainError: held-out recordings are understood no better.
    """
    if len(recordings) < _FEWEST:
        raise RecordingsError(
            f"{len(recordings)} recordings are too few to tell whether adapting helps: record"
            f" {_FEWEST} at least, and better fifty."
        )

    def new_tuner() -> Tuner:
        torch.manual_seed(seed)
        return Tuner(base.model, base.places, base.held, plan)

    if fixed:
        before = heard(base.model, recordings)
        choice = Choice(plan.steps, before, before, {})
    else:
        choice = choose(
            base.model, recordings, new_tuner,
            lambda heard: own_rows(heard, base.general, seed=seed), on_look=on_look,
        )  # fmt: skip
    if choice.steps == 0:
        raise NoGainError(
            f"Adapting does not help: of {choice.before.words.length} words of recordings that"
            f" were held out, {choice.before.words.errors} are wrong before and no fewer after."
            " Record more sentences, or check that the texts are what is said."
        )
    tuner = new_tuner()
    rows = own_rows(recordings, base.general, seed=seed)
    for step in range(choice.steps):
        tuner.step(rows.batch(step))
        if (step + 1) % plan.every == 0:
            on_look()
    model = tuner.rounded()
    return _result(base, choice, model, 1.0)


def _result(base: Base, choice: Choice, model: Recogniser, part: float) -> Adapted:
    old, new = integers_of(base.model, base.places), integers_of(model, base.places)
    changed = sum(int((new[name] != old[name]).sum()) for name in base.places)
    return Adapted(choice, model, new, changed, sum(v.size for v in new.values()), part)


def looks(plan: Plan) -> int:
    """At most so often `adapt` looks at held-out recordings or has done as many steps."""
    return (FOLDS + 1) * -(-plan.steps // plan.every)


def tried(base: Base, adapted: Adapted) -> tuple[Adapted, Measured]:
    """The adaptation that passes the self-test, as a board runs it: less of it if the whole harms.

    Args:
        base: the bundle before.
        adapted: what was learnt.

    Returns:
        The adaptation, or a part of it, and the self-test with that.

    Raises:
        NoGainError: even a part makes the self-test worse than chance explains, as a board would
            find too; the overlay would be dropped there.
    """
    worst = None
    for part in _PARTS:
        found = adapted if part == 1.0 else part_of(base, adapted, part)
        with tempfile.TemporaryDirectory(prefix="adapted-") as folder:
            write_adapted(base.bundle, Path(folder), base.places, found.integers)
            after = selftest.run(load_bundle(Path(folder)), base.bundle)
        more, allowed = worse_by(after, base.before)
        if more <= allowed:
            return found, after
        worst = worst or after
    assert worst is not None
    raise NoGainError(
        f"Others would suffer: the self-test has {worst.errors} word errors instead of"
        f" {base.before.errors} of {worst.words}. Hold the weights more firmly (--hold), or"
        " record more sentences."
    )


def part_of(base: Base, adapted: Adapted, part: float) -> Adapted:
    """An adaptation that goes only a part of the way from the bundle.

    Args:
        base: the bundle before.
        adapted: the whole way.
        part: 0 is the bundle, 1 all of it.
    """
    model = copy.deepcopy(adapted.model)
    with torch.no_grad():
        for name, place in base.places.items():
            weight = model.get_parameter(name)
            weight.copy_(place.snap(torch.lerp(base.model.get_parameter(name), weight, part)))
    return _result(base, adapted.choice, model, adapted.part * part)


def report(adapted: Adapted, before: Measured, after: Measured) -> dict[str, Any]:
    """All figures of an adaptation, as plain values."""
    choice = adapted.choice
    return {
        "steps": choice.steps,
        "part": adapted.part,
        "changed_weights": adapted.changed,
        "weights": adapted.total,
        "held_out": {"before": asdict(choice.before), "after": asdict(choice.after)},
        "curve": {str(step): asdict(found) for step, found in choice.curve.items()},
        "selftest": {
            "words": before.words,
            "before": before.errors,
            "after": after.errors,
            "missed_before": sum(clip.missed for clip in before.clips),
            "missed_after": sum(clip.missed for clip in after.clips),
        },
    }
