"""Handing a submission in, with what it is worth as its message."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.ensemble.outputs import DESCRIPTION_JSON
from melanoma.errors import RunError, TableError
from melanoma.files import read_object, sha256_of
from melanoma.kaggle.client import Accepted, Client, RetryPolicy, Score, submissions_page
from melanoma.kaggle.failures import RefusedError, UnreachableError
from melanoma.kaggle.follow import Say, Watch, say_now
from melanoma.kaggle.job import COMPETITION
from melanoma.run_folder import RunFolder
from melanoma.tables import (
    SUBMISSION_COLUMNS,
    TARGET,
    check_image_names,
    check_probabilities,
    read_table,
)

_REBUILD = "Build it again with scripts/build_submission.py."


@dataclass(frozen=True)
class Submitted:
    """What was handed in.

    Attributes:
        what: The file, or the version of a kernel.
        competition: Its name in its address.
        message: That it was handed in with.
        answer: What Kaggle said.
    """

    what: str
    competition: str
    message: str
    answer: Accepted


def submit_run(
    kaggle: Client, run_dir: Path, message: str = "", competition: str = COMPETITION
) -> Submitted:
    """Submit `submission.csv` of a run or blend.

    Args:
        kaggle: As `client.connect` gives it.
        run_dir: With submission.csv, and submission.json for the message.
        message: Instead of the estimate.
        competition: Its name in its address.

    Raises:
        TableError: If the file is not there, or is none that can be handed in.
        RunError: If it is not the file that submission.json describes, or there is none and no
            message is given.
        RefusedError: If Kaggle does not take it.
        KaggleError: If Kaggle cannot be reached, or not by us.
    """
    path = check_submission(run_dir)
    message = message or describe(run_dir)
    return Submitted(str(path), competition, message, kaggle.submit(path, message, competition))


def submit_kernel(
    kaggle: Client,
    ref: str,
    version: int,
    run_dir: Path | None = None,
    message: str = "",
    competition: str = COMPETITION,
) -> Submitted:
    """Submit a version of a kernel to a code competition, which runs it on the hidden test set.

    Args:
        kaggle: As `client.connect` gives it.
        ref: `owner/slug` of a kernel that writes submission.csv.
        version: Of the kernel, as the push has named it.
        run_dir: A run or blend at home, whose estimate is the message.
        message: Instead of the estimate.
        competition: Its name in its address.

    Raises:
        RunError: If the run has no estimate, and no message is given.
        RefusedError: If Kaggle does not take it.
        KaggleError: If Kaggle cannot be reached, or not by us.
    """
    what = f"{ref}, version {version}"
    message = message or (what if run_dir is None else describe(run_dir))
    name = RunFolder(Path()).submission_csv.name
    answer = kaggle.submit_kernel(ref, version, name, message, competition)
    return Submitted(what, competition, message, answer)


def await_score(
    kaggle: Client,
    submitted: Submitted,
    policy: RetryPolicy | None = None,
    say: Say = say_now,
) -> Score:
    """Wait until Kaggle has scored what was handed in, and say what it is worth.

    Ctrl-C ends the waiting, not the submission.

    Args:
        kaggle: As `client.connect` gives it.
        submitted: What is waited for.
        policy: How often to look, and how long Kaggle may be away.
        say: Shows a line.

    Raises:
        RefusedError: If Kaggle could not score it, with its reason.
        KaggleError: If Kaggle stays away.
    """
    policy = policy or RetryPolicy()
    watch, before, answer = Watch(policy, say, "submission"), "", submitted.answer
    try:
        while True:
            score = watch.ask(
                lambda: kaggle.score(submitted.competition, answer.number, submitted.message)
            )
            if score is not None and score.status != "PENDING":
                break
            if score is not None and score.status != before:
                before = score.status
                say(f"{submitted.what}: is being scored")
            policy.sleep(policy.interval_s)
    except (KeyboardInterrupt, UnreachableError):
        say(f"{submitted.what} is scored at Kaggle: {submissions_page(submitted.competition)}")
        raise
    if score.status == "ERROR":
        why = score.error.rstrip(".") or "no reason is given"
        raise RefusedError(
            f"{submitted.what}: could not be scored: {why}. See "
            f"{submissions_page(submitted.competition)}."
        )
    shown = [f"{kind} {text}" for kind, text in (("public", score.public), ("private", score.private))
             if text]  # fmt: skip
    say(f"{submitted.what}: scored, {', '.join(shown) or 'no score is shown'}")
    return score


def check_submission(run_dir: Path) -> Path:
    """Check that a folder holds a submission that can be handed in.

    Raises:
        TableError: If the file is missing, no CSV file with image_name and target and nothing else,
            names an image twice, or holds a target that is not in [0, 1].
        RunError: If it is not the file that submission.json describes.
    """
    path = RunFolder(run_dir).submission_csv
    table = read_table(path, SUBMISSION_COLUMNS)
    if list(table.columns) != SUBMISSION_COLUMNS:
        raise TableError(
            f"{path}: has the columns {', '.join(map(str, table.columns))}; Kaggle wants "
            f"{', '.join(SUBMISSION_COLUMNS)} and nothing else. {_REBUILD}"
        )
    check_image_names(table, path)
    check_probabilities(table, TARGET, path, _REBUILD)
    made = read_object(run_dir / DESCRIPTION_JSON).get("outputs") or {}
    if path.name in made and made[path.name] != sha256_of(path):
        raise RunError(
            f"{path}: has changed since {DESCRIPTION_JSON} beside it was written, so that nothing is "
            f"known of its worth. {_REBUILD}"
        )
    return path


def describe(run_dir: Path) -> str:
    """The message of a submission: what was blended and how, and its estimate.

    Raises:
        RunError: If submission.json is missing or says nothing.
    """
    path = run_dir / DESCRIPTION_JSON
    content = read_object(path)
    try:
        return _describe(run_dir.name, content)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path}: is missing, or does not say what the submission is made of ({error}). {_REBUILD} "
            "Or give a message of your own with --message."
        ) from error


def _describe(name: str, content: dict[str, Any]) -> str:
    runs, row = content["runs"], content["chosen"]
    blended = f"{content['method']} of {len(runs)} runs" if len(runs) > 1 else "one run"
    if row is None:
        return f"{name}: {blended}, no out-of-fold estimate"
    nested = "nested " if row["nested"] else ""
    context = ", with context" if content.get("context") else ""
    return (
        f"{name}: {blended}{context}, {len(content['folds'])} folds, {nested}pooled AUC "
        f"{row['pooled_auc']:.4f} ({row['low']:.4f}-{row['high']:.4f})"
    )
