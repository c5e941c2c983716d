"""Assembles a model bundle: graphs, tokens, wake word, self-test, card, manifest.

The same inputs give the same bytes (set ``SOURCE_DATE_EPOCH``), so a bundle can be rebuilt from
its checkpoint and compared with what was signed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from agent.bundle.manifest import (
    DecoderEntry,
    LayoutEntry,
    Manifest,
    ProvenanceEntry,
    SelftestEntry,
    TrialEntry,
    WakeEntry,
    write_manifest,
)
from agent.hearing.features import SAMPLE_RATE
from converters.asr.text import token_lines
from converters.export.graph_reader import read_constants
from converters.export.packing import pack_models
from converters.export.quantise import LARGEST
from converters.export.recogniser import (
    Weights,
    encoder_file,
    joiner_file,
    layer_count,
    predictor_file,
)
from converters.export.trial_limits import measured_limits
from converters.synthesis.pool import Pool, PoolItem, load_pool

LICENCES = (
    "weights: Apache-2.0",
    "flite and festival voices (kal, awb, slt, rms, ked): CMU/EST, free use",
    "espeak-ng: formant synthesis without recorded speech",
    "real recordings: Apache-2.0, CC BY 4.0, CC BY-SA 4.0, public domain (see CARD.md)",
)


_DEMO_PAUSE_S = 1.6
"""Between the demo's commands: longer than any end-pointer waits."""


@dataclass(frozen=True)
class SelftestPlan:
    """Which utterances of which pools are shipped for the self-test."""

    pools: tuple[Path, ...]
    """Pools by voices that training never hears; those of kind "wake" bring the wake word."""
    count: int = 48
    """Clips over all pools, shared equally."""
    longest_s: float = 5.0


def write_models(weights: Weights, directory: Path, *, beam: int = 1) -> list[LayoutEntry]:
    """Writes the recogniser's graphs and tokens; returns where their int8 matrices lie.

    Args:
        weights: of the recogniser, as `converters.export.quantise.four_bits` leaves them if its
            LSTM layers shall have four bits.
        directory: where to.
        beam: how many readings the decoder will follow.
    """
    files = {
        "encoder_slow.tflite": encoder_file(weights),
        "predictor.tflite": predictor_file(weights),
        "joiner.tflite": joiner_file(weights, beam),
    }
    for name, content in files.items():
        (directory / name).write_bytes(content)
    (directory / "tokens.txt").write_text("\n".join(token_lines()) + "\n", encoding="utf-8")
    return [entry for name in sorted(files) for entry in layout(directory / name, name)]


def layout(path: Path, name: str) -> list[LayoutEntry]:
    """The int8 matrices of a file in the order of their offsets.

    Args:
        path: where the file is.
        name: what the manifest calls it.
    """
    constants = read_constants(path)
    entries = []
    for tensor, constant in constants.items():
        if constant.values.dtype == "int8" and tensor.endswith(".weight"):
            rows, cols = constant.values.shape
            scale = constants[tensor.removesuffix("weight") + "scale"]
            few = int(np.abs(constant.values.astype(np.int16)).max()) <= LARGEST[4]
            entries.append(LayoutEntry(
                file=name, tensor=f"{tensor}/4" if few else tensor, offset=constant.offset,
                rows=rows, cols=cols,
                scale_offset=scale.offset,
            ))  # fmt: skip
    return sorted(entries, key=lambda entry: entry.offset)


def copy_wake_word(source: Path, directory: Path) -> WakeEntry:
    """Copies a wake word made by `train-wake` and returns its entry for the manifest."""
    entry = WakeEntry(**json.loads((source / "wake.json").read_text(encoding="utf-8")))
    target = directory / entry.file
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / target.name, target)
    return entry


