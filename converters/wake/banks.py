"""The feature banks of a run: three that serve any phrase, and one of its own.

    CACHE/bank-*  recordings, music, speech   planned as if there were no phrase
    OUT/cache/bank-*  words                   the phrase, what sounds like it, an owner's recordings

What is planned without a phrase has the same name for every phrase, so that the second wake word
finds hours of features ready. Clips that hold the phrase in hand are passed over when they are
read; the real ones among them, if they are used, are positives of its own bank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.wake.augmentation import Augmenter
from converters.wake.feature_bank import Entry, bank_folder, build_bank, read_bank
from converters.wake.music import music_utterances
from converters.wake.pools import pool_utterances
from converters.wake.recipe import plan_bank
from converters.wake.recordings import Role, read_manifests
from converters.wake.utterances import Utterance, real_utterances

NO_PHRASE = ""


@dataclass(frozen=True)
class Sources:
    """Where sound for any phrase comes from."""

    real: Path | None
    speech: Sequence[Path]
    """Pools of synthetic speech."""
    hours: float
    """Of each of those pools."""
    music: int
    """Pieces."""
    seed: int

    def utterances(self) -> dict[str, list[Utterance]]:
        """What there is to train on, by kind, whatever the phrase."""
        recordings = read_manifests(self.real, NO_PHRASE) if self.real else ()
        usable = (r for r in recordings if r.trainable and r.split == "train")
        return {
            "recordings": list(real_utterances(usable)),
            "music": music_utterances(self.music, self.seed),
            "speech": [
                u for pool in self.speech for u in pool_utterances(pool, NO_PHRASE, self.hours)
            ],
        }


def build_banks(
    training: Sequence[Utterance],
    sources: Sources,
    augmenter: Augmenter,
    shared: Path,
    own: Path,
    counter: Callable[[str], Callable[[int, int], None]],
    jobs: int = 1,
) -> list[Entry]:
    """Builds what is missing and reads all of it.

    Args:
        training: everything to train on for the phrase in hand, with its roles.
        sources: where those of it come from that serve any phrase.
        augmenter: draws the copies.
        shared: folder of the banks that serve any phrase.
        own: folder of the phrase's bank.
        counter: called with a bank's name; what it gives is called with utterances done and in
            all.
        jobs: processes that build them.
    """

    def built(name: str, parent: Path, utterances: Sequence[Utterance]) -> list[tuple[str, Entry]]:
        plan = plan_bank(utterances, words=name == "words")
        folder = bank_folder(parent, plan, sources.seed)
        build_bank(folder, plan, augmenter, sources.seed, counter(f"features: {name}"), jobs)
        return [(plan[entry.source].utterance.key, entry) for entry in read_bank(folder)]

    negatives = {u.key for u in training if u.role is not Role.POSITIVE}
    entries: list[Entry] = []
    known: set[str] = set()
    for name, utterances in sources.utterances().items():
        known.update(u.key for u in utterances)
        entries += [e for key, e in built(name, shared, utterances) if key in negatives]
    words = [u for u in training if u.role is Role.POSITIVE or u.key not in known]
    return entries + [entry for _, entry in built("words", own, words)]
