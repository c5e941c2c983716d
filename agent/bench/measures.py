"""CPU of the whole pipeline and of each stage, measured inside this process.

CPU is user and system time of the process. Kinds of sound alternate, so that a machine that grows
warm or busy in between slows both; of several runs the median counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.bench.workload import Blocks, Workload
from agent.bundle.manifest import Bundle
from agent.config import Config
from agent.hearing.features import FRAME_SECONDS
from agent.hearing.pipeline import Pipeline
from agent.hearing.ring_buffer import Block
from agent.hearing.session_events import Finished, Woken

_STAGE_FRAMES = 500
_WARM_FRAMES = 50


@dataclass(frozen=True, kw_only=True)
class CpuCost:
    """CPU of one kind of sound.

    Attributes:
        audio_s: Seconds of sound in each run.
        runs: CPU seconds per second of audio, in order.
        command_share: Part of the frames that went through the encoder.
        wakes: Wake words heard in each run.
        results: Results with text in each run.
    """

    audio_s: float
    runs: tuple[float, ...]
    command_share: float
    wakes: int
    results: int

    @property
    def median(self) -> float:
        """The run that counts."""
        return statistics.median(self.runs)


def cpu_costs(
    bundle: Bundle, workloads: Sequence[Workload], repeats: int, step: Callable[[], None]
) -> dict[str, CpuCost]:
    """Plays every workload several times, in turn.

    Args:
        bundle: The models.
        workloads: What is played.
        repeats: How often.
        step: Called after every run.

    Returns:
        Costs by the workload's name.
    """
    pipeline = Pipeline(bundle, Config())
    runs: dict[str, list[float]] = {workload.name: [] for workload in workloads}
    counts: dict[str, tuple[float, int, int]] = {}
    for _ in range(repeats):
        for workload in workloads:
            pipeline.reset()
            encoded = pipeline.encoder.frames
            wakes = results = 0
            began = time.process_time()
            for block in workload.blocks:
                for event in pipeline.process(block):
                    wakes += isinstance(event, Woken)
                    results += isinstance(event, Finished) and bool(event.text)
            spent = time.process_time() - began
            runs[workload.name].append(spent / workload.seconds)
            share = (pipeline.encoder.frames - encoded) / len(workload.blocks)
            counts[workload.name] = share, wakes, results
            step()
    return {
        workload.name: CpuCost(
            audio_s=workload.seconds,
            runs=tuple(runs[workload.name]),
            command_share=counts[workload.name][0],
            wakes=counts[workload.name][1],
            results=counts[workload.name][2],
        )
        for workload in workloads
    }


def paced_cost(work: Callable[[Block], object], blocks: Blocks) -> float:
    """CPU of a single thread that wakes up for every block when it is due, as sound comes.

    Beside the same work without pauses it shows what waking up costs: caches that others have used
    meanwhile, clocks that have slowed down. No process that hears in real time can avoid it.

    Args:
        work: Done for every block.
        blocks: int16 [n, 640].

    Returns:
        CPU seconds per second.
    """
    due, began = time.monotonic(), time.thread_time()
    for block in blocks:
        due += FRAME_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        work(block)
    return (time.thread_time() - began) / (len(blocks) * FRAME_SECONDS)


def stage_times(bundle: Bundle, sound: Workload, repeats: int) -> dict[str, float]:
    """Time of each stage for one frame.

    Args:
        bundle: The models.
        sound: Where frames come from.
        repeats: Of how many passes the median counts.

    Returns:
        Microseconds by stage; `transducer` is predictor and joiner together.
    """
    pipeline = Pipeline(bundle, Config())
    blocks = list(sound.blocks[:_STAGE_FRAMES])
    samples = [block.astype(np.float32) / np.float32(32768.0) for block in blocks]
    features = pipeline.features
    frames = [features.process(block) for block in samples]
    encodings = [pipeline.encoder.process(frame) for frame in frames]
    numbers = range(len(blocks))
    stages: dict[str, Callable[[int], object]] = {
        "levels": lambda n: pipeline.levels.process(blocks[n], samples[n]),
        "features": lambda n: features.process(samples[n]),
        **{
            f"wake word ({word.settings.phrase})": _wake_stage(word.process, frames)
            for word in pipeline.words
        },
        "encoder": lambda n: pipeline.encoder.process(frames[n]),
        "transducer": lambda n: pipeline.decoder.process(encodings[n], n),
    }
    return {
        name: statistics.median(_pass(stage, numbers) for _ in range(repeats))
        for name, stage in stages.items()
    }


def _wake_stage(
    process: Callable[[np.ndarray], object], frames: Sequence[np.ndarray]
) -> Callable[[int], object]:
    return lambda n: process(frames[n])


def _pass(stage: Callable[[int], object], numbers: range) -> float:
    for number in numbers[:_WARM_FRAMES]:
        stage(number)
    began = time.process_time()
    for number in numbers:
        stage(number)
    return (time.process_time() - began) / len(numbers) * 1e6
