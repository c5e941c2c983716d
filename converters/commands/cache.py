"""List what is kept on disk, or remove what was unused longest.

Examples:
    voice-converters cache
    voice-converters cache --prune --limit-gb 20
"""

from __future__ import annotations

import argparse
import time

from converters import cache

HELP = "list or prune what is kept on disk"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--prune", action="store_true", help="remove entries above the limit")
    parser.add_argument(
        "--limit-gb", type=float, default=cache.DEFAULT_LIMIT_GB, help="size that may remain"
    )


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    root = cache.cache_root()
    if args.prune:
        for entry in cache.prune(root, int(args.limit_gb * 1e9)):
            print(f"removed {entry.path} ({entry.size / 1e9:.2f} GB)")
    listed = cache.entries(root)
    for entry in listed:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        print(f"{entry.size / 1e9:8.3f} GB  {when}  {entry.path}")
    print(f"{sum(e.size for e in listed) / 1e9:8.3f} GB  in {root}")
    return 0
