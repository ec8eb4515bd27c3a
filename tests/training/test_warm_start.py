import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.run_tables import hash_tables
from melanoma.training.inputs import tables_of
from melanoma.training.launch import train_folds
from melanoma.training.warm_start import check_warm_start
from tiny_run import tiny_config

TABLES = {"train.csv": "a", "the fold file": "b"}
DATA = {"fold_column": "fold"}
TOLD = r"was trained on images that fold .* validates here.*Take weights of other images"


def checkpoint(folder: Path, tables: Mapping[str, str], fold_column: str = "fold") -> str:
    """That of fold 1 of a run; it need not be one to be refused."""
    path = folder / "runs" / "before" / "fold_1" / "best.ckpt"
    path.parent.mkdir(parents=True)
    run = path.parents[1]
    (run / "tables.json").write_text(json.dumps(tables))
    (run / "config.yaml").write_text(json.dumps({"data": {"fold_column": fold_column}}))
    path.write_bytes(b"")
    return str(path)


def test_another_fold_of_the_same_data_is_refused(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path, TABLES)
    check_warm_start(weights, DATA, TABLES, [1])
    with pytest.raises(ConfigError, match=TOLD + r".*--fold 1 from fold_1"):
        check_warm_start(weights, DATA, TABLES, [0])
    with pytest.raises(ConfigError, match=r"fold 0, 2 validates"):
        check_warm_start(weights, DATA, TABLES, [0, 1, 2])


def test_a_checkpoint_in_a_folder_of_the_fold_is_one_of_the_fold(tmp_path: Path) -> None:
    weights = Path(checkpoint(tmp_path, TABLES)).parent / "top" / "epoch.ckpt"
    with pytest.raises(ConfigError, match=TOLD):
        check_warm_start(str(weights), DATA, TABLES, [0])


@pytest.mark.parametrize(
    "before",
    [
        {"train.csv": "a", "the fold file": "other"},
        {"train.csv": "other", "the fold file": "b", "the external table": "a"},
    ],
)
def test_no_fold_may_start_from_other_folds_of_the_same_images(
    tmp_path: Path, before: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match=TOLD):
        check_warm_start(checkpoint(tmp_path, before), DATA, TABLES, [1])


def test_another_column_of_the_fold_file_is_another_split(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=TOLD):
        check_warm_start(checkpoint(tmp_path, TABLES, "fold_1"), DATA, TABLES, [1])


@pytest.mark.parametrize("weights", ["none", "imagenet", "weights/b0.pth", "fold_x/best.ckpt"])
def test_other_weights_are_left_alone(weights: str) -> None:
    check_warm_start(weights, DATA, TABLES, [0])


def test_weights_of_other_images_are_left_alone(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path, {"train.csv": "other", "the fold file": "b"})
    check_warm_start(weights, DATA, TABLES, [0, 1])


def test_it_is_told_before_anything_is_trained(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv, "--fold=1")
    weights = checkpoint(competition.parent, hash_tables(tables_of(config)))
    config = tiny_config(competition, folds_csv, "--fold=all", f"--model.weights={weights}")
    with pytest.raises(ConfigError, match=r"fold 0 validates here"):
        train_folds(config)
