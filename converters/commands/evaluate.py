"""``voice-converters evaluate``: what a bundle hears right, on real and on synthetic speech.

By default the recogniser is measured: word and character errors, exactly right sentences, all
slots right, by speaker, and what was taken for what. With --wake the wake word is: misses, false
accepts, delays.

    voice-converters evaluate --pool .cache/pools/test --pool .cache/pools/cells --real REAL
        --float RUN --noise --over .cache/pools/dev --pocketsphinx --json figures.json

writes figures.json, figures.md with the tables, figures_noise.png and figures_confusions.png.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "measure a bundle on real and synthetic speech"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments; those of the wake word only when it is asked for."""
    parser.add_argument("--wake", action="store_true", help="measure the wake word instead")
    if "--wake" in sys.argv:
        from converters.evaluation import wake

        wake.configure(parser)
        return
    add = parser.add_argument
    add("--bundle", type=Path, metavar="DIR", help="model bundle (default: the factory bundle)")
    add("--pool", type=Path, action="append", default=[], metavar="DIR",
        help="synthetic pool of kind test or cells (may be repeated); each of its cells is a set")
    add("--real", type=Path, metavar="DIR", help="folder with manifests/*.jsonl and recordings")
    add("--corpus", action="append", default=[], metavar="lhotse:DIR:SPLIT",
        help="split of a corpus that lhotse has prepared (may be repeated)")
    add("--splits", nargs="+", default=["test"], metavar="SPLIT",
        help="splits of the real recordings (default: test)")
    add("--limit", type=int, metavar="N", help="at most N sentences of each cell and corpus")
    add("--float", dest="checkpoint", type=Path, metavar="RUN",
        help="also decode greedily, with the bundle and with the float weights of a training run, "
             "and compare pair by pair")
    add("--noise", action="store_true",
        help="also hear everyday commands in noise of 20 to 0 dB and in rooms, all from --real")
    add("--over", type=Path, metavar="POOL",
        help="also hear the synthetic commands over the speech of this pool, 5 dB weaker")
    add("--pocketsphinx", action="store_true",
        help="also hear everything with PocketSphinx, with its own language model and with one "
             "of our commands")
    add("--part", type=int, default=200, metavar="N",
        help="how many sentences of each set the last three hear (default: %(default)s)")
    add("--json", type=Path, metavar="FILE",
        help="also write the figures as JSON, and the tables and pictures beside it")
    add("--errors", type=int, default=0, metavar="N", help="show the first N wrong sentences")


def main(args: argparse.Namespace) -> int:
    """Runs the evaluation; returns the exit status."""
    if args.wake:
        from converters.evaluation import wake

        return int(wake.run(args))
    return _recogniser(args)


def _recogniser(args: argparse.Namespace) -> int:
    import firmware_models
    from converters.evaluation import pocketsphinx
    from converters.evaluation.conditions import noise_conditions
    from converters.evaluation.sets import EvaluationSet, corpus_sets, pool_sets, real_sets
    from converters.evaluation.whole_run import Evaluation

    sets: list[EvaluationSet] = []
    for pool in args.pool:
        sets += pool_sets(pool, args.limit)
    if args.real is not None:
        sets += real_sets(args.real, set(args.splits))
    sets += corpus_sets(args.corpus, args.limit)
    conditions = noise_conditions(args.real) if args.noise and args.real is not None else []
    problem = None
    if not sets:
        problem = "there is nothing to recognise; give --pool, --real or --corpus"
    elif args.noise and not conditions:
        problem = "--noise needs --real with recordings of noises (aed_esc10) or rooms (rir)"
    elif args.over is not None and not any(s.everyday and not s.real for s in sets):
        problem = "--over needs a --pool of kind test, which holds plain commands"
    elif args.pocketsphinx and not pocketsphinx.installed():
        problem = "--pocketsphinx needs it installed: pip install pocketsphinx"
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    evaluation = Evaluation(args.bundle or firmware_models.factory_bundle(), sets, part=args.part)
    evaluation.as_shipped()
    if args.checkpoint is not None:
        evaluation.against_float(args.checkpoint)
    if conditions:
        evaluation.in_noise(conditions)
    if args.over is not None:
        evaluation.over_speech(args.over)
    if args.pocketsphinx:
        evaluation.against_pocketsphinx()
    evaluation.show_errors(args.errors)
    if args.json is not None:
        evaluation.write(args.json)
    return 0
