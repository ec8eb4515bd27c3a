import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from finished_run import finished_run
from melanoma.ensemble.submission import build_submission
from melanoma.errors import ConfigError, ImageError, RunError, TableError
from melanoma.files import sha256_of
from melanoma.images import dataset
from melanoma.images.reading import read_image
from melanoma.models.fold_ensemble import FoldEnsemble
from melanoma.models.module import MelanomaModule
from melanoma.prediction import one_pass
from melanoma.prediction.__main__ import main
from melanoma.prediction.folds import predict_folds
from melanoma.run_folder import RunFolder
from melanoma.training.config import RunConfig
from melanoma.training.fold import train_fold
from melanoma.verification.runs import verify_run
from tiny_run import tiny_config


@pytest.fixture
def run(competition: Path, folds_csv: Path) -> RunFolder:
    return finished_run(tiny_config(competition, folds_csv))


def written(run: RunFolder, fold: int) -> pd.DataFrame:
    return pd.read_csv(run.fold(fold).test_csv)


def fold_by_fold(config: RunConfig, fold: int) -> npt.NDArray[np.float32]:
    """One fold's network alone over its own data module's test photographs."""
    best = RunFolder(config.run_dir).fold(fold).best_checkpoint
    module = MelanomaModule.load_from_checkpoint(best, weights_only=True).eval()
    data = config.data_module(fold)
    data.setup()
    with torch.inference_mode():
        outputs = [module.predict_step(batch, 0) for batch in data.test_dataloader()]
    return torch.cat([output["prediction"] for output in outputs]).numpy()


METADATA = ("--model.metadata=true", "--model.target=diagnosis")


@pytest.mark.parametrize("options", [("--model.views=8",), ("--model.views=8", *METADATA)])
def test_one_pass_predicts_to_the_bit_what_fold_by_fold_does(
    competition: Path, folds_csv: Path, options: tuple[str, ...]
) -> None:
    config = tiny_config(competition, folds_csv, *options)
    run = finished_run(config)
    predicted = predict_folds(run.path)
    assert predicted is not None
    assert (predicted.folds, predicted.n_photographs, predicted.n_views) == ([0, 1], 10, 8)
    predictions = []
    for fold in (0, 1):
        table = written(run, fold)
        assert table["image_name"].tolist() == [f"TEST_{row:03d}" for row in range(10)]
        assert np.array_equal(table["prediction"].astype("float32"), fold_by_fold(config, fold))
        predictions.append(table["prediction"])
    assert not predictions[0].equals(predictions[1])


def test_trained_folds_with_averaged_weights_are_predicted_to_the_bit(
    competition: Path, folds_csv: Path
) -> None:
    config = tiny_config(competition, folds_csv, "--model.ema_decay=0.9", "--trainer.max_epochs=1")
    train_fold(config, 0)
    run = RunFolder(config.run_dir)
    run.take(config.resolved, {}, replaceable=False)
    before = run.fold(0).read_done()
    assert not run.fold(0).is_predicted
    predict_folds(run.path)
    assert np.array_equal(written(run, 0)["prediction"].astype("float32"), fold_by_fold(config, 0))
    done = json.loads(run.fold(0).done_json.read_text())
    assert done["files"].pop("test.csv") == sha256_of(run.fold(0).test_csv)
    assert done.pop("test_sha256") == sha256_of(competition / "test.csv")
    assert len(done.pop("test_photographs_sha256")) == 64
    assert done == before


def another_table(folder: Path) -> None:
    table = pd.read_csv(folder / "test.csv")
    table.assign(further=1).to_csv(folder / "test.csv", index=False)


def another_photograph(folder: Path) -> None:
    path = next((folder / "jpeg/test").iterdir())
    path.write_bytes(path.read_bytes() + bytes(9))


