import multiprocessing
import sys
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from melanoma.errors import ConfigError, ImageError
from melanoma.folds.creation import create_folds
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.images.dataset import Draw, DrawSampler
from other_year import other_year


def data_module(competition: Path, folds_csv: Path, **settings: object) -> MelanomaDataModule:
    options = {"image_size": 16, "batch_size": 8, "num_workers": 0, **settings}
    data = MelanomaDataModule(str(competition), str(folds_csv), **options)  # type: ignore[arg-type]
    data.prepare_data()
    data.setup()
    return data


def names(data: MelanomaDataModule, loader: object, stage: str) -> list[str]:
    rows = torch.cat([batch["index"] for batch in loader])  # type: ignore[attr-defined]
    return [data.table(stage)["image_name"][int(row)] for row in rows]  # type: ignore[arg-type]


def fed(data: MelanomaDataModule, epoch: int = 0) -> dict[int, Tensor]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    return {int(i): x for b in loader for i, x in zip(b["index"], b["image"])}


def test_a_fold_validates_and_the_others_train(competition: Path, folds_csv: Path) -> None:
    folds = pd.read_csv(folds_csv).set_index("image_name")["fold"]
    for fold in (0, 1):
        data = data_module(competition, folds_csv, fold=fold)
        assert set(folds[data.table("val")["image_name"]]) == {fold}
        assert set(folds[data.table("train")["image_name"]]) == {1 - fold}


def test_no_patient_trains_and_validates(competition: Path, folds_csv: Path) -> None:
    data = data_module(competition, folds_csv)
    patients = [set(data.table(stage)["patient_id"]) for stage in ("train", "val")]
    assert not patients[0] & patients[1]


@pytest.mark.parametrize("stage", ["val", "test"])
def test_every_image_is_evaluated_once_in_order_as_it_is(
    competition: Path, folds_csv: Path, stage: str
) -> None:
    data = data_module(competition, folds_csv, augmentation="medium", batch_size=7)
    loader = data.val_dataloader() if stage == "val" else data.test_dataloader()
    assert names(data, loader, stage) == data.table(stage)["image_name"].tolist()  # type: ignore[arg-type]
    plain = data_module(competition, folds_csv, augmentation="none", batch_size=7)
    other = plain.val_dataloader() if stage == "val" else plain.test_dataloader()
    for batch, same in zip(loader, other, strict=True):
        assert torch.equal(batch["image"], same["image"])


def test_batches_hold_bytes_targets_and_rows(competition: Path, folds_csv: Path) -> None:
    data = data_module(competition, folds_csv)
    batch = next(iter(data.val_dataloader()))
    assert batch["image"].shape == (8, 3, 16, 16)
    assert batch["image"].dtype == torch.uint8
    assert batch["target"].tolist() == data.table("val")["target"].tolist()[:8]
    assert next(iter(data.test_dataloader()))["target"].isnan().all()


def test_training_is_shuffled_anew_each_epoch(competition: Path, folds_csv: Path) -> None:
    data = data_module(competition, folds_csv, batch_size=4)
    orders = [list(fed(data, epoch)) for epoch in (0, 1, 0)]
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


@pytest.mark.filterwarnings("ignore:This DataLoader will create 8 worker")  # that is the point
def test_what_is_fed_depends_on_seed_epoch_and_name_alone(
    competition: Path, folds_csv: Path
) -> None:
    settings = {"augmentation": "medium", "batch_size": 4}
    one, *others = (
        fed(data_module(competition, folds_csv, num_workers=workers, **settings))
        for workers in (0, 1, 2, 8)
    )
    for other in others:
        assert list(one) == list(other)
        assert all(one[row].numpy().tobytes() == other[row].numpy().tobytes() for row in one)
    later = fed(data_module(competition, folds_csv, **settings), epoch=1)
    assert any(not torch.equal(one[row], later[row]) for row in one.keys() & later.keys())
    other = fed(data_module(competition, folds_csv, seed=1, **settings))
    assert any(not torch.equal(one[row], other[row]) for row in one.keys() & other.keys())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are not forked")
