"""What scripts/push_kernel.py is called for: push, follow, submit, wheels; and its command line."""

import re
import shlex
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from jsonargparse import ArgumentParser

from melanoma.errors import ConfigError, name_some
from melanoma.kaggle.build import Kernel, build_kernels, check_packages, describe
from melanoma.kaggle.client import Client, connect
from melanoma.kaggle.download import Home, bring_home
from melanoma.kaggle.failures import KaggleError
from melanoma.kaggle.follow import End, follow, say_now
from melanoma.kaggle.job import ACCELERATORS, COMPETITION, KernelOptions, check_sources
from melanoma.kaggle.queueing import Queue
from melanoma.kaggle.submit import await_score, submit_kernel, submit_run
from melanoma.kaggle.wheels import WheelOptions, build_wheels, upload_wheels
from melanoma.run_folder import RUNS, RunFolder
from melanoma.verification.runs import verify_run

Call = Callable[[], int]

CALLS = ("push", "follow", "submit", "wheels")

# Of --mode push, beside the folders of the kernels.
_QUEUE = "queue.json"
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


def push(options: KernelOptions, dry_run: bool = False, follow: bool = False) -> int:
    """Build a kernel, or one per fold, and push it; several are queued and followed to their ends.

    Returns:
        An exit code: 0, or 1 where a kernel that was followed has failed or left something broken.

    Raises:
        MelanomaError: If an option is wrong, nothing can be built, or Kaggle refuses.
    """
    kernels = build_kernels(options)
    say_now(describe(kernels))
    check_packages(options)
    if dry_run:
        say_now("not pushed, as --dry-run asks")
        return 0
    kaggle = connect()
    recipe, run_dir = kernels[0].recipe, RUNS / kernels[0].job.run_name
    home = Home(run_dir, recipe.data_dir, recipe.folds_csv) if recipe else Home(run_dir)
    if len(kernels) > 1:
        return _queue(kaggle, kernels, options.output_dir, home)
    pushed = kaggle.push(kernels[0].folder, kernels[0].id)
    say_now(f"pushed version {pushed.version}: {pushed.url}")
    if pushed.remarks:
        say_now(pushed.remarks)
    if follow:
        return _to_the_end(kaggle, pushed.versioned_ref, home)
    say_now(
        f"how it gets on, and what it leaves to be fetched: {_follow_command(pushed.ref, home)}"
    )
    return 0


def follow_kernel(ref: str, home: Home, files: str = "") -> int:
    """Follow a kernel that was pushed before to its end, and fetch what it leaves.

    Args:
        ref: `owner/slug`.
        home: Where its run is to be on this machine.
        files: Regular expression of the names to fetch; empty for all.

    Returns:
        An exit code, as `push`.

    Raises:
        MelanomaError: If the kernel has failed, or Kaggle cannot be reached.
    """
    return _to_the_end(connect(), ref, home, files)


def submit(
    run_dir: Path | None = None,
    message: str = "",
    competition: str = COMPETITION,
    kernel: str = "",
    version: int = 0,
) -> int:
    """Hand in `submission.csv` of a run or blend, or a kernel, and wait for its score.

    Args:
        run_dir: Of the run or blend; of a kernel, the run at home whose estimate is the message.
        message: Instead of the estimate.
        competition: Its name in its address.
        kernel: `owner/slug`, for a code competition; empty to hand in a file.
        version: Of the kernel.

    Returns:
        0.

    Raises:
        MelanomaError: If it is no submission, or Kaggle refuses it or cannot score it.
    """
    check_sources("--kernel", [kernel] if kernel else [])
    if bool(kernel) != (version > 0):
        raise ConfigError(
            "--kernel and --version: belong together. The push has named the version, and it is on "
            "the kernel's page."
        )
    if run_dir is None and not kernel:
        raise ConfigError(
            "--run-dir or --kernel: say what is handed in, a run's submission.csv or a kernel."
        )
    kaggle = connect()
    if kernel:
        submitted = submit_kernel(kaggle, kernel, version, run_dir, message, competition)
    elif run_dir is not None:
        submitted = submit_run(kaggle, run_dir, message, competition)
    say_now(f"{submitted.what}: {submitted.answer.message}\n{submitted.message}")
    await_score(kaggle, submitted)
    return 0


def bring_wheels(options: WheelOptions, dry_run: bool = False) -> int:
    """Build the dataset that kernels without internet need, and upload it.

    Returns:
        0.

    Raises:
        MelanomaError: If a wheel cannot be built, or Kaggle refuses.
    """
    wheels = build_wheels(options)
    say_now(wheels.as_text())
    if dry_run:
        say_now("not uploaded, as --dry-run asks")
        return 0
    upload_wheels(connect(), wheels)
    return 0


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


def _queue(kaggle: Client, kernels: Sequence[Kernel], folder: Path, home: Home) -> int:
    run, folds = RunFolder(home.run_dir), {one.id: int(one.job.folds) for one in kernels}

    def fetch(end: End) -> None:
        bring_home(kaggle, end.ref, home, is_part=True)

    def is_home(ref: str) -> bool:
        return run.fold(folds[ref]).is_done

    folders = {one.id: one.folder for one in kernels}
    queued = Queue(kaggle, folders, folder / _QUEUE, fetch, is_home).run()
    say_now(queued.as_text())
    return queued.exit_code or int(not _is_in_order(home.run_dir))


def _to_the_end(kaggle: Client, ref: str, home: Home, files: str = "") -> int:
    ref_alone = "/".join(ref.split("/")[:2])
    end = follow(kaggle, ref, again=_follow_command(ref_alone, home, files))
    try:
        left_out = bring_home(kaggle, ref_alone, home, files)
    except KaggleError as error:
        end.check()  # a kernel that has failed may have left nothing: that is not the news then
        raise error
    if left_out:
        say_now(f"left at Kaggle, as --files asks: {name_some(left_out)}")
    is_in_order = _is_in_order(home.run_dir, left_out)
    end.check()
    return int(not is_in_order)


def _follow_command(ref: str, home: Home, files: str = "") -> str:
    """The command that follows a kernel, with what of it is not the default."""
    words = ["python", "scripts/push_kernel.py", "follow", "--id", ref]
    words += ["--run-dir", str(home.run_dir)]
    usual = Home(home.run_dir)
    words += [] if home.data_dir == usual.data_dir else ["--data-dir", str(home.data_dir)]
    words += [] if home.folds_csv == usual.folds_csv else ["--folds-csv", str(home.folds_csv)]
    return shlex.join([*words, *(["--files", files] if files else [])])


def _is_in_order(run_dir: Path, left_out: Collection[str] = ()) -> bool:
    """Check what is there of a run; what is only a blend has nothing to be checked by."""
    if not RunFolder(run_dir).config_yaml.is_file():
        return True
    verified = verify_run(run_dir)
    say_now(verified.as_text())
    left = {run_dir.joinpath(*PurePath(name).parts[2:]) for name in left_out}
    return all(finding.path in left for finding in verified.damages)
