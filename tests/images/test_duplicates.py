from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from melanoma.images.duplicates import duplicate_pairs, find_duplicates, hash_images
from melanoma.images.sample import make_sample


def sample(tmp_path: Path) -> Path:
    return make_sample(tmp_path / "sample", n_train=30, n_test=2, image_size_px=96)


def test_a_resized_and_recompressed_copy_is_found_and_nothing_else(tmp_path: Path) -> None:
    folder = sample(tmp_path)
    table = pd.read_csv(folder / "train.csv")
    original = table["image_name"][7]
    with Image.open(folder / "jpeg/train" / f"{original}.jpg") as picture:
        picture.resize((100, 75)).save(folder / "jpeg/train/COPY.jpg", quality=60)
    copy = table.iloc[[7]].assign(image_name="COPY", patient_id="somebody else")
    pd.concat([table, copy]).to_csv(folder / "train.csv", index=False)
    path = find_duplicates(folder, tmp_path / "folds.csv")
    pairs = pd.read_csv(path)
    assert path.name == "folds_duplicates.csv"
    assert set(pairs.loc[0, ["image_name_1", "image_name_2"]]) == {original, "COPY"}
    assert len(pairs) == 1


def test_known_pairs_are_taken_over(tmp_path: Path) -> None:
    folder = sample(tmp_path)
    known = tmp_path / "known.csv"
    known.write_text("image_name_1,image_name_2\na,b\n")
    assert "a,b" in find_duplicates(folder, tmp_path / "folds.csv", known).read_text()


def test_photographs_of_another_year_are_compared_too(tmp_path: Path) -> None:
    folder = sample(tmp_path)
    other = tmp_path / "other"
    (other / "train").mkdir(parents=True)
    original = pd.read_csv(folder / "train.csv")["image_name"][0]
    Image.open(folder / "jpeg/train" / f"{original}.jpg").save(
        other / "train" / "OLD.jpg", quality=80
    )
    (other / "train.csv").write_text("image_name,target\nOLD,0\n")
    path = find_duplicates(folder, tmp_path / "folds.csv", external=other / "train.csv")
    pairs = pd.read_csv(path)
    assert pairs[["image_name_1", "image_name_2"]].to_numpy().tolist() == [[original, "OLD"]]


def test_the_hashes_of_images_csv_are_used(tmp_path: Path) -> None:
    folder = sample(tmp_path)
    names = pd.read_csv(folder / "train.csv")["image_name"][:2].tolist()
    sizes = [(folder / f"jpeg/train/{name}.jpg").stat().st_size for name in names]
    rows = [f"{name},train,9,9,{size},{'5' * 64}" for name, size in zip(names, sizes)]
    header = "image_name,split,width,height,bytes,phash"
    (folder / "images.csv").write_text("\n".join([header, *rows]) + "\n")
    pairs = pd.read_csv(find_duplicates(folder, tmp_path / "folds.csv"))
    assert sorted(pairs.loc[0, ["image_name_1", "image_name_2"]]) == sorted(names)
    assert pairs.loc[0, "distance"] == 0


def test_all_pairs_within_the_distance_are_found_across_blocks() -> None:
    random = np.random.default_rng(0)
    hashes = random.random((1200, 256)) < 0.5
    hashes[1100] = hashes[3]
    hashes[700] = hashes[650]
    hashes[700, :41] = ~hashes[650, :41]
    names = [str(row) for row in range(1200)]
    assert duplicate_pairs(names, hashes).to_numpy().tolist() == [["3", "1100", 0]]
    wider = duplicate_pairs(names, hashes, 41)
    assert wider.to_numpy().tolist() == [["3", "1100", 0], ["650", "700", 41]]


def test_the_hash_does_not_depend_on_the_order(tmp_path: Path) -> None:
    paths = sorted((sample(tmp_path) / "jpeg" / "train").iterdir())[:4]
    assert np.array_equal(hash_images(paths)[::-1], hash_images(paths[::-1]))