def test_workers_are_forked_even_where_python_would_not(competition: Path, folds_csv: Path) -> None:
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("forkserver", force=True)  # the default of Python 3.14
    try:
        batches = iter(data_module(competition, folds_csv, num_workers=1).train_dataloader())
        next(batches)
        workers = multiprocessing.active_children()
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert workers
    assert all(isinstance(worker, ForkProcess) for worker in workers)


def test_workers_outlive_an_epoch_and_know_the_next(competition: Path, folds_csv: Path) -> None:
    data = data_module(competition, folds_csv, num_workers=1, augmentation="medium", batch_size=4)
    loader = data.train_dataloader()
    assert loader.persistent_workers
    loader.sampler.set_epoch(0)  # type: ignore[attr-defined]
    list(loader)
    loader.sampler.set_epoch(1)  # type: ignore[attr-defined]
    second = {int(i): x for b in loader for i, x in zip(b["index"], b["image"])}
    expected = fed(
        data_module(competition, folds_csv, augmentation="medium", batch_size=4), epoch=1
    )
    assert all(torch.equal(second[row], expected[row]) for row in second)


def test_photographs_are_channels_last_in_memory(competition: Path, folds_csv: Path) -> None:
    for workers in (0, 1):
        data = data_module(competition, folds_csv, num_workers=workers)
        image = next(iter(data.train_dataloader()))["image"]
        assert image.is_contiguous(memory_format=torch.channels_last)


def test_a_cache_changes_nothing_that_is_fed(
    competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    settings = {"augmentation": "medium", "batch_size": 4}
    read = data_module(competition, folds_csv, **settings)
    cache = str(tmp_path / "cache")
    for workers in (0, 2):
        kept = data_module(competition, folds_csv, cache=cache, num_workers=workers, **settings)
        one, two = fed(read), fed(kept)
        assert list(one) == list(two)
        assert all(torch.equal(one[row], two[row]) for row in one)
        for loaders in ("val_dataloader", "test_dataloader"):
            pairs = zip(getattr(read, loaders)(), getattr(kept, loaders)(), strict=True)
            assert all(torch.equal(a["image"], b["image"]) for a, b in pairs)


def test_all_folds_share_one_cache(
    competition: Path, folds_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_module(competition, folds_csv, cache=str(tmp_path / "cache"))
    monkeypatch.setattr("melanoma.images.cache.read_image", None)
    monkeypatch.setattr("melanoma.images.dataset.read_image", None)
    list(
        data_module(competition, folds_csv, fold=1, cache=str(tmp_path / "cache")).val_dataloader()
    )
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("stage", ["val", "test"])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 1000])
def test_filled_up_batches_are_of_one_size_and_repeat_the_last_photograph(
    competition: Path, folds_csv: Path, batch_size: int, stage: str
) -> None:
    data = data_module(competition, folds_csv, batch_size=batch_size)
    plain = list(getattr(data, f"{stage}_dataloader")())
    data.fill_batches = True
    filled = list(getattr(data, f"{stage}_dataloader")())
    assert len({len(batch["index"]) for batch in filled}) == 1
    n_images = len(data.table(stage))  # type: ignore[arg-type]
    rows = torch.cat([batch["index"] for batch in filled]).tolist()
    assert rows[:n_images] == list(range(n_images))
    assert set(rows[n_images:]) <= {n_images - 1}
    for part, whole in zip(plain, filled, strict=True):
        n_rows = len(part["index"])
        for name, tensor in part.items():
            np.testing.assert_array_equal(whole[name][:n_rows], tensor)
        assert whole["image"].stride()[1:] == part["image"].stride()[1:]


def test_less_data_than_a_batch_is_a_smaller_batch(competition: Path, folds_csv: Path) -> None:
    data = data_module(competition, folds_csv, batch_size=1000)
    assert [len(b["index"]) for b in data.train_dataloader()] == [len(data.table("train"))]


def test_devices_share_a_stage_and_pad_it_evenly() -> None:
    parts = [
        list(DrawSampler(range(7), num_replicas=3, rank=rank, shuffle=False))  # type: ignore[arg-type]
        for rank in range(3)
    ]
    assert {len(part) for part in parts} == {3}
    assert {draw for part in parts for draw in part} == {Draw(0, row) for row in range(7)}