def write_selftest(plan: SelftestPlan, phrase: str, directory: Path) -> list[SelftestEntry]:
    """Writes the self-test's recordings as FLAC and returns their entries."""
    folder = directory / "selftest"
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for path in plan.pools:
        pool = load_pool(path)
        for position in _chosen(pool, plan):
            item = pool.items[position]
            name = f"selftest/{path.name}-{item.index:05d}.flac"
            # Level 5 is FLAC's default; libsndfile writes the same bytes for the same samples.
            soundfile.write(directory / name, pool.audio(position), SAMPLE_RATE, format="FLAC")
            woken = item.phrase_end_s is not None
            entries.append(SelftestEntry(
                path=name,
                text=item.text.removeprefix(phrase).strip() if woken else item.text,
                wake=phrase if woken else None,
                voice=f"{item.engine}/{item.voice}",
            ))  # fmt: skip
    return entries


def _chosen(pool: Pool, plan: SelftestPlan) -> list[int]:
    """Positions spread evenly over the usable utterances of a pool."""
    usable = [i for i, item in enumerate(pool.items) if _usable(item, plan)]
    wanted = plan.count // len(plan.pools)
    step = max(1, len(usable) // wanted)
    return usable[::step][:wanted]


def _usable(item: PoolItem, plan: SelftestPlan) -> bool:
    if item.seconds > plan.longest_s or len(item.text.split()) < 2:
        return False
    if item.kind == "wake":
        return item.phrase_end_s is not None
    return item.cell.startswith("template")


def write_demo(pool: Path, indices: Sequence[int], path: Path) -> None:
    """Writes a recording of several utterances with pauses, for `voice-agent run` to play.

    Args:
        pool: a wake pool by a voice never trained on.
        indices: of its items, in the order of the demo.
        path: the FLAC file.
    """
    found = load_pool(pool)
    position = {item.index: i for i, item in enumerate(found.items)}
    rng = np.random.default_rng(0)
    parts = []
    for index in indices:
        # A room is never digitally silent.
        parts.append(rng.normal(0.0, 6.0, int(_DEMO_PAUSE_S * SAMPLE_RATE)).astype(np.int16))
        parts.append(found.audio(position[index]))
    parts.append(rng.normal(0.0, 6.0, int(_DEMO_PAUSE_S * SAMPLE_RATE)).astype(np.int16))
    soundfile.write(path, np.concatenate(parts), SAMPLE_RATE, format="FLAC")


def assemble(
    directory: Path,
    *,
    weights: Weights,
    wake: Path,
    selftest: SelftestPlan,
    card: str,
    release: int,
    provenance: ProvenanceEntry,
    decoder: DecoderEntry | None = None,
    language: Path | None = None,
    demo: tuple[Path, Sequence[int]] | None = None,
    packed: bool = False,
) -> Manifest:
    """Writes a whole bundle.

    Args:
        directory: where to; what is there is replaced, file by file.
        weights: of the recogniser.
        wake: folder that `train-wake` made.
        selftest: what to ship for the self-test.
        card: text of CARD.md.
        release: number of the release.
        provenance: where the weights come from.
        decoder: how wide to search, and how much the language model counts; greedy by default.
        language: the language model of labels; None: the bundle has none.
        demo: pool and indices of the utterances of demo.flac.
        packed: store the model files packed, see `agent.bundle.packed`.

    Returns:
        The manifest that was written. Its limits for a trial come from the self-test, which is run.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for stale in directory.glob("selftest/*.flac"):
        stale.unlink()
    decoder = decoder or DecoderEntry()
    matrices = write_models(weights, directory, beam=decoder.beam)
    if language is not None:
        shutil.copyfile(language, directory / "language.npz")
    word = copy_wake_word(wake, directory)
    matrices += layout(directory / word.file, word.file)
    if packed:
        pack_models(directory, matrices)
    clips = write_selftest(selftest, word.phrase, directory)
    if demo is not None:
        write_demo(*demo, directory / "demo.flac")
    (directory / "CARD.md").write_text(card, encoding="utf-8")
    hidden = weights["encoder.input.weight"].shape[0]

    def write(trial: TrialEntry) -> Manifest:
        return write_manifest(
            directory,
            name=directory.name,
            languages=("en",),
            release=release,
            model=f"lstm{layer_count(weights)}x{hidden}",
            layout=matrices,
            wake=(word,),
            decoder=decoder,
            selftest=clips,
            trial=trial,
            provenance=provenance,
        )

    write(TrialEntry())
    return write(measured_limits(directory))