@pytest.mark.parametrize("change", [another_table, another_photograph])
def test_folds_that_predicted_other_test_sets_are_not_averaged(
    competition: Path, folds_csv: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    config = tiny_config(competition, folds_csv, "--trainer.max_epochs=1")
    run = RunFolder(config.run_dir)
    for fold in (0, 1):
        train_fold(config, fold)
    run.take(config.resolved, {}, replaceable=False)

    def differ() -> bool:
        return any("different test sets" in str(found) for found in verify_run(run.path).findings)

    predict_folds(run.path, overwrite=True)
    build_submission([run.path])
    assert not differ()
    other = tmp_path / "other"
    shutil.copytree(competition, other)
    change(other)
    predict_folds(run.path, data_dir=other, fold="0", overwrite=True)
    message = r"fold 0 and fold 1 predicted different test sets .*Predict all of them again with"
    with pytest.raises(RunError, match=message):
        build_submission([run.path], overwrite=True)
    assert differ()
    predict_folds(run.path, overwrite=True)
    build_submission([run.path], overwrite=True)
    assert not differ()


def test_each_photograph_is_decoded_once(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def count(path: Path, size_px: int) -> object:
        decoded.append(path.stem)
        return read_image(path, size_px)

    monkeypatch.setattr(dataset, "read_image", count)
    predict_folds(run.path)
    assert sorted(decoded) == [f"TEST_{row:03d}" for row in range(10)]


def test_workers_change_nothing(run: RunFolder) -> None:
    predict_folds(run.path, fold="1")
    alone = run.fold(1).test_csv.read_bytes()
    predict_folds(run.path, fold="1", overwrite=True, num_workers=2)
    assert run.fold(1).test_csv.read_bytes() == alone


def test_what_is_predicted_is_left_alone_until_it_is_to_be_overwritten(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run-dir", str(run.path), "--fold", "1"]) == 0
    assert "10 photographs x 1 folds x 1 views in" in capsys.readouterr().out
    before = run.fold(1).test_csv.stat()
    predicted = predict_folds(run.path)
    assert predicted is not None
    assert predicted.folds == [0]
    assert main(["--run-dir", str(run.path)]) == 0
    kept = "fold 0, 1: test.csv is there and left as it is; --overwrite replaces it"
    assert capsys.readouterr().out.splitlines()[-1] == kept
    assert run.fold(1).test_csv.stat() == before
    assert main(["--run-dir", str(run.path), "--overwrite"]) == 0
    assert run.fold(1).test_csv.stat().st_ino != before.st_ino


def test_a_table_that_was_not_noted_is_predicted_again(run: RunFolder) -> None:
    # As when the process was ended between the two files.
    run.fold(0).test_csv.write_text("image_name,prediction\nTEST_000,0.5\n")
    predict_folds(run.path)
    assert len(written(run, 0)) == 10


def test_another_folder_needs_neither_train_csv_nor_folds(
    run: RunFolder, competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    folds_csv.unlink()
    other = tmp_path / "other"
    other.mkdir()
    for name in ("TEST_004", "TEST_002"):
        shutil.copy(competition / "jpeg" / "test" / f"{name}.jpg", other)
    (other / "test.csv").write_text("image_name\nTEST_004\nTEST_002\n")
    predict_folds(run.path, batch_size=1)
    here = written(run, 0).set_index("image_name")["prediction"]
    with pytest.raises(RunError, match=r"fold 0, 1 was predicted from another table than .*other"):
        predict_folds(run.path, other)
    predict_folds(run.path, other, batch_size=1, overwrite=True)
    there = written(run, 0).set_index("image_name")["prediction"]
    assert there.equals(here[["TEST_004", "TEST_002"]])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fold": "0,3"}, RunError, r"fold 3 not finished. Train with .* --fold 3\."),
        ({"fold": "first"}, ConfigError, r"--fold first: not understood"),
        ({"batch_size": 0}, ConfigError, r"--batch_size 0: must be at least 1\."),
        ({"num_workers": -1}, ConfigError, r"--num_workers -1: must be at least 0\."),
        ({"accelerator": "npu"}, ConfigError, r"this machine cannot .*npu.* Give --accelerator"),
        ({"devices": "none"}, ConfigError, r"this machine cannot .*devices"),
        ({"data_dir": Path("nowhere")}, TableError, r"nowhere/test.csv: no such file, so there is"),
    ],
)
def test_what_cannot_be_predicted_is_named(
    run: RunFolder, options: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        predict_folds(run.path, **options)  # type: ignore[arg-type]
    assert not run.fold(0).test_csv.exists()


def test_runs_without_networks_are_named(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run folder, it has no config.yaml"):
        predict_folds(tmp_path)
    best = run.fold(1).best_checkpoint
    best.write_bytes(best.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"fold_1/best.ckpt is damaged or was replaced: .* Train"):
        predict_folds(run.path)
    best.unlink()
    with pytest.raises(RunError, match=r"fold_1/best.ckpt: no such file. Train that fold again"):
        predict_folds(run.path)
    for fold in (0, 1):
        run.fold(fold).done_json.unlink()
    with pytest.raises(RunError, match=r"no fold is finished, .* --fold all\."):
        predict_folds(run.path)


def test_a_damaged_photograph_is_named(run: RunFolder, competition: Path) -> None:
    (competition / "jpeg" / "test" / "TEST_003.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"1 empty: TEST_003.jpg"):
        predict_folds(run.path)


def test_a_full_device_is_one_message(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(FoldEnsemble, "predict_step", fill)
    with pytest.raises(RunError, match=r"8 photographs per step do not fit .* --batch-size 4"):
        predict_folds(run.path, batch_size=8)


def test_little_free_memory_makes_the_steps_smaller_and_is_told(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(one_pass, "free_bytes", lambda _: 10)
    predicted = predict_folds(run.path)
    assert predicted is not None
    assert predicted.batch_size == 1
    assert "1 photographs per step instead of 4: cpu has too little" in capsys.readouterr().out
