"""`voice-agent`: finds the command and loads only its module.

So `listen` never loads what `link` needs for the network, and `link` nothing that hears. A command
is a module of `agent.commands` with `HELP`, `configure(parser)` and `main(args) -> exit status`.

Exit status: 0 done, 1 failed, 2 wrong arguments or configuration, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from agent import __version__
from agent.errors import ConfigError, VoiceAgentError

COMMANDS = (
    "run",
    "listen",
    "link",
    "transcribe",
    "wake",
    "replay",
    "meter",
    "bench",
    "config",
    "update",
)
"""In the order of the help text; each is a module of `agent.commands`."""

_DESCRIPTION = "Offline voice agent: wake word, streaming recognition, results over MQTT."
_EPILOG = """\
examples:
  voice-agent run                              play the bundled recording and watch
  voice-agent run --source alsa:default        listen to the microphone
  voice-agent transcribe --json clip.wav       recognise a recording
  voice-agent config default                   print all settings

`voice-agent COMMAND --help` explains a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The arguments, without the program's name; those of the process by default.

    Returns:
        The exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # One thread for everything; NumPy's library would start one for each core when it is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    parser, modules = _parser(arguments[0] if arguments else "")
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return 2
    try:
        return int(modules[args.command].main(args))
    except VoiceAgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as with `| head`; Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser(chosen: str) -> tuple[argparse.ArgumentParser, dict[str, ModuleType]]:
    """The parser of the chosen command, or of all of them for the overview."""
    parser = argparse.ArgumentParser(
        prog="voice-agent",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"voice-agent {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    modules = {}
    for name in [chosen] if chosen in COMMANDS else COMMANDS:
        module = importlib.import_module(f"agent.commands.{name}")
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=(module.__doc__ or module.HELP).strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
        modules[name] = module
    return parser, modules


if __name__ == "__main__":
    sys.exit(main())