def test_images_of_other_years_train_every_fold_but_the_one_that_knows_them(
    competition: Path, tmp_path: Path
) -> None:
    external = other_year(tmp_path, competition)
    path = tmp_path / "folds.csv"
    create_folds(competition, n_folds=2, output=path, external=external)
    excluded = pd.read_csv(path).set_index("image_name")["fold_excluded"]["OLD_0"]
    for fold in (0, 1):
        data = data_module(competition, path, fold=fold, external_csv=str(external))
        trained = set(data.table("train")["image_name"])
        assert {"OLD_1", "OLD_2", "OLD_3"} <= trained
        assert ("OLD_0" in trained) == (fold != excluded)
        assert not set(data.table("val")["image_name"]) & {"OLD_0", "OLD_1", "OLD_2", "OLD_3"}
        assert len(list(data.train_dataloader())) > 0


def test_a_damaged_photograph_of_another_year_is_found(competition: Path, tmp_path: Path) -> None:
    external = other_year(tmp_path, competition)
    path = tmp_path / "folds.csv"
    create_folds(competition, n_folds=2, output=path, external=external)
    (external.parent / "train" / "OLD_2.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"1 empty: OLD_2\.jpg"):
        data_module(competition, path, external_csv=str(external))


def test_another_column_is_another_split(competition: Path, tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    create_folds(competition, n_folds=2, output=path, repeats=2)
    first = data_module(competition, path)
    second = data_module(competition, path, fold_column="fold_1")
    assert set(first.table("val")["image_name"]) != set(second.table("val")["image_name"])


def test_test_images_need_no_diagnosis(competition: Path, folds_csv: Path) -> None:
    table = pd.read_csv(competition / "test.csv").assign(target=0)
    table.to_csv(competition / "test.csv", index=False)
    data = data_module(competition, folds_csv, with_diagnoses=True)
    test, train = data.dataset("test").diagnoses, data.dataset("train").diagnoses
    assert test is not None
    assert train is not None
    assert set(test.tolist()) == {-1}
    assert len(set(train.tolist())) == 2  # melanoma and nevus


def test_a_competition_without_a_test_set_trains(competition: Path, folds_csv: Path) -> None:
    (competition / "test.csv").unlink()
    assert not data_module(competition, folds_csv).has_test_set


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_damaged_photograph_is_found_before_training(
    competition: Path, folds_csv: Path, split: str
) -> None:
    path = next((competition / "jpeg" / split).iterdir())
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=f"1 empty: {path.name}"):
        data_module(competition, folds_csv)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fold": 2}, r"--fold 2: .*folds.csv has no such fold, but 0, 1"),
        ({"image_size": 0}, r"--data.image_size 0: must be at least 1"),
        ({"batch_size": -1}, r"--data.batch_size -1: must be at least 1"),
        ({"num_workers": -1}, r"--data.num_workers -1: must not be negative"),
    ],
)
def test_settings_out_of_range_are_named(
    competition: Path, folds_csv: Path, settings: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        data_module(competition, folds_csv, **settings)


def test_a_mask_beside_a_photograph_is_not_fed(competition: Path, folds_csv: Path) -> None:
    def validated(**settings: object) -> Tensor:
        data = data_module(competition, folds_csv, **settings)
        return torch.cat([batch["image"] for batch in data.val_dataloader()])

    photographs = validated()
    for path in competition.glob("jpeg/*/*.jpg"):
        Image.new("L", (32, 24), 255).save(path.with_suffix(".png"))
    assert torch.equal(validated(prefer_suffix=".jpg"), photographs)
    assert int(validated(prefer_suffix=".PNG").min()) == 255


def test_pixels_are_the_photographs(competition: Path, folds_csv: Path) -> None:
    data = data_module(competition, folds_csv)
    means = np.concatenate([b["image"].float().mean((1, 2, 3)) for b in data.val_dataloader()])
    dark = data.table("val")["target"].to_numpy() == 1
    assert means[dark].max() < means[~dark].min()
