"""``voice-converters export``: a trained recogniser and wake word become a bundle for the boards.

Writes int8 ``.tflite`` files directly from the weights, the self-test's recordings, the model
card and the manifest. The same inputs give the same bytes if SOURCE_DATE_EPOCH is set.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HELP = "turn trained weights into a model bundle"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("--asr", type=Path, required=True, metavar="RUN", help="folder that train-asr wrote")
    add("--wake", type=Path, required=True, metavar="DIR", help="folder that train-wake wrote")
    add("--language", type=Path, metavar="FILE",
        help="language model of labels that train-language wrote (default: none)")
    add("--language-weight", type=float, default=0.6,
        help="how much it counts beside the transducer (default: %(default)s)")
    add("--beam", type=int, default=48,
        help="readings that the decoder follows; 1: the best label in every frame (default: "
             "%(default)s)")
    add("--bits", type=int, choices=(8, 4), default=8,
        help="of the LSTM layers' weights; 4 implies --packed, and is best trained for with "
             "`train-asr --bits 4` (default: %(default)s)")
    add("--packed", action="store_true",
        help="store the models packed; the agent inflates them when it loads them")
    add("--selftest", type=Path, action="append", required=True, metavar="POOL",
        help="pool by voices never trained on, to pick the self-test from (may be repeated)")
    add("--selftest-count", type=int, default=48, help="clips to pick (default: %(default)s)")
    add("--card", type=Path, required=True, metavar="FILE", help="the model card, Markdown")
    add("--demo", nargs="+", metavar=("POOL", "INDEX"),
        help="wake pool and indices of the utterances that demo.flac strings together")
    add("--release", type=int, default=1, help="number of the release (default: %(default)s)")
    add("--seed", type=int, default=1, help="seed of the training, for the manifest")
    add("--pool", type=Path, action="append", default=[], metavar="DIR",
        help="pool that was trained on, for the manifest's provenance (may be repeated)")
    add("--out", type=Path, required=True, metavar="BUNDLE", help="the bundle's folder")


def main(args: argparse.Namespace) -> int:
    """Writes the bundle; returns the exit status."""
    from agent.bundle.manifest import DecoderEntry, ProvenanceEntry, load_bundle
    from converters.asr.checkpoint import as_arrays, load_recogniser, trained_scales
    from converters.asr.text import VOCABULARY
    from converters.export.bundle import LICENCES, SelftestPlan, assemble
    from converters.export.quantise import four_bits

    if not (args.asr / "checkpoint.pt").exists():
        print(f"error: {args.asr} holds no checkpoint.pt; run train-asr first", file=sys.stderr)
        return 2
    model = load_recogniser(args.asr)
    if model.shape.long_memory:
        print(f"error: {args.asr} was trained with --long-memory, which is there to be compared; "
              "the board's predictor sees two labels", file=sys.stderr)  # fmt: skip
        return 2
    if model.shape.labels != VOCABULARY:
        print(f"error: {args.asr} was trained with --labels, which are there to be compared; "
              "the board's language model is made of letters", file=sys.stderr)  # fmt: skip
        return 2
    weights = as_arrays(model)
    if args.bits == 4:
        weights = four_bits(weights, trained_scales(args.asr) or None)
    definitions = [json.loads((pool / "pool.json").read_text()) for pool in args.pool]
    voices = sorted({engine for pool in definitions for engine in pool.get("engines", {})})
    manifest = assemble(
        args.out,
        weights=weights,
        wake=args.wake,
        language=args.language,
        decoder=DecoderEntry(
            beam=args.beam,
            language_permille=round(1000 * args.language_weight) if args.language else 0,
        ),
        selftest=SelftestPlan(tuple(args.selftest), args.selftest_count),
        card=args.card.read_text(encoding="utf-8"),
        release=args.release,
        provenance=ProvenanceEntry(
            commit=_commit(),
            seed=args.seed,
            data_sha256=_digest(definitions) if definitions else None,
            voices=tuple(voices),
            licences=LICENCES,
        ),
        packed=args.packed or args.bits == 4,
        demo=(Path(args.demo[0]), [int(i) for i in args.demo[1:]]) if args.demo else None,
    )
    load_bundle(args.out)
    size = sum(entry.bytes for entry in manifest.files)
    models = sum(entry.bytes for entry in manifest.files if entry.path.endswith(".tflite"))
    print(f"wrote {args.out}: {len(manifest.files)} files, {size / 1e6:.2f} MB,"
          f" of which models {models / 1e6:.2f} MB")  # fmt: skip
    return 0


def _digest(definitions: list[Any]) -> str:
    """SHA-256 of what defines the training pools."""
    return hashlib.sha256(json.dumps(definitions, sort_keys=True).encode()).hexdigest()


def _commit() -> str | None:
    """The commit that exports, if this is a git checkout."""
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
    )
    return found.stdout.strip() if found.returncode == 0 else None
