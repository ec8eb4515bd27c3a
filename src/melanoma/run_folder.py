"""The folder of a run: where each step leaves what the next one reads."""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from melanoma.errors import RunError, name_some
from melanoma.files import NOT_READABLE, find_leftovers, read_object, write_json, write_text
from melanoma.locking import LOCKS, hold

# The folder of all runs, each by its name.
RUNS = Path("runs")

# In done.json, of what a fold has predicted: the table, and the names and sizes of the photographs.
TEST_SHA256 = "test_sha256"
TEST_PHOTOGRAPHS = "test_photographs_sha256"

# Which checkpoint predicts, in config.yaml and done.json. Runs that name none predict from the best.
PREDICT_FROM, LAST, BEST = "predict_from", "last", "best"
# Settings that were added later: the value that all runs had before.
EARLIER_VALUES = {PREDICT_FROM: BEST}

# May differ when a run is taken up again: they say where things are and what is shown on the way,
# not what comes out. The tables behind the paths are compared by their checksums.
_TOP_K = "top_k"
_FREE_SETTINGS = {
    "run_dir",
    "resume",
    "logger",
    "photographs",
    "checkpoint_every_n_steps",
    "data.data_dir",
    "data.data_cache",
    "data.data_cache_size",
    "data.folds_csv",
    "data.external_csv",
    "data.cache",
    "data.num_workers",
    "trainer.log_every_n_steps",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
}


