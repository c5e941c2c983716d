"""``voice-converters train-asr``: from pools and recordings to a recogniser's weights.

Several GPUs (or processes) share the work with torchrun:

    torchrun --nproc-per-node 4 -m converters.cli train-asr --corpus lhotse:DIR --out RUN
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.asr import compression, methods

HELP = "train the recogniser; interrupt and repeat the command to go on"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("--pool", type=Path, action="append", default=[], metavar="DIR",
        help="synthetic command speech made by `synthesise` (may be repeated)")
    add("--corpus", action="append", default=[], metavar="lhotse:DIR[:SPLIT]",
        help="corpus that lhotse has prepared: its manifests' folder, and one split of it "
             "(default: those called train; may be repeated)")
    add("--dev-corpus", action="append", default=[], metavar="lhotse:DIR:SPLIT",
        help="split to watch the training on (may be repeated)")
    add("--dev-utterances", type=int, default=150, metavar="N",
        help="at most N of the development pool and of each corpus (default: %(default)s)")
    add("--wake-pool", type=Path, action="append", default=[], metavar="DIR",
        help="synthetic wake words: heard before commands, never transcribed")
    add("--dev-pool", type=Path, metavar="DIR", help="a voice that is never trained on")
    add("--real", type=Path, metavar="DIR",
        help="folder with manifests/*.jsonl and recordings; without it: synthetic speech only")
    add("--phrase", default="computer", help="the wake phrase (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="checkpoint, log and features")
    add("--minutes", type=float, default=70.0,
        help="time to train, over all restarts (default: %(default)s)")
    add("--steps", type=int, metavar="N",
        help="train for N steps instead: comparable on a busy machine")
    add("--features", type=Path, metavar="DIR",
        help="where feature shards are kept (default: OUT/features)")
    add("--from", dest="start", type=Path, metavar="DIR",
        help="start from the weights of a bundle or of another run")
    add("--hidden", type=int, default=256, help="width of the encoder (default: %(default)s)")
    add("--layers", type=int, default=4, help="LSTM layers (default: %(default)s)")
    add("--rate", type=float, default=1.2e-3, help="peak learning rate (default: %(default)s)")
    add("--warm-steps", type=int, default=300, help="steps of rising rate (default: %(default)s)")
    add("--dropout", type=float, default=0.1,
        help="share of channels dropped (default: %(default)s)")
    add("--hear-share", type=float, metavar="SHARE",
        help="share of the time in which the encoder learns phones alone (default: 0.25, and 0 "
             "with --from)")
    add("--phone-weight", type=float, default=0.3,
        help="weight of the phone loss beside the transducer's (default: %(default)s)")
    add("--real-share", type=float, default=0.2,
        help="share of real utterances (default: %(default)s)")
    add("--batch-frames", type=int, default=4000,
        help="40 ms frames in a batch over all processes (default: %(default)s)")
    add("--copies", type=int, default=3, help="augmented copies of each synthetic utterance")
    add("--corpus-copies", type=int, default=1,
        help="augmented copies of each utterance of a corpus, 46 MB an hour (default: %(default)s)")
    add("--preparers", type=int, default=1, metavar="N",
        help="processes that make features in the background (default: %(default)s)")
    add("--builders", type=int, default=0, metavar="N",
        help="processes that make batches ahead: with a GPU, all cores but two (default: none)")
    add("--threads", type=int, default=os.cpu_count() or 1, help="compute threads")
    add("--device", default="", help="cpu or cuda (default: cuda where there is one)")
    add("--seed", type=int, default=1)
    add("--evaluate-minutes", type=float, default=6.0,
        help="between checkpoints with an evaluation (default: %(default)s)")
    compression.add_options(parser)
    methods.add_options(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the training; returns the exit status."""
    import torch
    from torch import distributed

    from converters.asr.development import development_sets
    from converters.asr.encoder import Shape
    from converters.asr.prepare import Plan
    from converters.asr.schedule import Schedule
    from converters.asr.supply import Supply
    from converters.asr.train import Trainer
    from converters.asr.training_run import Run
    from converters.corpora.selection import chosen_splits, indexed

    if not args.pool and not args.corpus:
        print("error: there is nothing to learn from; give --pool or --corpus", file=sys.stderr)
        return 2
    if not args.pool and args.hear_share:
        print("error: --hear-share needs a --pool: only there is known which phones are heard",
              file=sys.stderr)  # fmt: skip
        return 2
    if args.mwer_weight and args.start is None:
        print("error: --mwer-weight needs --from: it refines what can already read",
              file=sys.stderr)  # fmt: skip
        return 2
    if args.labels != "letters" and args.start is not None:
        print("error: --labels begins anew; --from brings its own labels along", file=sys.stderr)
        return 2
    weights = None
    shape = Shape(hidden=args.hidden, layers=args.layers, long_memory=args.long_memory)
    if args.start is not None:
        shape, weights = _start(args.start)
    if args.mwer_weight and shape.long_memory:
        print("error: --mwer-weight reads with the board's beam, which knows predictors of two "
              "labels only; --from has a long memory", file=sys.stderr)  # fmt: skip
        return 2
    splits = chosen_splits(args.corpus, args.dev_corpus)
    rank = int(os.environ.get("RANK", "0"))
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if "RANK" in os.environ:
        distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    torch.set_num_threads(args.threads)

    folder = args.features or args.out / "features"
    if rank == 0:
        indexed(splits, folder, print)
    plan = Plan(
        folder=folder,
        pools=tuple(args.pool),
        wake_pools=tuple(args.wake_pool),
        real=args.real,
        wake_phrase=args.phrase,
        copies=args.copies,
        corpora=tuple(split.digest() for split in splits),
        corpus_copies=args.corpus_copies,
        seed=args.seed,
    )
    supply = Supply(plan, args.preparers if rank == 0 else 0)
    supply.wait()
    units = _units(args, supply)
    shape = replace(shape, labels=units.count)

    # A run brings its simple joiner along, a bundle does not.
    windows_known = args.start is not None and (args.start / "checkpoint.pt").exists()
    hear_share = args.hear_share
    if hear_share is None:
        hear_share = 0.25 if weights is None and args.pool else 0.0
    schedule = Schedule(
        minutes=args.minutes,
        steps=args.steps,
        average=args.average,
        peak_rate=args.rate,
        warm_steps=args.warm_steps,
        hear_share=hear_share,
        phone_weight=args.phone_weight,
        pruned_from=0 if windows_known else Schedule.pruned_from,
    )
    trainer = Trainer(
        args.out, shape, schedule, device=device, seed=args.seed, dropout=args.dropout,
        weights=weights, methods=methods.chosen(args), compression=compression.chosen(args),
    )  # fmt: skip
    sets = []
    if rank == 0:
        sets = development_sets(args.real, args.dev_pool, args.dev_utterances, args.dev_corpus)
    run = Run(args, trainer, supply, sets, units, rank)
    if not trainer.resume() and weights is None:
        run.measure_normalisation()
    run.go()
    supply.stop()
    if distributed.is_initialized():
        distributed.destroy_process_group()
    return 0


def _units(args: argparse.Namespace, supply: Any) -> Any:
    """What is written; the first process decides, and keeps it for the others."""
    from torch import distributed

    from converters.asr.units import chosen_units

    if args.labels == "letters":
        return chosen_units(args.labels, [], args.out)
    material = supply.material()
    texts = [clip.text for clip in (*material.synthetic, *material.real) if clip.text]
    if not distributed.is_initialized():
        return chosen_units(args.labels, texts, args.out)
    if distributed.get_rank() == 0:
        chosen_units(args.labels, texts, args.out)
    distributed.barrier()
    return chosen_units(args.labels, texts, args.out)


def _start(path: Path) -> tuple[Any, dict[str, Any]]:
    """Shape and state of a bundle or of a run's averaged model."""
    if (path / "checkpoint.pt").exists():
        from converters.asr.checkpoint import load_recogniser

        model = load_recogniser(path)
        return model.shape, model.state_dict()
    from converters.export.warm_start import read_weights

    return read_weights(path)
