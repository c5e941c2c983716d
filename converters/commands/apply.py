"""``voice-converters apply``: a bundle and a diff become the next bundle, as on a board.

    voice-converters apply command_en-1 1-2.diff --out command_en-2

This is the very code that boards run. BASE is only read; DIR must be empty or not exist yet. If
BASE is not the bundle that the diff starts from, or if the diff is damaged, nothing of DIR may be
used and the exit status is 1. `--header` only tells which bundles the diff is for.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

HELP = "apply a diff to a bundle"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("base", type=Path, metavar="BASE", help="bundle that the diff starts from")
    add("diff", type=Path, metavar="DIFF", help="file that `voice-converters diff` made")
    add("--out", type=Path, metavar="DIR", help="folder for the new bundle")
    add("--header", action="store_true", help="only print what the diff says about itself")


def main(args: argparse.Namespace) -> int:
    """Applies the diff; returns the exit status.

    Raises:
        DiffError: The diff does not fit, is damaged, or the disk failed.
    """
    from agent.update.diff_format import apply_diff, bundle_digest, read_header

    if args.out is None and not args.header:
        print("error: give --out DIR, or --header", file=sys.stderr)
        return 2
    try:
        stream = args.diff.open("rb")
    except OSError as error:
        print(f"error: {args.diff} cannot be read ({error.strerror})", file=sys.stderr)
        return 1
    with stream:
        header = read_header(stream)
        if args.header:
            print(f"format  {header.format}")
            print(f"base    {header.base_sha256}")
            print(f"result  {header.result_sha256}, {header.result_bytes} bytes")
            return 0
        begun = time.perf_counter()
        files = apply_diff(stream, args.base, args.out)
        spent = time.perf_counter() - begun
    size = sum(file.length for file in files)
    print(f"wrote {args.out}: {len(files)} files, {size} bytes, in {spent * 1e3:.0f} ms")
    print(f"result  {bundle_digest(files)}")
    return 0
