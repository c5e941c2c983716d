"""``voice-converters diff``: the few bytes that turn one bundle into another.

    voice-converters diff command_en-1 command_en-2 --out 1-2.diff
    voice-converters apply command_en-1 1-2.diff --out command_en-2

BASE is the bundle that boards have, NEW the one that they shall get. Whatever differs is in the
diff: changed int8 weights as entropy-coded gaps, new scales, biases and sums as they are, new files
packed; files that stay the same cost nothing. The diff names both bundles by a SHA-256 over all of
their files and is tried out before it gets its name. Expect about 11 bits for a changed weight when
1 % of them change at random places, and about 5 bits when whole rows change: choosing rows saves
more than any coder could.

A *hashed* diff moves every weight by one of a few shared values, picked by a hash of its index. If
training made one, give its values, its seed and the files that it moves; whatever it does not
explain is added as single changes:

    voice-converters diff BASE NEW --out F --hashed values.npy --seed 7 --hashed-file encoder.tflite

An *overlay* is an owner's own change of weights. It names no bundle, only the places of the
weights, so a board applies it over every release of that architecture (`bundle.overlay` in its
configuration). BASE and NEW may differ in int8 weights alone:

    voice-converters diff BASE NEW --overlay --out mine.overlay

`--bench` needs no bundles: it measures size, time and memory and compares with other tools where
they are installed (Python: bsdiff4, detools; programs: xdelta3, zstd).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HELP = "make the diff from one bundle to another"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("base", type=Path, nargs="?", metavar="BASE", help="bundle that boards have")
    add("new", type=Path, nargs="?", metavar="NEW", help="bundle that they shall get")
    add("--out", type=Path, metavar="FILE", help="the diff")
    add("--hashed", type=Path, metavar="NPY", help="int8 values of the buckets of a hashed diff")
    add("--seed", type=int, default=0, help="seed of the hashed diff (default: %(default)s)")
    add("--hashed-file", action="append", default=[], metavar="PATH",
        help="file of the bundle whose matrices are hashed (may be repeated)")  # fmt: skip
    add("--overlay", action="store_true", help="make an overlay, for all releases of the layout")
    add("--no-verify", action="store_true", help="do not try the diff out")
    add("--bench", action="store_true", help="measure instead, and print tables")
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")


def main(args: argparse.Namespace) -> int:
    """Makes a diff, or measures; returns the exit status.

    Raises:
        BundleFileError: A bundle cannot be read.
        DiffError: The diff cannot be made.
    """
    if args.bench:
        return _bench(args)
    if args.base is None or args.new is None or args.out is None:
        print("error: give BASE, NEW and --out FILE, or --bench", file=sys.stderr)
        return 2
    if args.overlay:
        return _overlay(args)
    from converters.updates.diff_maker import make_diff

    try:
        hashed = _hashed(args)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report = make_diff(args.base, args.new, args.out, hashed=hashed, verify=not args.no_verify)
    share = report.changed_weights / max(report.total_weights, 1)
    print(f"wrote {args.out}: {report.size} bytes for a bundle of {report.result_bytes}")
    print(
        f"  weights   {report.weights} bytes, {report.changed_weights} of"
        f" {report.total_weights} changed one by one ({share:.2%})"
    )
    print(f"  literals  {report.literals} bytes")
    print(f"  plan      {report.plan} bytes")
    print(
        f"  files     {len(report.changed)} changed, {len(report.added)} added,"
        f" {len(report.removed)} removed, {report.copied} stay"
    )
    print(f"  base      {report.base_sha256}")
    print(f"  result    {report.result_sha256}")
    tried = "not tried" if report.apply_seconds is None else f"{report.apply_seconds * 1e3:.0f} ms"
    print(f"  made in   {report.create_seconds * 1e3:.0f} ms; applied in {tried}")
    if args.json is not None:
        import dataclasses

        args.json.write_text(json.dumps(dataclasses.asdict(report), indent=2) + "\n")
    return 0


def _overlay(args: argparse.Namespace) -> int:
    from converters.updates.overlay_maker import make_overlay

    if args.hashed is not None or args.no_verify or args.json is not None:
        print("error: --overlay goes with BASE, NEW and --out alone", file=sys.stderr)
        return 2
    report = make_overlay(args.base, args.new, args.out)
    share = report.changed_weights / report.total_weights
    print(
        f"wrote {args.out}: {report.size} bytes, {report.changed_weights} of"
        f" {report.total_weights} weights changed ({share:.2%})"
    )
    print(f"  layout    {report.layout_sha256}")
    return 0


def _hashed(args: argparse.Namespace) -> Any:
    """The hashed diff that was given, or None.

    Raises:
        OSError: The file cannot be read.
        ValueError: It does not hold int8 values, or the other options do not fit.
    """
    if args.hashed is None:
        return None
    import numpy as np

    from agent.update.hashed_diff import MOST_BUCKETS
    from converters.updates.diff_maker import HashedDelta

    values = np.load(args.hashed, allow_pickle=False)
    if values.dtype != np.int8 or values.ndim != 1 or not 1 <= len(values) <= MOST_BUCKETS:
        raise ValueError(f"{args.hashed} must hold a vector of 1 to {MOST_BUCKETS} int8 values")
    if not args.hashed_file or not 0 <= args.seed < 1 << 64:
        raise ValueError("--hashed needs --hashed-file, and a --seed of 0 to 2**64 - 1")
    return HashedDelta(args.seed, values, tuple(args.hashed_file))


def _bench(args: argparse.Namespace) -> int:
    import dataclasses

    from rich.console import Console

    import firmware_models
    from converters.updates.diff_bench import measure

    console = Console()
    # Lines of the tables are not broken, also where nobody reads them from a terminal.
    console.width = max(console.width, 160)
    bundle = args.base or firmware_models.factory_bundle()
    figures = []
    with console.status("measuring") as status:
        for line in measure(bundle):
            figures.append(line)
            status.update(f"{line.model} {line.case}: {line.size} bytes, {line.ratio:.4f}")
    console.print("Bytes of each way to send the change:", _sizes(figures), sep="\n")
    console.print("What it costs:", _costs(figures), sep="\n")
    if args.json is not None:
        table = [dataclasses.asdict(line) | {"ratio": line.ratio} for line in figures]
        args.json.write_text(json.dumps(table, indent=2) + "\n")
    return 0


def _sizes(figures: list[Any]) -> Any:
    names = list(dict.fromkeys(name for line in figures for name in line.rivals))
    rows = []
    for line in figures:
        others = [line.rivals.get(name) for name in names]
        sizes = ("-" if size is None else str(size) for size in others)
        rows.append(
            (line.model, line.case, f"{line.bound:.0f}", f"{line.size} ({line.ratio:.3f})", *sizes)
        )
    return _table(("model", "changed", "bound", "diff (over bound)", *names), rows)


def _costs(figures: list[Any]) -> Any:
    columns = ("create, CPU ms", "apply, CPU ms", "apply adds, MB")
    rows = []
    for line in figures:
        times = (f"{time * 1e3:.0f}" for time in (line.create, line.apply))
        rows.append((line.model, line.case, *times, f"{line.memory / 1e6:.1f}"))
    return _table(("model", "changed", *columns), rows)


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Any:
    """A table that can be put into a Markdown file as it is."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.MARKDOWN)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number > 1 else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
