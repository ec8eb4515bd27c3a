"""The command line of scripts/push_kernel.py."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from melanoma.kaggle.calls import bring_wheels, follow_kernel, push, submit
from melanoma.kaggle.download import Home
from melanoma.kaggle.job import ACCELERATORS, COMPETITION
from melanoma.kaggle.options import KernelOptions
from melanoma.kaggle.wheels import WheelOptions

Call = Callable[[], int]

CALLS = ("push", "follow", "submit", "wheels")

# Settings of a recipe, which scripts/train_folds.py understands.
_OVERRIDE = re.compile(r"--(data|model|trainer)\.")
_LISTS = {
    "runs": "kernels whose outputs are used, owner/slug each",
    "run_datasets": "datasets that hold runs, owner/slug each",
    "datasets": "further datasets to attach, owner/slug each: wheels, weights",
    "models": "models of Kaggle to attach, owner/model/framework/variation/version each",
    "weights": "names of files of weights in the datasets, beside those of the recipe",
    "allow_secrets": "names of finds that are no secrets, as the message has them; for this call",
}
_SWITCHES = {
    "internet": "let the kernel fetch packages and published weights",
    "resume": "go on from what the last version of this very kernel has left",
    "one_kernel_per_fold": "push a kernel for each fold, called <slug>-fold-<k>, two at a time",
    "dry_run": "build and check, but do not push",
    "follow": "show how it gets on until it ends, and fetch what it leaves into runs/",
}


def parse_call(arguments: list[str], description: str) -> Call:
    """What the command line asks for; exits with code 2 where it cannot be parsed.

    Args:
        arguments: The first may be push (which may be left out), follow, submit or wheels.
        description: Of the script, for `--help`.
    """
    reads = {"push": _push, "follow": _follow, "submit": _submit, "wheels": _wheels}
    name = arguments[0] if arguments and arguments[0] in CALLS else "push"
    rest = arguments[1:] if arguments[:1] == [name] else arguments
    return reads[name](call_parser(name, description), rest)


def call_parser(name: str, description: str) -> ArgumentParser:
    """The parser of one call: push, follow, submit or wheels.

    Args:
        name: Of the call.
        description: Of the script.
    """
    adds = {
        "push": _add_push,
        "follow": _add_follow,
        "submit": _add_submit,
        "wheels": _add_wheels,
    }
    others = ", ".join(other for other in CALLS if other != name)
    parser = ArgumentParser(
        prog=f"push_kernel.py {name}",
        description=f"{description} Further calls: {others}; see push_kernel.py {{call}} --help.",
        allow_abbrev=False,
    )
    adds[name](parser)
    return parser


def split_overrides(arguments: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Tell settings of the recipe from what is said of the kernel.

    Returns:
        The arguments without them, and the settings, each as --name=value.

    >>> split_overrides(["--fold", "0", "--data.image_size", "384", "--", "--seed=1"])
    (['--fold', '0'], ('--data.image_size=384', '--seed=1'))
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    own, overrides = [], []
    words = iter(arguments[:end])
    for word in words:
        if not _OVERRIDE.match(word):
            own.append(word)
        elif "=" in word:
            overrides.append(word)
        else:
            overrides.append(f"{word}={next(words, '')}")
    return own, (*overrides, *arguments[end + 1 :])


def _add_push(parser: ArgumentParser) -> None:
    parser.add_class_arguments(KernelOptions, skip={"overrides", *_LISTS, *_SWITCHES})
    _add_lists(parser, _LISTS)
    _add_switches(parser, _SWITCHES)


def _push(parser: ArgumentParser, arguments: list[str]) -> Call:
    own, overrides = split_overrides(arguments)
    given = _parsed(parser, own)
    dry_run, follow = given.pop("dry_run"), given.pop("follow")
    return partial(push, KernelOptions(**given, overrides=overrides), dry_run, follow)


def _add_follow(parser: ArgumentParser) -> None:
    parser.add_argument("--id", required=True, help="the kernel, owner/slug")
    parser.add_argument("--run_dir", type=Path, required=True, help="where its run is to be here")
    parser.add_argument("--data_dir", type=Path, default=Home.data_dir, help="the data here")
    parser.add_argument("--folds_csv", type=Path, default=Home.folds_csv, help="the folds here")
    parser.add_argument(
        "--files",
        default="",
        help="regular expression of the names to fetch, such as '(csv|json|npz)$' to leave networks",
    )


def _follow(parser: ArgumentParser, arguments: list[str]) -> Call:
    given = _parsed(parser, arguments)
    home = Home(given["run_dir"], given["data_dir"], given["folds_csv"])
    return partial(follow_kernel, given["id"], home, given["files"])


def _add_submit(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--run_dir", type=Path, default=None, help="a run or blend; with --kernel, for the message"
    )
    parser.add_argument("--kernel", default="", help="owner/slug, for a code competition")
    parser.add_argument(
        "--version", type=int, default=0, help="of the kernel, as the push named it"
    )
    parser.add_argument("--message", default="", help="by default made of the run's estimate")
    parser.add_argument("--competition", default=COMPETITION, help="slug of the competition")


def _submit(parser: ArgumentParser, arguments: list[str]) -> Call:
    return partial(submit, **_parsed(parser, arguments))


def _add_wheels(parser: ArgumentParser) -> None:
    parser.add_class_arguments(WheelOptions, skip={"overrides", "accelerators"})
    _add_lists(parser, {"accelerators": "machines whose images are completed; by default all"})
    _add_switches(parser, {"dry_run": "build, but do not upload"})


def _wheels(parser: ArgumentParser, arguments: list[str]) -> Call:
    own, overrides = split_overrides(arguments)
    given = _parsed(parser, own)
    dry_run = given.pop("dry_run")
    given["accelerators"] = given["accelerators"] or tuple(ACCELERATORS)
    return partial(bring_wheels, WheelOptions(**given, overrides=overrides), dry_run)


def _add_lists(parser: ArgumentParser, lists: dict[str, str]) -> None:
    for name, description in lists.items():
        parser.add_argument(f"--{name}", nargs="+", type=str, default=[], help=description)


def _add_switches(parser: ArgumentParser, switches: dict[str, str]) -> None:
    for name, description in switches.items():
        parser.add_argument(f"--{name}", action="store_true", help=description)


def _parsed(parser: ArgumentParser, arguments: list[str]) -> dict[str, Any]:
    parsed = parser.instantiate(parser.parse_args(arguments))
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(parsed).items()
    }
