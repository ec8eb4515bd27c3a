"""What a kernel without internet is brought: wheels and published weights, in one flat folder.

Kaggle unpacks archives of a dataset, but not wheels; nothing but pure wheels is made, because the
Python of an image changes (3.12 in 2026-08, where Colab's had moved to 3.13 already).
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma.children import run_child
from melanoma.errors import ConfigError, MelanomaError, name_bytes, name_some
from melanoma.files import write_text, writing_explained
from melanoma.kaggle.client import Client, RetryPolicy
from melanoma.kaggle.failures import RefusedError, UnreachableError
from melanoma.kaggle.follow import Say, say_now
from melanoma.kaggle.job import ACCELERATORS, Requirement, check_sources, project_root
from melanoma.kaggle.packages import packages_to_bring
from melanoma.kaggle.recipe import resolve_recipe

METADATA = "dataset-metadata.json"
_PURE = ("-py3-none-any.whl", "-py2.py3-none-any.whl")


class WheelError(MelanomaError):
    """A package cannot be made into a wheel that any Python can use."""


@dataclass(frozen=True)
class WheelOptions:
    """What to bring, and as which dataset.

    Attributes:
        id: of the dataset, owner/slug
        accelerators: machines whose images are to be completed: t4x2, tpu, cpu; by default all
        config: a recipe whose published weights are brought along, such as configs/baseline.yaml
        overrides: further options for scripts/train_folds.py, each written --name=value
        title: of the dataset; by default its slug
        output_dir: folder to write; what is in it is replaced
    """

    id: str
    accelerators: tuple[str, ...] = tuple(ACCELERATORS)
    config: str | None = None
    overrides: tuple[str, ...] = ()
    title: str | None = None
    output_dir: Path = Path("build/wheels")


@dataclass(frozen=True)
class Wheels:
    """A folder that can be uploaded as a dataset.

    Attributes:
        folder: Flat.
        id: Of the dataset.
        files: Names in it, with sizes in bytes, without its metadata.
    """

    folder: Path
    id: str
    files: dict[str, int]

    def as_text(self) -> str:
        """A line per file."""
        lines = [f"    {name}: {name_bytes(size)}" for name, size in self.files.items()]
        return "\n".join([f"{self.id}, {name_bytes(sum(self.files.values()))}:", *lines])


def build_wheels(options: WheelOptions) -> Wheels:
    """Build the wheels that Kaggle's images lack, and fetch the published weights of a recipe.

    Raises:
        MelanomaError: If an option is wrong, or a wheel or weights cannot be had.
    """
    check_sources("--id", [options.id])
    if not 6 <= len(options.id.rpartition("/")[2]) <= 50:
        raise ConfigError(f"--id {options.id}: Kaggle takes 6 to 50 characters after the slash.")
    unknown = [name for name in options.accelerators if name not in ACCELERATORS]
    if unknown:
        raise ConfigError(
            f"--accelerators {name_some(unknown)}: not known. Choose from {', '.join(ACCELERATORS)}."
        )
    backbone = _backbone_to_fetch(options)
    folder = options.output_dir
    _empty(folder)
    _run_pip(packages_to_bring(options.accelerators), folder)
    if backbone:
        _save_weights(backbone, folder)
    write_text(folder / METADATA, _dataset_metadata(options))
    files = sorted(path for path in folder.iterdir() if path.name != METADATA)
    return Wheels(folder, options.id, {path.name: path.stat().st_size for path in files})


def upload_wheels(
    kaggle: Client,
    wheels: Wheels,
    policy: RetryPolicy | None = None,
    limit_s: float = 1800.0,
    say: Say = say_now,
) -> None:
    """Make a dataset of the folder, or a new version of it, and wait until it can be used.

    Args:
        kaggle: As `client.connect` gives it.
        wheels: As `build_wheels` gives them.
        policy: How often to look.
        limit_s: How long to wait until it is ready.
        say: Shows a line.

    Raises:
        RefusedError: If Kaggle does not take it, or cannot process it.
        KaggleError: If Kaggle cannot be reached, or not by us.
    """
    ref, policy = wheels.id, policy or RetryPolicy()
    before = kaggle.dataset(ref)
    which = "a new" if before else "the first"
    size = name_bytes(sum(wheels.files.values()))
    say(f"{ref}: uploading {len(wheels.files)} files, {size}, as {which} version")
    kaggle.send_dataset(wheels.folder, ref, "wheels and weights", is_new=before is None)
    version = before.version + 1 if before and before.version else 0
    page = f"https://www.kaggle.com/datasets/{ref}"
    said = "not there"
    for _ in range(max(1, round(limit_s / policy.interval_s))):
        try:
            state = kaggle.dataset(ref)
        except UnreachableError as error:
            state, said = None, str(error)
        if state is not None:
            said = f"{state.status}, version {state.version}"
            if state.status in ("failed", "deleted"):
                raise RefusedError(
                    f"{ref}: Kaggle could not process the dataset ({state.status}). Look at {page}, "
                    "and upload it again."
                )
            if state.status == "ready" and state.version >= version:
                say(f"ready: {page}; attach it with --datasets {ref}")
                return
        policy.sleep(policy.interval_s)
    raise RefusedError(
        f"{ref}: not ready after {limit_s / 60:.0f} minutes ({said}). Look at {page}; a kernel can use "
        "it once it is processed."
    )


def pip_command(requirements: Sequence[Requirement], folder: Path) -> list[str]:
    """The command line that makes wheels, also of packages that publish none (efficientnet-pytorch).

    Every version is exact: of efficientnet-pytorch, 0.3.0 is the last that published a wheel, and
    asking for wheels alone would quietly take it.
    """
    exact = [f"{known.name}=={known.version}" for known in requirements]
    options = ["--no-deps", "--no-input", "--disable-pip-version-check", "--quiet"]
    return [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), *exact]


def check_pure(folder: Path) -> None:
    """Check that every wheel of a folder fits any Python 3 on any machine.

    Raises:
        WheelError: Naming those that do not.
    """
    compiled = sorted(p.name for p in folder.glob("*.whl") if not p.name.endswith(_PURE))
    if compiled:
        raise WheelError(
            f"{name_some(compiled)}: compiled for one Python and machine, and may not fit Kaggle's. "
            "What is compiled has to come from the image, or be installed with the internet on."
        )


def _run_pip(requirements: Sequence[Requirement], folder: Path) -> None:
    done = run_child(pip_command(requirements, folder))
    if done.returncode:
        raise WheelError(
            f"pip has failed with exit code {done.returncode}; the reason is above. It needs the "
            "internet, or an index of its own (PIP_INDEX_URL)."
        )
    check_pure(folder)


def _backbone_to_fetch(options: WheelOptions) -> str | None:
    if not options.config:
        return None
    recipe = resolve_recipe(options.config, options.overrides, "0")
    if recipe.weights != "imagenet":
        raise ConfigError(
            f"--config {options.config}: starts from weights {recipe.weights}, so there are no "
            "published ones to bring. Leave the option out."
        )
    return recipe.backbone


def _save_weights(backbone: str, folder: Path) -> None:
    # In a process of its own: torch is no part of this one.
    source = str(project_root() / "src")
    environment = {**os.environ, "PYTHONPATH": source}
    command = [sys.executable, "-m", "melanoma.models", "--backbone", backbone]
    command += ["--output_dir", str(folder)]
    done = run_child(command, env=environment)
    if done.returncode:
        raise MelanomaError(f"the weights of {backbone} cannot be had; the reason is above.")


def _empty(folder: Path) -> None:
    """Make the folder, without what an earlier call has left in it.

    Raises:
        ConfigError: If somebody else's files are in it.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / METADATA).is_file():
        raise ConfigError(
            f"--output_dir {folder}: has files in it, and is no dataset that was built here. Choose "
            "another folder."
        )
    with writing_explained(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def _dataset_metadata(options: WheelOptions) -> str:
    slug = options.id.rpartition("/")[2]
    content = {
        "title": options.title or slug.replace("-", " "),
        "id": options.id,
        # Each package has its own, which lies in its wheel.
        "licenses": [{"name": "other"}],
    }
    return json.dumps(content, indent=2) + "\n"
