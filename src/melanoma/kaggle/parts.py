"""What goes into a kernel beside its job, and what the user should know of it."""

from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError
from melanoma.folds.files import description_path, read_fold_column
from melanoma.kaggle.bundle import source_files
from melanoma.kaggle.options import KernelOptions
from melanoma.kaggle.packages import packages_to_bring
from melanoma.kaggle.project import project_root
from melanoma.kaggle.recipe import Recipe, resolve_recipe
from melanoma.kaggle.tracked import Tracked, look_up
from melanoma.models.attached import weights_name

# Of the scheme by which scripts/create_folds.py makes folds unless it is told otherwise.
_DEFAULT_FOLDS = 5
_ON_KAGGLE = Path("/kaggle")


@dataclass(frozen=True)
class Parts:
    """What a kernel is made of.

    Attributes:
        files: By their paths in the bundle.
        folds_csv: The fold file's path among them; empty for none.
        recipe: Resolved; None where nothing is trained.
        tracked: What git knows of the files.
        folds: The folds that are trained; None where nothing is trained.
    """

    files: dict[str, bytes]
    folds_csv: str
    recipe: Recipe | None
    tracked: Tracked
    folds: tuple[int, ...] | None


def collect_parts(options: KernelOptions) -> Parts:
    """Read all that a kernel, or the kernels of its folds, are made of.

    Args:
        options: Checked.

    Raises:
        MelanomaError: If the recipe would be refused, or a file cannot be used.
    """
    root = project_root()
    files = source_files(root)
    tracked = list(files)
    if options.config is None:
        return Parts(files, "", None, look_up(root, tracked), None)
    recipe = _resolve(options, options.config)
    config = Path(options.config)
    files[f"configs/{config.name}"] = config.read_bytes()
    tracked.append(_name_in(root, config))
    path = _fold_file(options, recipe)
    folds = tuple(_folds(options, recipe, path))
    if path is None:
        return Parts(files, "", recipe, look_up(root, tracked), folds)
    # Data, which are never committed, so that git is not asked about them.
    files |= {f"folds/{path.name}": path.read_bytes()}
    if (described := description_path(path)).is_file():
        files |= {f"folds/{described.name}": described.read_bytes()}
    return Parts(files, f"folds/{path.name}", recipe, look_up(root, tracked), folds)


def weights_to_attach(options: KernelOptions, recipe: Recipe | None) -> list[str]:
    """Names of files of weights that the kernel has to find in what is attached."""
    if recipe is None or recipe.weights == "none":
        return []
    if recipe.weights != "imagenet":
        return [Path(recipe.weights).name]
    return [] if options.internet else [weights_name(recipe.backbone)]


def check_packages(options: KernelOptions) -> None:
    """Check that the kernel can get what the image lacks: without, it would end as soon as it starts.

    Raises:
        ConfigError: If it can not.
    """
    attached = options.datasets or options.run_datasets or options.data
    if not options.internet and not attached and (lacking := _lacking(options)):
        raise ConfigError(
            f"{options.id}: Kaggle's image is not known to have {lacking}, and nothing is attached "
            "that could. Attach the dataset that scripts/push_kernel.py wheels makes, with "
            "--datasets, or let the kernel fetch them with --internet."
        )


def notes_on(options: KernelOptions, parts: Parts) -> tuple[str, ...]:
    """What the user should know before it travels."""
    weights = [*weights_to_attach(options, parts.recipe), *options.weights]
    notes = [
        parts.tracked.as_text(),
        _note_on_folds(parts),
        f"weights: {', '.join(weights)} must be in an attached dataset" if weights else "",
        _note_on_packages(options),
    ]
    if options.accelerator == "tpu":
        notes.append("training on Kaggle's TPU has not been tried on a real one")
    return tuple(note for note in notes if note)


def _resolve(options: KernelOptions, config: str) -> Recipe:
    recipe = resolve_recipe(config, options.overrides, options.folds)
    external = recipe.external_csv
    if external and not external.is_relative_to(_ON_KAGGLE):
        raise ConfigError(
            f"--data.external_csv {external}: photographs of another year are not sent along. Attach "
            "them with --datasets, and give the path that they have on Kaggle (/kaggle/input/...)."
        )
    return recipe


def _name_in(root: Path, path: Path) -> str:
    """Its path in the project; the whole path of a file elsewhere."""
    whole = path.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)


def _fold_file(options: KernelOptions, recipe: Recipe) -> Path | None:
    path = options.folds_csv or recipe.folds_csv
    return path if path.is_file() else None


def _folds(options: KernelOptions, recipe: Recipe, path: Path | None) -> list[int]:
    """The folds that are asked for, in that order, each once.

    Raises:
        ConfigError: If one does not exist.
    """
    known = list(range(_DEFAULT_FOLDS))
    if path is not None:
        column = read_fold_column(path, recipe.fold_column)
        known = sorted({int(fold) for fold in column if fold >= 0})
    if options.folds == "all":
        return known
    asked = list(dict.fromkeys(int(number) for number in options.folds.split(",")))
    if missing := [fold for fold in asked if fold not in known]:
        whose = path or "the folds that the kernel makes by default"
        raise ConfigError(
            f"--fold {options.folds}: there is no fold {', '.join(map(str, missing))} in {whose}, but "
            f"{', '.join(map(str, known))}."
        )
    return asked


def _note_on_folds(parts: Parts) -> str:
    if parts.recipe is None:
        return ""
    if parts.folds_csv:
        return f"fold file: {parts.folds_csv} travels along"
    return (
        f"fold file: there is no {parts.recipe.folds_csv}, so the kernel makes the folds as "
        "scripts/create_folds.py does by default"
    )


def _lacking(options: KernelOptions) -> str:
    lacking = packages_to_bring([options.accelerator], options.mode)
    return ", ".join(f"{r.name} {r.version}" for r in lacking)


def _note_on_packages(options: KernelOptions) -> str:
    wheels = "an attached dataset (scripts/push_kernel.py wheels), as the internet is off"
    where = "the internet, where no attached dataset has them" if options.internet else wheels
    return f"packages that the image is not known to have: {_lacking(options)}; from {where}"
