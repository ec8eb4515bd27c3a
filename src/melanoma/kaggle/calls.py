"""What scripts/push_kernel.py is called for: push, follow, submit, wheels."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path, PurePath

from melanoma.errors import ConfigError, name_some
from melanoma.kaggle.build import Kernel, build_kernels, describe
from melanoma.kaggle.client import Client, connect
from melanoma.kaggle.download import Home, bring_home
from melanoma.kaggle.failures import KaggleError
from melanoma.kaggle.follow import End, follow, say_now
from melanoma.kaggle.job import COMPETITION
from melanoma.kaggle.options import KernelOptions
from melanoma.kaggle.parts import check_packages
from melanoma.kaggle.queueing import Queue
from melanoma.kaggle.settings import check_sources
from melanoma.kaggle.submit import await_score, submit_kernel, submit_run
from melanoma.kaggle.wheels import WheelOptions, build_wheels, upload_wheels
from melanoma.run_folder import RUNS, RunFolder
from melanoma.verification.runs import verify_run

# Of --mode push, beside the folders of the kernels.
_QUEUE = "queue.json"


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
    recipe, run_dir = kernels[0].recipe, RUNS / kernels[0].job.run
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
        brought = bring_home(kaggle, ref_alone, home, files)
    except KaggleError as error:
        end.check()  # a kernel that has failed may have left nothing: that is not the news then
        raise error
    if brought.left_out:
        say_now(f"left at Kaggle, as --files asks: {name_some(brought.left_out)}")
    is_in_order = _is_in_order(home.run_dir, brought.left_out)
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
