"""Reads lhotse manifests line by line into cuts of one utterance each.

    cuts            every supervision of every cut becomes a cut of its own
    recordings +    recordings are put aside (on disk, see `index.py`), then every supervision
    supervisions    is joined with its recording

Nothing holds more than a line. Paths in manifests are relative to the working directory, as in
lhotse, or, where nothing is there, to the folder of the manifest.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.corpora.errors import ManifestError
from converters.corpora.screening import Reason


@dataclass(frozen=True)
class Cut:
    """One utterance as a manifest has it, before screening."""

    id: str
    text: str | None
    speaker: str
    seconds: float
    cut: str
    """JSON that lhotse turns back into a cut with `deserialize_item`; empty if there is none."""
    flaw: Reason | None = None
    """What a look at the manifest alone finds wrong with it."""


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a `.jsonl` or `.jsonl.gz`, blank ones left out.

    Raises:
        ManifestError: it cannot be read, or ends too early.
    """
    number = 0
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{path} cannot be read after line {number} ({error}): prepare the corpus again."
        ) from error


def parsed(path: Path, parse: Callable[[Any], list[Any]]) -> Iterator[Any]:
    """What `parse` makes of every line, one by one.

    Raises:
        ManifestError: a line is not what lhotse writes; the message names it.
    """
    for number, line in lines(path):
        try:
            made = parse(json.loads(line))
        except ManifestError:
            raise
        except Exception as error:
            why = " ".join(str(error).split())[:120] or "nothing more is known"
            raise ManifestError(
                f"{path}, line {number}, is no such line as lhotse writes "
                f"({type(error).__name__}: {why}): prepare the corpus again."
            ) from error
        yield from made


def recordings(path: Path) -> Iterator[tuple[str, str]]:
    """Id and JSON of every recording."""
    from lhotse import Recording

    def parse(data: Any) -> list[tuple[str, str]]:
        _resolve(data, path.parent)
        text = json.dumps(data)
        return [(_storable(str(Recording.from_dict(data).id)), text)]

    yield from parsed(path, parse)


def supervised(path: Path, recording: Callable[[str], str | None]) -> Iterator[Cut]:
    """A cut for every supervision.

    Args:
        path: the supervisions.
        recording: JSON of a recording by its id.
    """
    from lhotse import MonoCut, MultiCut, Recording, SupervisionSegment

    def parse(data: Any) -> list[Cut]:
        said = SupervisionSegment.from_dict(data)
        found = recording(_storable(str(said.recording_id)))
        if found is None:
            return [Cut(str(said.id), None, "", 0.0, "", Reason.NO_RECORDING)]
        content = json.loads(found)
        flaw = _flaw(content)
        source = Recording.from_dict(content)
        start = max(0.0, float(said.start))
        # Ends are rounded differently for the two, by up to a millisecond.
        seconds = min(float(said.duration), source.duration - start)
        kind = MultiCut if isinstance(said.channel, list) else MonoCut
        cut = kind(str(said.id), start, seconds, said.channel, recording=source)
        return [_utterance(cut, said, flaw)]

    yield from parsed(path, parse)


def cuts(path: Path) -> Iterator[Cut]:
    """A cut for every supervision of every cut; what overlaps it is heard and not transcribed."""
    from lhotse.serialization import deserialize_item

    def parse(data: Any) -> list[Cut]:
        _resolve(data, path.parent)
        flaw = _flaw(data)
        whole = deserialize_item(data)
        if not hasattr(whole, "trim_to_supervisions"):
            raise ManifestError(f"{path} holds no cuts but {type(whole).__name__} lines.")
        if not whole.has_recording:
            return [Cut(str(said.id), None, "", 0.0, "", Reason.NO_RECORDING)
                    for said in whole.supervisions]  # fmt: skip
        alone = whole.trim_to_supervisions(keep_overlapping=False)
        return [_utterance(cut, cut.supervisions[0], flaw) for cut in alone]

    yield from parsed(path, parse)


def _utterance(cut: Any, said: Any, flaw: Reason | None) -> Cut:
    if said.text is not None and not isinstance(said.text, str):
        raise TypeError("its text is no text")
    data = cut.drop_supervisions().drop_features().to_dict()
    name, speaker = _storable(str(said.id)), _storable(str(said.speaker or ""))
    return Cut(name, said.text, speaker, float(cut.duration), json.dumps(data), flaw)


def _storable(text: str) -> str:
    """The same text; half a surrogate pair, which JSON can hold and a file cannot, is refused."""
    text.encode()
    return text


def _sources(data: Any) -> Iterator[dict[str, Any]]:
    """Every audio source anywhere in a line; cuts nest them."""
    if isinstance(data, dict):
        for name, value in data.items():
            if name == "sources" and isinstance(value, list):
                yield from (source for source in value if isinstance(source, dict))
            else:
                yield from _sources(value)
    elif isinstance(data, list):
        for value in data:
            yield from _sources(value)


def _resolve(data: Any, folder: Path) -> None:
    for source in _sources(data):
        if source["type"] == "file":
            path = Path(source["source"])
            beside = folder / path
            source["source"] = str((beside if not path.exists() and beside.exists() else path)
                                   .absolute())  # fmt: skip


def _flaw(data: Any) -> Reason | None:
    """lhotse runs "command" sources in a shell: reading a manifest must not start programs.

    The sound of "shar" sources lies in archives that can only be read from front to back.
    """
    if all(source["type"] == "file" for source in _sources(data)):
        return None
    return Reason.NO_FILE
