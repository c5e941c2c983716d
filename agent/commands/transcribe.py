"""`voice-agent transcribe`: recognise recordings, block by block, as if they were live.

Each file goes through the very classes that `listen` uses. A file that cannot be read is reported
and the others are still done.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.arguments import add_models, add_recordings

if TYPE_CHECKING:
    from agent.hearing.pipeline import Pipeline
    from agent.hearing.session_events import Finished, SessionEvent

HELP = "recognise audio files"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    add_recordings(parser)
    add_models(parser)
    parser.add_argument("--contacts", type=Path, metavar="FILE", help="names; not used yet")
    parser.add_argument(
        "--no-wake",
        action="store_true",
        help="decode from the beginning to the end; the end-point is reported and never truncates",
    )


def main(args: argparse.Namespace) -> int:
    """Recognises the files in order.

    Args:
        args: The parsed arguments.

    Returns:
        1 if a file could not be read, else 0.

    Raises:
        BundleError: The models cannot be used.
        ConfigError: The configuration cannot be used.
    """
    from agent.errors import AudioError
    from agent.hearing.loading import load_pipeline

    if args.contacts is not None:
        print("note: contacts are not used yet; they change nothing.", file=sys.stderr)
    pipeline = load_pipeline(args.bundle, args.config, wake=not args.no_wake)
    failed = False
    for path in args.audio:
        try:
            answer = transcribe(pipeline, path, wake=not args.no_wake)
        except AudioError as error:
            failed = True
            answer = {"path": str(path), "error": str(error)}
        if args.json:
            print(json.dumps(answer, ensure_ascii=False), flush=True)
        else:
            _show(answer)
    return 1 if failed else 0


def transcribe(pipeline: Pipeline, path: Path, *, wake: bool = True) -> dict[str, Any]:
    """Recognises a file.

    Args:
        pipeline: The models; its state is reset.
        path: The recording.
        wake: False decodes from the beginning, without waiting for the wake word.

    Returns:
        The object that `--json` prints.

    Raises:
        AudioError: The file cannot be read.
    """
    from agent.hearing.audio_file import AudioFile
    from agent.hearing.session_events import Finished, Woken

    pipeline.reset()
    began = time.process_time()
    file = AudioFile(path)
    if not wake:
        pipeline.open()
    finals: list[Finished] = []
    woken: Woken | None = None
    for event in _events(pipeline, file):
        if isinstance(event, Finished):
            finals.append(event)
        elif isinstance(event, Woken):
            woken = woken or event
    answer = render(str(path), finals)
    answer["timing"] = {
        "audio_s": round(file.seconds, 3),
        "compute_s": round(time.process_time() - began, 6),
    }
    return answer


def render(path: str, finals: list[Finished]) -> dict[str, Any]:
    """The results of one file as one object.

    A file may hold several commands: their best texts and words are joined, probabilities
    multiplied; the confidence is that of the least certain one, wake and end-point are those of the
    first and of the last.

    Args:
        path: The file's name.
        finals: Its results, in order.

    Returns:
        The object, without `timing`.
    """
    from agent.records import plain
    from agent.result import Endpoint, Hypothesis, Routing

    spoken = [final for final in finals if final.text]
    entries = [final.nbest[0] for final in spoken]
    text = " ".join(entry.text for entry in entries)
    nbest = spoken[0].nbest if len(spoken) == 1 else ()
    if len(spoken) > 1:
        nbest = (
            Hypothesis(
                text=text,
                log_prob=round(sum(entry.log_prob for entry in entries), 4),
                words=tuple(word for entry in entries for word in entry.words),
            ),
        )
    certain = [final.confidence for final in spoken if final.confidence is not None]
    wakes = [final.wake for final in finals if final.wake is not None]
    routing = Routing(
        slow_frames=sum(final.routing.slow_frames or 0 for final in finals),
        macs_per_frame=finals[0].routing.macs_per_frame if finals else None,
    )
    return {
        "path": path,
        "text": text,
        "confidence": min(certain, default=None),
        "wake": plain(wakes[0]) if wakes else None,
        "utterances": [plain(part) for final in spoken for part in final.utterances],
        "nbest": [plain(entry) for entry in nbest],
        "lattice": None,
        "endpoint": plain((spoken or finals)[-1].endpoint if finals else Endpoint()),
        "routing": plain(routing),
    }


def _events(pipeline: Pipeline, file: Any) -> Iterator[SessionEvent]:
    for block in file:
        yield from pipeline.process(block)
    yield from pipeline.finish(file.seconds)


def _show(answer: dict[str, Any]) -> None:
    if "error" in answer:
        print(f"error: {answer['error']}", file=sys.stderr)
        return
    facts = []
    if answer["wake"] is not None:
        facts.append(f"wake at {answer['wake']['time_s']:.2f} s, {answer['wake']['score']:.2f}")
    if answer["confidence"] is not None:
        facts.append(f"confidence {answer['confidence']:.2f}")
    if answer["endpoint"]["rule"] is not None:
        facts.append(str(answer["endpoint"]["rule"]))
    print(f"{answer['path']}: {answer['text'] or '-'}  ({'; '.join(facts) or 'no wake word'})")
