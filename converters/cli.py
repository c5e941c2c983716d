"""`voice-converters`: the table of commands; only the chosen one's module is imported."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import VoiceAgentError


@dataclass(frozen=True)
class _Command:
    name: str
    summary: str

    @property
    def module(self) -> str:
        return "converters.commands." + self.name.replace("-", "_")


COMMANDS = (
    _Command("synthesise", "make a pool of synthetic speech"),
    _Command("train-wake", "train a wake word model"),
    _Command("train-asr", "train the streaming recogniser"),
    _Command("train-language", "count which labels follow each other"),
    _Command("adapt", "let a bundle learn one person's voice"),
    _Command("export", "turn trained weights into a model bundle"),
    _Command("evaluate", "measure a bundle on synthetic and real speech"),
    _Command("curves", "draw how trainings went, and what real speech was worth"),
    _Command("diff", "make the diff from one bundle to another, or measure diffs"),
    _Command("apply", "apply a diff to a bundle, as a board does"),
    _Command("keys", "make, list and replace the keys that sign releases"),
    _Command("publish", "sign releases and publish them to the broker"),
    _Command("fleet", "see who runs what; halt or resume a rollout"),
    _Command("cache", "list or prune what is kept on disk"),
)


def _overview() -> str:
    width = max(len(command.name) for command in COMMANDS)
    rows = "\n".join(f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS)
    return (
        f"usage: voice-converters COMMAND ...\n\n{rows}\n\n"
        "voice-converters COMMAND --help tells more."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        Exit status: 0 done, 1 failed, 2 wrongly used.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in {"-h", "--help", "help"}:
        print(_overview())
        return 0 if given else 2
    chosen = next((command for command in COMMANDS if command.name == given[0]), None)
    if chosen is None:
        print(f"error: There is no command {given[0]!r}.\n\n{_overview()}", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(chosen.module)
        parser = argparse.ArgumentParser(
            f"voice-converters {chosen.name}",
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(parser)
        return int(module.main(parser.parse_args(given[1:])))
    except ModuleNotFoundError as error:
        print(
            f"error: {chosen.name} needs the module {error.name}: "
            "install voice-agent with its extra, pip install 'voice-agent[converters]'.",
            file=sys.stderr,
        )
        return 2
    except VoiceAgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
