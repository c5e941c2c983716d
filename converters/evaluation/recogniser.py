"""The recogniser that is measured: as the board runs it, greedily, or in float.

The bundle's models are driven by the agent's own `Pipeline`, block by block. A float checkpoint
is decoded in batches from the same samples, so that the two can be compared pair by pair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from agent.hearing.features import BLOCK, SAMPLE_RATE, log_mel_frames
from converters.asr.text import normalise
from converters.evaluation.scores import Recognise
from converters.evaluation.sets import Item


def bundle_recogniser(
    bundle: Path, progress: Callable[[], None] = lambda: None, *, greedy: bool = False
) -> Recognise:
    """The models of a bundle, streamed through the agent's own classes.

    Args:
        bundle: its folder.
        progress: called after every item.
        greedy: takes the best label in every frame, and no language model, whatever the bundle
            asks for.
    """
    from agent.bundle.manifest import DecoderEntry, load_bundle
    from agent.config import Config
    from agent.hearing.pipeline import Pipeline
    from agent.hearing.session_events import Finished

    loaded = load_bundle(bundle)
    if greedy:
        manifest = dataclasses.replace(loaded.manifest, decoder=DecoderEntry())
        loaded = dataclasses.replace(loaded, manifest=manifest)
    pipeline = Pipeline(loaded, Config(), wake=False)

    def recognise(items: Sequence[Item]) -> list[str]:
        texts = []
        for item in items:
            samples = item.padded()
            pipeline.reset()
            pipeline.open()
            whole = len(samples) // BLOCK * BLOCK
            for start in range(0, whole, BLOCK):
                pipeline.process(samples[start : start + BLOCK])
            finals = [
                event.text
                for event in pipeline.finish(whole / SAMPLE_RATE)
                if isinstance(event, Finished)
            ]
            texts.append(normalise(" ".join(finals)))
            progress()
        return texts

    return recognise


def float_recogniser(checkpoint: Path) -> Recognise:
    """The averaged weights of a training run, in float32."""
    import torch

    from converters.asr.checkpoint import load_recogniser
    from converters.asr.development import recognise

    model = load_recogniser(checkpoint)

    def run(items: Sequence[Item]) -> list[str]:
        with torch.no_grad():
            frames = [log_mel_frames(item.padded().astype(np.float32) / 32768.0) for item in items]
            return recognise(model, frames)

    return run
