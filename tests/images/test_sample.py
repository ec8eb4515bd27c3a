"""The embedded sample: repeatable, consistent, shaped like SIIM, and neither easy nor hopeless."""

import hashlib
from dataclasses import astuple
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from melanoma.errors import ConfigError, MelanomaError
from melanoma.images import sample
from melanoma.images.sample import lesion_of, make_sample, picture_rng
from melanoma.images.sample_patients import PREVALENCE, SITE_SHARES, sample_table
from melanoma.tables import (
    AGE,
    BENIGN_MALIGNANT,
    DIAGNOSIS,
    IMAGE_NAME,
    PATIENT_ID,
    SEX,
    SITE,
    TARGET,
)

N_TRAIN, N_TEST, HEIGHT_PX = 24, 8, 48
CLINICAL = [IMAGE_NAME, PATIENT_ID, SEX, AGE, SITE]


def _make(folder: Path, n_train: int = N_TRAIN, seed: int = 0) -> Path:
    return make_sample(folder, n_train, N_TEST, HEIGHT_PX, seed)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make(tmp_path_factory.mktemp("sample") / "melanoma")


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    """Enough rows for shares to be steady: about 700 patients."""
    return sample_table(6000, "train", seed=0)


def test_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert _digests(_make(tmp_path / "again")) == _digests(folder)


def test_another_seed_draws_other_pictures(folder: Path, tmp_path: Path) -> None:
    other = _digests(_make(tmp_path / "other", seed=1))
    assert set(other.values()).isdisjoint(_digests(folder).values())


def test_a_longer_sample_holds_every_picture_of_a_shorter_one(folder: Path, tmp_path: Path) -> None:
    longer = _digests(_make(tmp_path / "longer", n_train=N_TRAIN + 9))
    pictures = {name: hash_ for name, hash_ in _digests(folder).items() if name.endswith("jpg")}
    assert len(pictures) == N_TRAIN + N_TEST
    assert pictures.items() <= longer.items()


def test_a_longer_table_holds_every_row_of_a_shorter_one(many: pd.DataFrame) -> None:
    shorter = sample_table(100, "train", seed=0).set_index(IMAGE_NAME)
    pd.testing.assert_frame_equal(many.set_index(IMAGE_NAME).loc[shorter.index], shorter)


def test_tables_have_the_columns_of_the_competition(folder: Path) -> None:
    train, test = pd.read_csv(folder / "train.csv"), pd.read_csv(folder / "test.csv")
    assert list(train.columns) == [*CLINICAL, DIAGNOSIS, BENIGN_MALIGNANT, TARGET]
    assert list(test.columns) == CLINICAL
    assert (len(train), len(test)) == (N_TRAIN, N_TEST)


