"""One evaluation of a recogniser, step by step: what is heard, printed, kept and written.

`as_shipped` comes first; the other steps may follow in any order and use what it has heard. Noise,
other speech and other engines take the first `part` sentences of each set, and so do the figures
of ours that stand beside theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from converters.evaluation import pictures, pocketsphinx
from converters.evaluation.conditions import CLEAN, Condition, speech_condition, under
from converters.evaluation.confusions import Confusions, confusions
from converters.evaluation.recogniser import bundle_recogniser, float_recogniser
from converters.evaluation.scores import (
    SetResult,
    evaluate_set,
    paired_change,
    real_to_synthetic,
    score_set,
)
from converters.evaluation.sets import EvaluationSet
from converters.evaluation.tables import (
    Table,
    conditions_table,
    confusions_table,
    engines_table,
    sets_table,
    speakers_table,
)

_FREQUENT = 15
_WIDTH = 150

Rows = dict[str, dict[str, SetResult]]
"""Set -> condition -> result."""


class Evaluation:
    """What has been measured of one bundle so far.

    Args:
        bundle: its folder.
        sets: what it hears.
        part: how many sentences of each set the slower comparisons take.
    """

    def __init__(self, bundle: Path, sets: Sequence[EvaluationSet], *, part: int) -> None:
        self._bundle, self._sets, self._part = bundle, sets, part
        self._console = Console()
        self._console.width = max(self._console.width, _WIDTH)
        self._results: list[SetResult] = []
        self._noise: Rows = {}
        self._confusions: dict[str, Confusions] = {}
        self._tables: list[Table | str] = []
        self._content: dict[str, Any] = {
            "bundle": str(bundle), "notes": [s.note for s in sets if s.note],
        }  # fmt: skip

    # -- steps ---------------------------------------------------------------------------------

    def as_shipped(self) -> None:
        """Hears every set as a board does."""
        for note in self._content["notes"]:
            self._console.print(note)
        amount = sum(len(chosen.items) for chosen in self._sets)
        with self._progress("recognising", amount) as advance:
            recognise = bundle_recogniser(self._bundle, advance)
            self._results = [evaluate_set(chosen, recognise) for chosen in self._sets]
        self._keep_sets("results", "int8, as the board runs it", self._results)
        speakers = speakers_table(self._results)
        if speakers.rows:
            self._keep(speakers)
        for name, real in (("synthetic commands", False), ("real commands", True)):
            pairs = [
                (item.text, text)
                for chosen, result in zip(self._sets, self._results, strict=True)
                if chosen.everyday and chosen.real == real
                for item, text in zip(chosen.items, result.texts, strict=True)
            ]
            if pairs:
                self._confusions[name] = confusions(pairs)
        if self._confusions:
            self._keep(confusions_table(self._confusions, _FREQUENT))
            self._content["confusions"] = {
                name: found.as_json(10 * _FREQUENT) for name, found in self._confusions.items()
            }

    def against_float(self, checkpoint: Path) -> None:
        """Decodes greedily, in int8 and in float, and compares pair by pair."""
        amount = sum(len(chosen.items) for chosen in self._sets)
        with self._progress("greedily", amount) as advance:
            recognise = bundle_recogniser(self._bundle, advance, greedy=True)
            greedy = [evaluate_set(chosen, recognise) for chosen in self._sets]
        references = []
        with self._progress("in float", len(self._sets)) as advance:
            recognise = float_recogniser(checkpoint)
            for chosen in self._sets:
                references.append(evaluate_set(chosen, recognise))
                advance()
        self._keep_sets("greedy", "int8, the best label in every frame, no language model", greedy)
        self._keep_sets("float", "float32, likewise", references)
        before = [counts for result in references for counts in result.per_utterance]
        after = [counts for result in greedy for counts in result.per_utterance]
        change, low, high = paired_change(before, after)
        words = sum(counts.length for counts in before)
        self._keep(
            f"int8 against float, both greedy, word errors: {change:+.2%}"
            f" ({low:+.2%} to {high:+.2%}), paired over {len(before)} utterances of {words} words."
        )
        self._content["int8_against_float"] = {
            "relative_change": change, "interval": [low, high],
            "sentences": len(before), "words": words,
        }  # fmt: skip

    def in_noise(self, conditions: Sequence[Condition]) -> None:
        """Hears everyday commands under conditions."""
        heard = [pair for pair in self._first() if pair[0].everyday]
        self._noise = self._under("in noise", heard, conditions)
        self._keep(conditions_table("In household noise and in rooms", self._noise))
        self._content["noise"] = _as_json(self._noise)

    def over_speech(self, pool: Path) -> None:
        """Hears the synthetic commands over another voice; only the commands count."""
        heard = [pair for pair in self._first() if pair[0].everyday and not pair[0].real]
        rows = self._under("over speech", heard, [speech_condition(pool)])
        self._keep(conditions_table("Over somebody else's speech; only the commands count", rows))
        self._content["over_speech"] = _as_json(rows)

    def against_pocketsphinx(self) -> None:
        """Lets PocketSphinx hear the very same."""
        chosen, ours = zip(*self._first(), strict=True)
        engines = {"int8, as the board runs it": list(ours)}
        with self._progress("PocketSphinx", 2 * sum(len(s.items) for s in chosen)) as advance:
            for name, recognise in pocketsphinx.recognisers(advance):
                engines[name] = [evaluate_set(s, recognise) for s in chosen]
        self._keep(engines_table("Beside PocketSphinx, the same recordings", engines))
        self._content["pocketsphinx"] = {
            name: {
                "results": [result.as_json() for result in results],
                "real_to_synthetic": real_to_synthetic(chosen, results),
            }
            for name, results in engines.items()
        }

    def show_errors(self, count: int) -> None:
        """Prints the first wrong sentences of each set."""
        for chosen, result in zip(self._sets, self._results, strict=True):
            pairs = zip(chosen.items, result.texts, strict=True)
            wrong = [(item.text, text) for item, text in pairs if item.text != text]
            for said, heard in wrong[:count]:
                self._console.print(f"[dim]{result.name}[/]  {said}  ->  {heard or '-'}")

    def write(self, path: Path) -> None:
        """Writes the figures, and tables and pictures beside them."""
        path.write_text(json.dumps(self._content, indent=2) + "\n", encoding="utf-8")
        texts = [kept if isinstance(kept, str) else kept.markdown() for kept in self._tables]
        beside = path.with_suffix(".md")
        beside.write_text("\n".join(text.rstrip() + "\n" for text in texts), encoding="utf-8")
        written = [path, beside]
        if self._noise:
            written.append(path.with_name(f"{path.stem}_noise.png"))
            pictures.draw_noise(written[-1], self._noise)
        if self._confusions:
            written.append(path.with_name(f"{path.stem}_confusions.png"))
            pictures.draw_confusions(written[-1], self._confusions)
        self._console.print(f"wrote {', '.join(str(each) for each in written)}")

    # -- parts ---------------------------------------------------------------------------------

    def _first(self) -> Iterator[tuple[EvaluationSet, SetResult]]:
        """The first sentences of every set, and what was heard of them."""
        for chosen, result in zip(self._sets, self._results, strict=True):
            first = chosen.first(self._part)
            yield first, score_set(first, result.texts[: len(first.items)])

    def _under(
        self,
        what: str,
        heard: Sequence[tuple[EvaluationSet, SetResult]],
        conditions: Sequence[Condition],
    ) -> Rows:
        """Clean results and those under conditions, by set."""
        rows: Rows = {}
        amount = sum(len(chosen.items) for chosen, _ in heard) * len(conditions)
        with self._progress(what, amount) as advance:
            recognise = bundle_recogniser(self._bundle, advance)
            for chosen, clean in heard:
                rows[chosen.name] = {CLEAN: clean} | {
                    c.name: evaluate_set(under(chosen, c), recognise) for c in conditions
                }
        return rows

    def _keep_sets(self, name: str, caption: str, results: list[SetResult]) -> None:
        ratios = real_to_synthetic(self._sets, results)
        self._keep(sets_table(caption, results, ratios))
        self._content[name] = [result.as_json() for result in results]
        self._content.setdefault("real_to_synthetic", {})[name] = ratios

    def _keep(self, made: Table | str) -> None:
        self._tables.append(made)
        self._console.print(made if isinstance(made, str) else made.grid())

    @contextmanager
    def _progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        with Progress(console=self._console) as progress:
            task = progress.add_task(what, total=total)
            yield lambda: progress.advance(task)


def _as_json(rows: Rows) -> dict[str, Any]:
    return {
        name: {condition: result.as_json() for condition, result in row.items()}
        for name, row in rows.items()
    }
