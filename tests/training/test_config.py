from pathlib import Path

import pytest
import yaml

from melanoma.errors import ConfigError
from melanoma.run_folder import RunFolder
from melanoma.training.config import config_parser, parse_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_committed_config_is_understood_and_its_name_is_the_runs(path: Path) -> None:
    config = parse_config(["--config", str(path)])
    assert config.run_dir == Path("runs") / path.stem
    config.data_module(0)


def test_options_override_the_file_and_come_out_resolved(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: {backbone: test_resnet}\ntrainer: {max_epochs: 3}\n")
    call = ["--fold", "0,2", "--parallel_folds=2"]
    config = parse_config(["--config", str(path), "--trainer.max_epochs=5", *call])
    assert config.trainer["max_epochs"] == 5
    resolved = yaml.safe_load(config.resolved)
    assert resolved["trainer"]["max_epochs"] == 5
    assert resolved["model"]["backbone"] == "test_resnet"
    assert not {"fold", "overwrite", "config", "parallel_folds"} & resolved.keys()


def test_the_resolved_configuration_resolves_to_itself(tmp_path: Path) -> None:
    first = parse_config(["--config", str(ROOT / "configs/demo.yaml"), "--model.loss=focal"])
    path = tmp_path / "config.yaml"
    path.write_text(first.resolved)
    assert parse_config(["--config", str(path)]).resolved == first.resolved


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.backbon", "x"], "model.backbon"),
        (["--trainer.max_epoch", "3"], "trainer.max_epoch"),
        (["--data.image_size", "large"], "data.image_size"),
        (["--model.loss", "hinge"], "model.loss"),
        (["--data.augmentation", "lite"], "data.augmentation"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_unknown_keys_and_wrong_types_end_with_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_config(["--run_dir", "x", *arguments])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_an_unknown_key_in_a_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("modle: {backbone: test_resnet}\n")
    with pytest.raises(SystemExit):
        parse_config(["--config", str(path)])
    assert "modle" in capsys.readouterr().err


def test_a_run_needs_a_name() -> None:
    with pytest.raises(ConfigError, match=r"no --config and no --run_dir"):
        parse_config([])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--early_stopping_patience=0", r"--early_stopping_patience 0: must be at least 1"),
        ("--trainer.enable_checkpointing=false", "predictions come from a checkpoint"),
        ("--trainer.limit_val_batches=0", "validation cannot be switched off"),
        ("--top_k=0", "--top_k 0: must be at least 1"),
        ("--parallel_folds=0", "--parallel_folds 0: must be at least 1"),
        ("--photographs=-1", "--photographs -1: must not be negative"),
        ("--logger=csv,tensorbord", "tensorbord is not known.* Did you mean tensorboard"),
        ("--logger=wandb", "wandb is not installed. Run pip install wandb"),
    ],
)
def test_settings_that_cannot_work_are_refused(option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(["--run_dir", "x", option])


def test_the_configuration_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        config_parser().parse_args(["--print_config"])
    assert not exit_.value.code
    assert {"data", "model", "trainer", "seed"} <= yaml.safe_load(capsys.readouterr().out).keys()


def test_the_last_epoch_predicts_unless_the_run_was_begun_otherwise(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    arguments = [f"--run_dir={run_dir}", "--data.data_dir=input", "--data.folds_csv=folds.csv"]
    new = parse_config(arguments)
    assert new.predict_from == "last"
    assert yaml.safe_load(new.resolved)["predict_from"] == "last"
    run_dir.mkdir()
    (run_dir / "config.yaml").write_text("seed: 42\n")  # of a version without the setting
    assert parse_config(arguments).predict_from == "best"
    assert RunFolder(run_dir).read_config()["predict_from"] == "best"
    assert parse_config([*arguments, "--overwrite"]).predict_from == "last"
    assert parse_config([*arguments, "--predict_from=last"]).predict_from == "last"
    (run_dir / "config.yaml").write_text(new.resolved)
    assert parse_config(arguments).predict_from == "last"
