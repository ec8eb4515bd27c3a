"""What a kernel is asked to do: written beside the code when it is built, read when it starts.

Nothing but the standard library is imported here: when a kernel starts, packages may be missing.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from melanoma.errors import ConfigError

Mode = Literal["train", "predict", "ensemble"]
COMPETITION = "siim-isic-melanoma-classification"
# What prediction, submission and the end of the session are left, beyond the time budget.
MARGIN_S = 1800


@dataclass(frozen=True)
class Accelerator:
    """A kind of machine that Kaggle lends.

    Attributes:
        name: As users give it.
        machine_shape: As Kaggle's API has it (kaggle 2.2.5, `kernels push --help`); empty for none.
        kind: cpu, cuda or tpu.
        n_devices: How many GPUs or TPU cores it has.
        session_s: How long a session may last, in seconds.
    """

    name: str
    machine_shape: str
    kind: Literal["cpu", "cuda", "tpu"]
    n_devices: int
    session_s: int


# A P100 is not offered any more, and a single T4 never was.
ACCELERATORS = {
    known.name: known
    for known in (
        Accelerator("cpu", "", "cpu", 0, 12 * 3600),
        Accelerator("t4x2", "NvidiaTeslaT4", "cuda", 2, 12 * 3600),
        Accelerator("tpu", "TpuV5E8", "tpu", 8, 9 * 3600),
    )
}


@dataclass(frozen=True)
class Requirement:
    """A package that the kernel needs.

    Attributes:
        name: Of the distribution, as on PyPI.
        version: What is installed where the image has none that fits; empty for the newest of the
            specifier.
        specifier: Which versions will do, such as `>=2.8`; empty for any.
    """

    name: str
    version: str
    specifier: str = ""


@dataclass(frozen=True)
class Job:
    """What a kernel is asked to do.

    Attributes:
        mode: Train folds (then predict, and build a submission); predict with trained folds; or
            blend runs.
        run: Name of the run; what is written goes to `runs/<run>` of the working folder.
        config: The recipe, by its path in the bundle; empty unless the mode is train.
        overrides: Further options of scripts/train_folds.py.
        folds: `all`, or numbers, as for `--fold`.
        folds_csv: The fold file, by its path in the bundle; empty to make it there.
        accelerator: Name of the machine asked for, a key of `ACCELERATORS`.
        time_budget_s: Seconds after its start at which the kernel has to have ended.
        internet: Whether the kernel has it.
        competition: Whose data are attached; empty for none.
        data: Dataset with resized copies, `owner/slug`; empty to use the competition's photographs.
        runs: Kernels whose outputs are attached, and datasets that hold runs, `owner/slug`: weights
            to predict with, runs to blend.
        resume: Whether the run goes on from what an earlier version of this kernel has left.
        method: Of the blend, as for `build_submission.py --method`.
        weights: Names of files of weights that are looked for in what is attached.
        requirements: Packages, in the order in which they are installed.
        commit: Of the code, with a note where files differ from it; empty where it is not known.
    """

    mode: Mode
    run: str
    config: str = ""
    overrides: tuple[str, ...] = ()
    folds: str = "0"
    folds_csv: str = ""
    accelerator: str = "t4x2"
    time_budget_s: int = ACCELERATORS["t4x2"].session_s - MARGIN_S
    internet: bool = False
    competition: str = COMPETITION
    data: str = ""
    runs: tuple[str, ...] = ()
    resume: bool = False
    method: str = "mean"
    weights: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    commit: str = ""

    @property
    def machine(self) -> Accelerator:
        """The machine asked for."""
        return ACCELERATORS[self.accelerator]

    def as_json(self) -> str:
        """For `job.json`; the same job gives the same text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def parse_job(text: str) -> Job:
    """Read what `Job.as_json` has written.

    Raises:
        ConfigError: If it is no job.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        lists = {name: tuple(content[name]) for name in ("overrides", "runs", "weights")}
        requirements = tuple(Requirement(**known) for known in content["requirements"])
        return Job(**{**content, **lists, "requirements": requirements})
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"job.json: cannot be read ({error}). Build the kernel again with scripts/push_kernel.py."
        ) from error