@dataclass(frozen=True)
class FoldFolder:
    """`runs/<name>/fold_<k>`: what one fold's training leaves."""

    path: Path

    @property
    def number(self) -> int:
        """Of the fold."""
        return int(self.path.name.removeprefix("fold_"))

    @property
    def title(self) -> str:
        """As messages name it: `fold 0`."""
        return self.path.name.replace("_", " ")

    @property
    def lock(self) -> Path:
        """Of what writes here; beside the folder, which is removed when the fold is repeated."""
        return self.path.parent / LOCKS / f"{self.path.name}.lock"

    @property
    def best_checkpoint(self) -> Path:
        """The weights of the epoch with the best validation AUC."""
        return self.path / "best.ckpt"

    @property
    def last_checkpoint(self) -> Path:
        """The state after the last epoch, from which an interrupted fold goes on."""
        return self.path / "last.ckpt"

    @property
    def metrics_csv(self) -> Path:
        """A row per epoch."""
        return self.path / "metrics.csv"

    @property
    def epochs_npz(self) -> Path:
        """The validation predictions of every epoch; see `melanoma.epoch_predictions`."""
        return self.path / "epochs.npz"

    @property
    def oof_csv(self) -> Path:
        """Predictions of the fold's validation images, by the networks that never saw them."""
        return self.path / "oof.csv"

    @property
    def test_csv(self) -> Path:
        """Predictions of the test images, which scripts/predict_folds.py makes of all folds at once."""
        return self.path / "test.csv"

    @property
    def predicting_checkpoint(self) -> Path:
        """The checkpoint that the finished fold predicts with, `last.ckpt` or `best.ckpt`.

        Raises:
            RunError: If `done.json` cannot be read.
        """
        return self.checkpoint_of(self.read_done().get(PREDICT_FROM, BEST))

    def checkpoint_of(self, predict_from: str) -> Path:
        """The checkpoint of the last or of the best epoch."""
        return self.last_checkpoint if predict_from == LAST else self.best_checkpoint

    @property
    def done_json(self) -> Path:
        """Written last: its presence says that everything else is there and whole."""
        return self.path / "done.json"

    @property
    def is_done(self) -> bool:
        """Whether the fold is finished."""
        return self.done_json.is_file()

    @property
    def is_begun(self) -> bool:
        """Whether training has left a state from which it goes on."""
        return self.last_checkpoint.is_file()

    @property
    def is_predicted(self) -> bool:
        """Whether the finished fold has test predictions: `done.json` names them, last of all."""
        return self.test_csv.is_file() and self.test_csv.name in self.read_done().get("files", {})

    def read_done(self) -> dict[str, Any]:
        """The content of `done.json`.

        Raises:
            RunError: If it cannot be read.
        """
        try:
            content = json.loads(self.done_json.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("it holds no JSON object")
        except NOT_READABLE as error:
            raise RunError(
                f"{self.done_json}: cannot be read ({error}). Train that fold again with --overwrite."
            ) from error
        return content

    def clear(self) -> None:
        """Remove what an earlier training left, `done.json` first.

        Raises:
            RunError: If another process is at work in the folder.
        """
        if self.path.exists():
            with hold(self.lock, f"{self.title} is being removed"):
                self.done_json.unlink(missing_ok=True)
                shutil.rmtree(self.path)

    def leftovers(self) -> list[Path]:
        """Half-written files, sorted: of a process at work here, or of one that was killed."""
        folders = [self.path, *(path for path in self.path.glob("*") if path.is_dir())]
        return sorted(path for folder in folders for path in find_leftovers(folder))


@dataclass(frozen=True)
class RunFolder:
    """`runs/<name>`: one configuration, trained on each fold."""

    path: Path

    @property
    def config_yaml(self) -> Path:
        """The whole resolved configuration."""
        return self.path / "config.yaml"

    @property
    def tables_json(self) -> Path:
        """The SHA-256 of the tables the run is made from."""
        return self.path / "tables.json"

    @property
    def record_json(self) -> Path:
        """What the run was made of: versions, hardware, seed, tables, photographs, commit."""
        return self.path / "run.json"

    @property
    def heads(self) -> tuple[Path, ...]:
        """What training leaves beside the folds; everything else there is of a blend or report."""
        return self.config_yaml, self.tables_json, self.record_json

    @property
    def oof_csv(self) -> Path:
        """The out-of-fold predictions of all folds together."""
        return self.path / "oof.csv"

    @property
    def submission_csv(self) -> Path:
        """What is handed in."""
        return self.path / "submission.csv"

    def fold(self, number: int) -> FoldFolder:
        """The folder of fold `number`."""
        return FoldFolder(self.path / f"fold_{number}")

    def finished_folds(self) -> list[int]:
        """The numbers of the folds that are done, sorted."""
        return _numbers(path.parent for path in self._done_files())

    def begun_folds(self) -> list[int]:
        """The numbers of the folds that have a folder, finished or not, sorted."""
        return _numbers(self.path.glob("fold_*"))

    def check_finished(self, folds: list[int]) -> None:
        """Check that each of the folds is done.

        Raises:
            RunError: Naming those that are not, and how to train them.
        """
        missing = sorted(set(folds) - set(self.finished_folds()))
        if missing:
            raise RunError(
                f"{self.path}: fold {name_some(missing)} not finished. Train with "
                f"scripts/train_folds.py --config {self.config_yaml} "
                f"--fold {','.join(map(str, missing))}."
            )

    def check_one_test_set(self, folds: Iterable[int]) -> None:
        """Check that folds have predicted the same test table and photographs, as done.json has it.

        Raises:
            RunError: Naming the folds that have not; their predictions must not be averaged.
        """
        done = {fold: read_object(self.fold(fold).done_json) for fold in folds}
        for fingerprint in (TEST_SHA256, TEST_PHOTOGRAPHS):
            of_value: dict[str, list[int]] = {}
            for fold, content in done.items():
                if fingerprint in content:
                    of_value.setdefault(str(content[fingerprint]), []).append(fold)
            if len(of_value) > 1:
                groups = [f"fold {name_some(group)}" for group in of_value.values()]
                raise RunError(
                    f"{self.path}: {' and '.join(groups)} predicted different test sets (their "
                    f"{fingerprint} in done.json differ). Predict all of them again with "
                    f"scripts/predict_folds.py --run-dir {self.path} --overwrite."
                )

    def read_config(self) -> dict[str, Any]:
        """The configuration the run was started with.

        A setting that did not exist at that time has the value of that time (`EARLIER_VALUES`).

        Raises:
            RunError: If this is no run folder, or its configuration cannot be read.
        """
        if not self.config_yaml.is_file():
            raise RunError(
                f"{self.path}: no run folder, it has no config.yaml. Give the folder that "
                "scripts/train_folds.py wrote, such as runs/baseline."
            )
        try:
            content = yaml.safe_load(self.config_yaml.read_text(encoding="utf-8"))
        except (*NOT_READABLE, yaml.YAMLError) as error:
            raise RunError(
                f"{self.config_yaml}: cannot be read ({error}). Restore it, or choose another run "
                "folder."
            ) from error
        if not isinstance(content, dict):
            raise RunError(f"{self.config_yaml}: holds no settings. Train again with --overwrite.")
        return EARLIER_VALUES | content

    def take(self, config: str, tables: dict[str, str], replaceable: bool) -> None:
        """Make the folder that of a configuration and its tables, or check that it already is.

        Args:
            config: The resolved configuration as YAML.
            tables: The SHA-256 of each table the run is made from, by its name.
            replaceable: Whether others may be replaced, because no finished fold would be left that
                was made with them; what unfinished folds have left is then removed.

        Raises:
            RunError: If the folder holds another configuration, or was made from other tables.
        """
        # Calls for different folds may come at the same moment.
        with hold(self.path / LOCKS / "run.lock", "the run is being begun", wait_s=10):
            self._take(config, tables, replaceable)

    def _take(self, config: str, tables: dict[str, str], replaceable: bool) -> None:
        differing = self._differences(config, tables)
        if differing and not replaceable:
            raise RunError(
                f"{self.path} holds a run of {differing[0]}: {name_some(differing[1:])}. "
                "Choose another --run_dir, or repeat its folds with --fold all --overwrite."
            )
        if differing:
            # A checkpoint made with another configuration, or other folds, must not be resumed.
            for path in self.path.glob("fold_*"):
                FoldFolder(path).clear()
        # In this order: a process that is killed between the two leaves no configuration without
        # its tables, which the next one would take for a run of other tables.
        write_json(self.tables_json, tables)
        write_text(self.config_yaml, config)

    def _differences(self, config: str, tables: dict[str, str]) -> list[str]:
        if not self.config_yaml.exists():
            return []
        old, new = self.read_config(), EARLIER_VALUES | yaml.safe_load(config)
        # Keeping more of the best checkpoints from now on changes none of those that are there.
        keeps_more = new.get(_TOP_K, 1) >= old.get(_TOP_K, 1)
        differing = differing_settings(old | {_TOP_K: new.get(_TOP_K)} if keeps_more else old, new)
        if differing:
            return ["another configuration", *differing]
        before = read_object(self.tables_json)
        changed = [name for name in tables if before.get(name) != tables[name]]
        return ["other tables", *(f"{name} has changed" for name in changed)] if changed else []

    def _done_files(self) -> Iterator[Path]:
        return self.path.glob("fold_*/done.json")


def _numbers(folders: Iterable[Path]) -> list[int]:
    numbers = (path.name.removeprefix("fold_") for path in folders)
    return sorted(int(number) for number in numbers if number.isdigit())


def differing_settings(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two configurations, leaving aside where things are and what is shown.

    >>> differing_settings({"seed": 1, "run_dir": "a"}, {"seed": 2, "run_dir": "b"})
    ['seed was 1, is 2']
    """
    before, now = binding_settings(old), binding_settings(new)
    return [
        f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]


def binding_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Those settings, sorted by their whole names, on which the result depends.

    >>> binding_settings({"seed": 1, "run_dir": "a", "model": {"views": 4, "dropout": 0.1}})
    {'model.dropout': 0.1, 'model.views': 4, 'seed': 1}
    """
    flat = _flat(config)
    return {key: flat[key] for key in sorted(flat) if key not in _FREE_SETTINGS}


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