def test_sample_submission_lists_the_test_images_in_their_order(folder: Path) -> None:
    form = pd.read_csv(folder / "sample_submission.csv")
    assert list(form.columns) == [IMAGE_NAME, TARGET]
    assert list(form[IMAGE_NAME]) == list(pd.read_csv(folder / "test.csv")[IMAGE_NAME])
    assert (form[TARGET] == 0).all()


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_row_has_its_picture_and_no_other_is_there(folder: Path, split: str) -> None:
    names = set(pd.read_csv(folder / f"{split}.csv")[IMAGE_NAME])
    assert {path.stem for path in (folder / "jpeg" / split).iterdir()} == names
    for name in names:
        picture = cv2.imread(str(folder / "jpeg" / split / f"{name}.jpg"))
        assert picture is not None
        assert picture.shape == (HEIGHT_PX, HEIGHT_PX * 4 // 3, 3)
        assert picture.std() > 5


def test_no_patient_and_no_image_name_is_in_both_tables(many: pd.DataFrame) -> None:
    test = sample_table(2000, "test", seed=0)
    assert set(many[PATIENT_ID]).isdisjoint(test[PATIENT_ID])
    names = pd.concat([many[IMAGE_NAME], test[IMAGE_NAME]])
    assert names.is_unique


def test_diagnoses_agree_with_the_target(many: pd.DataFrame) -> None:
    is_melanoma = many[TARGET] == 1
    assert set(many.loc[is_melanoma, DIAGNOSIS]) == {"melanoma"}
    assert set(many.loc[~is_melanoma, DIAGNOSIS]) == {"unknown", "nevus", "seborrheic keratosis"}
    assert ((many[BENIGN_MALIGNANT] == "malignant") == is_melanoma).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_of_the_images_are_melanomas(seed: int) -> None:
    assert sample_table(400, "train", seed)[TARGET].mean() == pytest.approx(PREVALENCE, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_five_patient_folds_have_ten_melanomas_each(seed: int) -> None:
    table = sample_table(400, "train", seed)
    assert 35 <= table[PATIENT_ID].nunique() <= 65
    folds = StratifiedGroupKFold(5).split(table, table[TARGET], table[PATIENT_ID])
    assert min(table[TARGET].iloc[validation].sum() for _, validation in folds) >= 10


def test_no_patient_owns_more_than_a_tenth_of_the_melanomas() -> None:
    table = sample_table(400, "train", seed=0)
    assert table.groupby(PATIENT_ID)[TARGET].sum().max() <= 0.1 * table[TARGET].sum()


@pytest.mark.parametrize("seed", range(5))
def test_neither_name_nor_order_reveals_the_class(seed: int) -> None:
    targets = sample_table(400, "train", seed)[TARGET]
    # Rows lie in the order of their names. 0.11 is three deviations of the AUC of chance.
    assert roc_auc_score(targets, np.arange(400)) == pytest.approx(0.5, abs=0.11)


def test_sex_and_age_belong_to_the_patient(many: pd.DataFrame) -> None:
    of_patient = many.groupby(PATIENT_ID)
    assert of_patient[SEX].nunique().max() == 1
    years = of_patient[AGE].agg(["min", "max"]).dropna()
    assert (years["max"] - years["min"]).max() <= 5
    assert (of_patient[SITE].nunique() > 1).mean() > 0.5


def test_sites_are_shared_out_as_in_siim(many: pd.DataFrame) -> None:
    shares = many[SITE].value_counts(normalize=True)
    for site, share in SITE_SHARES.items():
        assert shares[site] == pytest.approx(share, abs=0.02)


def test_patients_are_as_many_men_and_as_old_as_in_siim(many: pd.DataFrame) -> None:
    patients = many.groupby(PATIENT_ID).first()
    assert (patients[SEX] == "male").mean() == pytest.approx(0.524, abs=0.05)
    assert patients[AGE].quantile([0.25, 0.5, 0.75]).tolist() == pytest.approx([40, 50, 60], abs=5)


def test_images_per_patient_are_heavy_tailed(many: pd.DataFrame) -> None:
    counts = many.groupby(PATIENT_ID).size()
    assert counts.median() == pytest.approx(6, abs=1)
    # SIIM: 44 / 12 at the upper end; here cut at 24 images.
    assert counts.quantile(0.95) > 3 * counts.median()
    assert counts.max() <= 24


def test_melanoma_patients_are_older_and_more_often_male(many: pd.DataFrame) -> None:
    of_target = many.groupby(TARGET)
    years = of_target[AGE].mean()
    assert 2 < years[1] - years[0] < 10
    male = many[SEX].eq("male").groupby(many[TARGET]).mean()
    assert 0.04 < male[1] - male[0] < 0.2


def test_no_single_cue_decides(many: pd.DataFrame) -> None:
    rows = zip(many[IMAGE_NAME], many[TARGET], strict=True)
    cues = np.array([astuple(lesion_of(target, picture_rng(name, 0))) for name, target in rows])
    aucs = [roc_auc_score(many[TARGET], cue) for cue in cues.T]
    assert all(0.55 < auc < 0.9 for auc in aucs)


@pytest.mark.parametrize(
    ("name", "number", "least"),
    [("n_train", 0, 1), ("n_test", 0, 1), ("image_size_px", 0, 1), ("seed", -1, 0)],
)
def test_numbers_that_are_too_small_are_named(
    tmp_path: Path, name: str, number: int, least: int
) -> None:
    with pytest.raises(ConfigError, match=rf"--{name} {number}: must be at least {least}\."):
        make_sample(tmp_path / "sample", **{name: number})
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(MelanomaError, match=r"exists already: .*Remove it, or name another"):
        _make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interrupted_drawing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "draw_lesion", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _make(tmp_path / "melanoma")
    assert list(tmp_path.iterdir()) == []
