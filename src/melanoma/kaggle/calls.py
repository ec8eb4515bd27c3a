"""What scripts/push_kernel.py is called for: push, follow, submit, wheels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma.kaggle.build import Kernel, build_kernels
from melanoma.kaggle.connection import connect
from melanoma.kaggle.datasets import dataset_page, upload_dataset
from melanoma.kaggle.download import download_run
from melanoma.kaggle.failures import KaggleError
from melanoma.kaggle.follow import End, follow, say_now
from melanoma.kaggle.job import COMPETITION
from melanoma.kaggle.options import KernelOptions
from melanoma.kaggle.parts import check_packages
from melanoma.kaggle.push import push_kernel
from melanoma.kaggle.queueing import push_all
from melanoma.kaggle.service import Kaggle
from melanoma.kaggle.submit import submit_run
from melanoma.kaggle.wheels import WheelOptions, build_wheels
from melanoma.run_folder import RUNS, RunFolder
from melanoma.verification.runs import verify_run

# Of --mode push, beside the folders of the kernels.
_QUEUE = "queue.json"


@dataclass(frozen=True)
class Home:
    """Where what a kernel has left belongs on this machine.

    Attributes:
        data_dir: The competition folder.
        folds_csv: The fold file.
    """

    data_dir: Path = Path("input") / COMPETITION
    folds_csv: Path = Path("folds/folds.csv")


def push(options: KernelOptions, dry_run: bool = False, follow: bool = False) -> int:
    """Build a kernel, or one per fold, and push it; several are queued and followed to their ends.

    Returns:
        An exit code: 0, or 1 where a kernel that was followed has failed or left something broken.

    Raises:
        MelanomaError: If an option is wrong, nothing can be built, or Kaggle refuses.
    """
    kernels = build_kernels(options)
    for kernel in kernels:
        say_now(kernel.as_text())
    if dry_run:
        say_now("not pushed, as --dry-run asks")
        return 0
    check_packages(options)
    kaggle = connect()
    recipe = kernels[0].recipe
    home = Home(recipe.data_dir, recipe.folds_csv) if recipe else Home()
    if len(kernels) > 1:
        return _queue(kaggle, kernels, options.output_dir, home)
    pushed = push_kernel(kaggle, kernels[0].folder)
    say_now(f"pushed version {pushed.version}: {pushed.url}")
    if pushed.remarks:
        say_now(pushed.remarks)
    run_dir = RUNS / kernels[0].job.run
    if follow:
        return _to_the_end(kaggle, pushed.versioned_ref, run_dir, home)
    say_now(
        f"scripts/push_kernel.py follow --id {pushed.ref} --run-dir {run_dir} shows how it gets on "
        "and fetches what it leaves"
    )
    return 0


def follow_kernel(ref: str, run_dir: Path, home: Home) -> int:
    """Follow a kernel that was pushed before to its end, and fetch what it leaves.

    Args:
        ref: `owner/slug`.
        run_dir: Where its run is to be on this machine.
        home: Of the data here.

    Returns:
        An exit code, as `push`.

    Raises:
        MelanomaError: If the kernel has failed, or Kaggle cannot be reached.
    """
    return _to_the_end(connect(), ref, run_dir, home)


def submit(run_dir: Path, message: str = "", competition: str = COMPETITION) -> int:
    """Hand in `submission.csv` of a run or blend.

    Returns:
        0.

    Raises:
        MelanomaError: If it is no submission, or Kaggle refuses it.
    """
    submitted = submit_run(connect(), run_dir, message, competition)
    say_now(f"{submitted.path}: {submitted.answer}\n{submitted.message}")
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
    ref = upload_dataset(connect(), wheels.folder, "wheels and weights")
    say_now(f"ready: {dataset_page(ref)}; attach it with --datasets {ref}")
    return 0


def _queue(kaggle: Kaggle, kernels: Sequence[Kernel], folder: Path, home: Home) -> int:
    run_dir = RUNS / kernels[0].job.run

    def fetch(end: End) -> None:
        download_run(kaggle, [end.ref], run_dir, home.data_dir, home.folds_csv)

    queued = push_all(kaggle, [one.folder for one in kernels], folder / _QUEUE, ended=fetch)
    say_now(queued.as_text())
    is_fine = _verify([run_dir])
    return queued.exit_code or int(not is_fine)


def _to_the_end(kaggle: Kaggle, ref: str, run_dir: Path, home: Home) -> int:
    end = follow(kaggle, ref)
    try:
        download_run(kaggle, [ref], run_dir, home.data_dir, home.folds_csv)
    except KaggleError as error:
        end.check()  # a kernel that has failed may have left nothing: that is not the news then
        raise error
    is_fine = _verify([run_dir])
    end.check()
    return int(not is_fine)


def _verify(run_dirs: Iterable[Path]) -> bool:
    """Check what is there of runs; what is only a blend has nothing to be checked by."""
    verified = [verify_run(path) for path in run_dirs if RunFolder(path).config_yaml.is_file()]
    for one in verified:
        say_now(one.as_text())
    return all(one.is_undamaged for one in verified)
