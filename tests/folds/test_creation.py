import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from melanoma.errors import ConfigError, TableError
from melanoma.files import sha256_of
from melanoma.folds.creation import create_folds
from melanoma.folds.files import description_path, read_external, read_folds
from other_year import other_year


def test_the_description_says_how_the_folds_were_made(competition: Path, folds_csv: Path) -> None:
    description = json.loads(description_path(folds_csv).read_text())
    assert (description["scheme"], description["seed"], description["k"]) == ("balanced", 42, 2)
    assert description["algorithm"] == 2
    assert sum(fold["images"] for fold in description["balance"]) == 40
    assert description["melanoma_spread"]["sex"] >= description["melanoma_spread_floor"]["sex"]
    with Image.open(folds_csv.with_suffix(".png")) as picture:
        assert picture.width > 1000


def test_repeats_are_further_columns_of_other_seeds(competition: Path, tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    made = create_folds(competition, n_folds=2, output=path, repeats=3)
    table = pd.read_csv(path)
    assert list(table.columns) == ["image_name", "fold", "fold_1", "fold_2"]
    assert not table["fold"].equals(table["fold_1"])
    assert list(made.balances) == ["fold", "fold_1", "fold_2"]
    assert read_folds(path, competition, "fold_2")["fold"].tolist() == table["fold_2"].tolist()


def test_duplicates_keep_their_patients_together(competition: Path, tmp_path: Path) -> None:
    train = pd.read_csv(competition / "train.csv")
    alone = create_folds(competition, n_folds=2, output=tmp_path / "a.csv")
    folds = pd.read_csv(tmp_path / "a.csv")["fold"]
    first = train["image_name"][folds == 0].iloc[0]
    second = train["image_name"][folds == 1].iloc[0]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"image_name_1,image_name_2\n{first},{second}\n{first},elsewhere\n")
    made = create_folds(competition, n_folds=2, output=tmp_path / "b.csv", duplicates=pairs)
    joined = pd.read_csv(tmp_path / "b.csv").set_index("image_name")["fold"]
    assert joined[first] == joined[second]
    assert not alone.notes
    assert made.notes == [
        "duplicates: 1 pairs keep their patients together; 1 name images that are not in the tables"
    ]


def test_images_of_other_years_are_kept_from_the_fold_that_knows_their_patient(
    competition: Path, tmp_path: Path
) -> None:
    external = other_year(tmp_path, competition)
    path = tmp_path / "folds.csv"
    pairs = tmp_path / "pairs.csv"
    train = pd.read_csv(competition / "train.csv")
    pairs.write_text(f"image_name_1,image_name_2\nOLD_2,{train['image_name'][1]}\n")
    made = create_folds(
        competition, n_folds=2, output=path, external=external, duplicates=pairs, repeats=2
    )
    table = pd.read_csv(path).set_index("image_name")
    old = table.loc[["OLD_0", "OLD_1", "OLD_2", "OLD_3"]]
    assert (old[["fold", "fold_1"]] == -1).all(axis=None)
    for column in ("fold", "fold_1"):
        of_patient, of_duplicate = table[column][train["image_name"][[0, 1]]]
        # OLD_1 and OLD_2 are one stranger, and OLD_2 is a duplicate of our second image.
        assert old[f"{column}_excluded"].tolist() == [of_patient, of_duplicate, of_duplicate, -1]
    assert "4 external images, fold -1, always trained on; 3 of them are left out" in made.notes[1]
    read = read_external(path, competition, external)
    assert read is not None
    assert read["excluded"].tolist() == old["fold_excluded"].tolist()
    assert len(read_folds(path, competition)) == 40


def test_external_images_must_be_given_where_the_folds_have_them(
    competition: Path, tmp_path: Path, folds_csv: Path
) -> None:
    external = other_year(tmp_path, competition)
    path = tmp_path / "folds.csv"
    create_folds(competition, n_folds=2, output=path, external=external)
    with pytest.raises(
        TableError, match=r"made with 4 images of other years. Say where .* --data.ext"
    ):
        read_external(path, competition, None)
    with pytest.raises(
        TableError, match=r"folds.csv was not made with .*: no fold_excluded for OLD_0"
    ):
        read_external(folds_csv, competition, external)
    assert read_external(folds_csv, competition, None) is None


def test_only_what_can_be_made_again_is_replaced(competition: Path, folds_csv: Path) -> None:
    create_folds(competition, n_folds=3, output=folds_csv)
    folds_csv.write_text(folds_csv.read_text().replace(",2", ",1"))
    edited = folds_csv.read_text()
    with pytest.raises(ConfigError, match=r"was not written by create_folds.py .* --overwrite"):
        create_folds(competition, n_folds=2, output=folds_csv)
    assert folds_csv.read_text() == edited
    create_folds(competition, n_folds=2, output=folds_csv, overwrite=True)


def test_folds_whose_description_could_not_be_written_are_made_again(
    competition: Path, folds_csv: Path
) -> None:
    content = folds_csv.read_bytes()
    description_path(folds_csv).unlink()
    create_folds(competition, n_folds=2, output=folds_csv)
    assert folds_csv.read_bytes() == content
    assert description_path(folds_csv).is_file()


def test_only_balanced_folds_have_an_algorithm_of_ours(competition: Path, tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    create_folds(competition, n_folds=2, output=path, scheme="grouped")
    assert "algorithm" not in json.loads(description_path(path).read_text())
    create_folds(competition, n_folds=2, seed=1, output=path, scheme="grouped")


def test_folds_of_an_earlier_algorithm_are_read_and_not_replaced(
    competition: Path, folds_csv: Path
) -> None:
    earlier = pd.read_csv(folds_csv)
    earlier["fold"] = 1 - earlier["fold"]
    earlier.to_csv(folds_csv, index=False, lineterminator="\n")
    description = json.loads(description_path(folds_csv).read_text())
    new_keys = {"algorithm", "melanoma_spread", "melanoma_spread_floor"}
    description = {key: value for key, value in description.items() if key not in new_keys}
    description["folds_sha256"] = sha256_of(folds_csv)
    description_path(folds_csv).write_text(json.dumps(description))
    assert read_folds(folds_csv, competition)["fold"].tolist() == earlier["fold"].tolist()
    with pytest.raises(ConfigError, match=r"not written by create_folds.py as it is now, .* again"):
        create_folds(competition, n_folds=2, output=folds_csv)
    assert pd.read_csv(folds_csv).equals(earlier)
    create_folds(competition, n_folds=2, output=folds_csv, overwrite=True)
    assert json.loads(description_path(folds_csv).read_text())["algorithm"] == 2


def test_a_folder_cannot_be_the_fold_file(competition: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--output .*: is a folder\. Give a file"):
        create_folds(competition, n_folds=2, output=tmp_path)


def test_a_negative_seed_is_refused(competition: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--seed -1: must not be negative"):
        create_folds(competition, n_folds=2, seed=-1, output=tmp_path / "folds.csv")


def test_what_cannot_be_asked_for_is_refused(competition: Path, tmp_path: Path) -> None:
    external = other_year(tmp_path, competition)
    with pytest.raises(ConfigError, match="--repeats 0: must be at least 1"):
        create_folds(competition, output=tmp_path / "f.csv", repeats=0)
    with pytest.raises(ConfigError, match="not stratified"):
        create_folds(competition, output=tmp_path / "f.csv", scheme="stratified", external=external)
    with pytest.raises(TableError, match=r"TRAIN_000, .* also in .*train.csv. Remove these rows"):
        create_folds(competition, 2, output=tmp_path / "f.csv", external=competition / "train.csv")
