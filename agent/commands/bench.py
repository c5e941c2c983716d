"""`voice-agent bench`: what hearing costs on this machine.

Ten minutes of sound of each kind, five times in turn, and the median counts. CPU is user plus
system time of the process over seconds of audio. `--quick` takes a minute once: for a first look,
not for figures that anybody else should read.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.bundle.manifest import Bundle

HELP = "measure CPU, memory, time of each stage and start-up on this machine"

_IDLE_LIMIT, _PIPELINE_LIMIT, _RSS_LIMIT_MB = 0.004, 0.02, 120


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle")
    parser.add_argument("--quick", action="store_true", help="one minute once, for a first look")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def main(args: argparse.Namespace) -> int:
    """Measures and prints.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status.

    Raises:
        BundleError: The models cannot be used.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from agent.config import load_config
    from agent.hearing.loading import chosen_bundle

    bundle = chosen_bundle(args.bundle, load_config(None))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=None)

        def step(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        report = measure(bundle, quick=args.quick, step=step)
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        _show(report)
    return 0


def measure(
    bundle: Bundle, *, quick: bool, step: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Runs all measurements.

    Args:
        bundle: The models.
        quick: Less sound, no repeats.
        step: Told what is done, and how far it is.

    Returns:
        The object that `--json` prints.
    """
    from agent.bench.measures import cpu_costs, paced_cost, stage_times
    from agent.bench.process import running_cost, start_up_seconds
    from agent.bench.workload import Workload, commands, room
    from agent.bundle.runtime import available_backends
    from agent.config import Config
    from agent.hearing.pipeline import Pipeline

    seconds, repeats, live_s = (60.0, 1, 5.0) if quick else (600.0, 5, 30.0)
    spoken = commands(bundle, seconds)
    workloads = [Workload("idle", room(seconds))]
    if spoken is not None:
        workloads.insert(0, Workload("pipeline", spoken))
    total = repeats * (len(workloads) + 1) + 3
    done = 0

    def advance(what: str) -> None:
        nonlocal done
        done += 1
        step(what, done, total)

    step("CPU", 0, total)
    costs = cpu_costs(bundle, workloads, repeats, lambda: advance("CPU"))
    stages = stage_times(bundle, workloads[0], 5)
    advance("start-up")
    starts = []
    for _ in range(repeats):
        starts.append(start_up_seconds(bundle.directory))
        advance("start-up")
    live = running_cost(bundle.directory, live_s)
    advance("memory")
    quiet = room(live_s)
    waking = paced_cost(lambda _: None, quiet)
    one_thread = paced_cost(Pipeline(bundle, Config()).process, quiet)
    advance("real time")
    sizes = {entry.path: entry.bytes for entry in bundle.manifest.files}
    return {
        "machine": {
            "cpu": _cpu_name(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "runtime": available_backends()[0],
        },
        "quick": quick,
        "cpu_s_per_audio_s": {
            name: {
                "median": round(cost.median, 6),
                "runs": [round(run, 6) for run in cost.runs],
                "audio_s": round(cost.audio_s, 2),
                "command_share": round(cost.command_share, 4),
                "wakes": cost.wakes,
                "results": cost.results,
            }
            for name, cost in costs.items()
        },
        "stage_us_per_frame": {name: round(value, 2) for name, value in stages.items()},
        "listen": {
            "rss_bytes": live.rss_bytes,
            "pss_bytes": live.pss_bytes,
            "idle_cpu_s_per_s": round(live.cpu_per_s, 6),
            "paced_pipeline_cpu_s_per_s": round(one_thread, 6),
            "waking_only_cpu_s_per_s": round(waking, 6),
            "measured_s": round(live.measured_s, 1),
            "start_up_s": round(statistics.median(starts), 3),
            "start_up_runs_s": [round(start, 3) for start in starts],
        },
        "bundle": {
            "name": bundle.manifest.name,
            "release": bundle.manifest.release,
            "model_bytes": sum(size for path, size in sizes.items() if path.endswith(".tflite")),
            "total_bytes": sum(sizes.values()),
        },
    }


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="voice-agent bench", title_justify="left")
    table.add_column("What")
    table.add_column("Value", justify="right")
    table.add_column("How", overflow="fold")
    costs = report["cpu_s_per_audio_s"]
    rows = (
        ("pipeline", "CPU, whole pipeline", _PIPELINE_LIMIT),
        ("idle", "CPU, waiting for the wake word", _IDLE_LIMIT),
    )
    for name, title, limit in rows:
        if name not in costs:
            table.add_row(title, "-", "the bundle has no recordings to play")
            continue
        cost = costs[name]
        how = f"median of {len(cost['runs'])} x {cost['audio_s']:.0f} s of audio, no pauses"
        how += f"; goal {limit}"
        if name == "pipeline":
            how += f"; {100 * cost['command_share']:.0f} % of it in commands"
        table.add_row(title, f"{cost['median']:.4f} s/s", how)
    live = report["listen"]
    live_how = f"`listen` in real time for {live['measured_s']:.0f} s, all threads"
    table.add_row("CPU, listen while idle", f"{live['idle_cpu_s_per_s']:.4f} s/s", live_how)
    for key, title, how in (
        ("paced_pipeline", "CPU, pipeline in real time", "one thread, woken for every block"),
        ("waking_only", "CPU, only waking up", "the same without any work: this machine's floor"),
    ):
        table.add_row(title, f"{live[f'{key}_cpu_s_per_s']:.4f} s/s", how)
    table.add_section()
    for name, value in report["stage_us_per_frame"].items():
        table.add_row(f"Stage: {name}", f"{value:.1f} µs", "per frame of 40 ms")
    table.add_section()
    goal = f"goal {_RSS_LIMIT_MB} MB"
    table.add_row("Memory, resident", f"{live['rss_bytes'] / 1e6:.1f} MB", f"`listen`; {goal}")
    if live["pss_bytes"] is not None:
        table.add_row("Memory, proportional", f"{live['pss_bytes'] / 1e6:.1f} MB", "`listen`")
    runs = len(live["start_up_runs_s"])
    table.add_row("Start-up", f"{live['start_up_s']:.2f} s", f"median of {runs}, until it hears")
    bundle = report["bundle"]
    table.add_row("Models", f"{bundle['model_bytes'] / 1e6:.2f} MB", f"bundle {bundle['name']}")
    table.add_row("Bundle", f"{bundle['total_bytes'] / 1e6:.2f} MB", "with self-test and card")
    console = Console()
    console.print(table)
    machine = report["machine"]
    console.print(
        f"{machine['cpu']}, {machine['architecture']}, Python {machine['python']},"
        f" {machine['runtime']}" + ("; quick, not for publication" if report["quick"] else ""),
        highlight=False,
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    for key in ("model name", "Model", "Hardware"):
        for line in lines:
            if line.startswith(key):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
