"""Training every run of a sweep from one queue of folds, and blending those that are finished."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from melanoma.ensemble.blending import MethodChoice
from melanoma.ensemble.submission import Submission
from melanoma.errors import MelanomaError, RunError
from melanoma.run_locks import hold_call
from melanoma.sweeping.blend import blend, check_blend
from melanoma.sweeping.runs import SweepRun, share_of
from melanoma.training.budget import TimeBudget
from melanoma.training.jobs import jobs_of, missing_of
from melanoma.training.launch import Launcher, begin_run, finish_run, open_launcher
from melanoma.training.processes import Job, JobQueue


@dataclass
class Sweep:
    """What a sweep came to.

    Attributes:
        built: The blend of the finished runs; None where there is none.
        failed: Why, for each run that has failed.
        missing: What is left to do, for each run that was stopped.
    """

    built: Submission | None = None
    failed: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def as_text(self) -> str:
        """The table of the ensembler, a line per run that is not in it, and what to hand in."""
        lines = [f"{title}: {what}" for title, what in self.missing.items()]
        if lines:
            lines.append("stopped: the same command goes on from there.")
        if self.built is None:
            return "\n".join(lines)
        return "\n\n".join(filter(None, [self.built.as_text(), *lines, str(self.built.path)]))

    def check(self) -> None:
        """Say which runs have failed.

        Raises:
            RunError: If some have.
        """
        if self.failed:
            reasons = " ".join(f"{title}: {why}" for title, why in self.failed.items())
            raise RunError(f"{len(self.failed)} run(s) of the sweep failed. {reasons}")


def sweep(runs: Sequence[SweepRun], output_dir: Path, method: MethodChoice = "mean") -> Sweep:
    """Train the folds of all runs that are not finished, then blend the finished runs.

    A run that fails loses no other one. Ctrl-C, SIGTERM and the time budget stop all with a
    checkpoint each.

    Args:
        runs: Checked.
        output_dir: Where the blend is written.
        method: Of blending, as scripts/build_submission.py has them.

    Raises:
        MelanomaError: Before training, if a run folder or a cluster cannot be used, or the runs
            could not be blended.
    """
    done = Sweep()
    is_trial = bool(runs[0].config.trainer.get("fast_dev_run"))
    if not is_trial:
        check_blend(runs, output_dir, method)
    with ExitStack() as held:
        for run in sorted(runs, key=lambda run: run.config.run_dir):
            held.enter_context(hold_call(run.folder, run.asked))
        launcher = held.enter_context(open_launcher([run.config for run in runs], share_of(runs)))
        try:
            _train(runs, launcher, done)
        except KeyboardInterrupt:
            print(flush=True)
        for run in runs:
            missing = missing_of(run.config, run.folder, run.asked)
            if missing and run.title not in done.failed:
                done.missing[run.title] = missing
    whole = [run for run in runs if run.title not in done.failed | done.missing]
    if whole and not is_trial:
        done.built = blend(whole, output_dir, method)
    return done


def _train(runs: Sequence[SweepRun], launcher: Launcher, done: Sweep) -> None:
    to_train = [begin_run(run.config, run.folder, run.asked, launcher, run.title) for run in runs]
    first = runs[0].config
    budget = TimeBudget(first.time_budget_s, Path(first.data["data_dir"]))
    queue = JobQueue(
        _jobs(run, folds, budget, launcher, done) for run, folds in zip(runs, to_train)
    )
    codes = launcher.run(queue, budget.deadline)
    for run in runs:
        own = {name: code for name, code in codes.items() if name.startswith(f"{run.title}, fold")}
        try:
            finish_run(run.config, run.folder, run.asked, own, budget)
        except MelanomaError as error:
            done.failed.setdefault(run.title, str(error))


def _jobs(
    run: SweepRun, folds: Sequence[int], budget: TimeBudget, launcher: Launcher, done: Sweep
) -> Iterator[Job]:
    side_by_side = launcher.side_by_side
    try:
        yield from jobs_of(run.config, run.folder, folds, budget, side_by_side, run.title)
    except MelanomaError as error:  # such as a disk that is full, of this run alone
        done.failed[run.title] = str(error)
