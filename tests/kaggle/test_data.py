from hashlib import sha256
from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.images.reading import find_images
from melanoma.kaggle.inputs import Data, find_data, list_mounts

TABLES = ("train.csv", "test.csv", "sample_submission.csv")
LAYOUTS = [("siim", "resized"), ("competitions/siim", "datasets/me/resized")]


def tables(folder: Path, *names: str, text: str = "x") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or TABLES:
        (folder / name).write_text(text)


def photographs(folder: Path, prefix: str = "", suffix: str = ".jpg") -> None:
    for split in ("train", "test"):
        (folder / prefix / split).mkdir(parents=True, exist_ok=True)
        (folder / prefix / split / f"{split}_1{suffix}").touch()


def find(root: Path, dataset: str = "", sha256: str = "", competition: str = "siim") -> Data:
    return find_data(list_mounts(root), competition, dataset, sha256)


@pytest.mark.parametrize(("place", "_"), LAYOUTS)
def test_the_competition_is_found(tmp_path: Path, place: str, _: str) -> None:
    tables(tmp_path / place)
    photographs(tmp_path / place, "jpeg")
    photographs(tmp_path / place, suffix=".dcm")  # as the real one has, beside its photographs
    data = find(tmp_path)
    assert data == Data(tmp_path / place, tmp_path / place)
    assert data.as_folder(tmp_path / "scratch") == tmp_path / place
    assert data.as_text() == f"data: {tmp_path / place}"
    assert find(tmp_path, competition="") == data


@pytest.mark.parametrize(("competition", "dataset"), LAYOUTS)
@pytest.mark.parametrize("inner", ["", "jpeg", "512", "512/jpeg"])
def test_photographs_of_a_dataset_with_the_competitions_tables(
    tmp_path: Path, competition: str, dataset: str, inner: str
) -> None:
    tables(tmp_path / competition)
    photographs(tmp_path / competition, "jpeg")
    photographs(tmp_path / dataset, inner)
    (tmp_path / dataset / inner.removesuffix("jpeg") / "images.csv").touch()
    data = find(tmp_path, "me/resized")
    assert data.tables == tmp_path / competition
    assert "photographs of" in data.as_text()
    for _ in range(2):  # a session may be started again
        folder = data.as_folder(tmp_path / "scratch")
    assert (folder / "images.csv").exists()
    (found,) = find_images(folder, "test", ["test_1"])
    assert found.resolve() == (tmp_path / dataset / inner / "test" / "test_1.jpg").resolve()
    assert (folder / "sample_submission.csv").read_text() == "x"


def test_a_dataset_with_tables_of_its_own_is_used_as_it_is(tmp_path: Path) -> None:
    tables(tmp_path / "siim", text="of the competition")
    tables(tmp_path / "resized")
    photographs(tmp_path / "resized")
    assert find(tmp_path, "me/resized") == Data(tmp_path / "resized", tmp_path / "resized")
    # The folds decide, where it is known what they were made of.
    made_from = sha256(b"of the competition").hexdigest()
    assert find(tmp_path, "me/resized", made_from).tables == tmp_path / "siim"
    # And what is complete goes before what is not.
    (tmp_path / "resized" / "test.csv").unlink()
    assert find(tmp_path, "me/resized").tables == tmp_path / "siim"


def test_a_dataset_without_a_competition_and_without_a_form(tmp_path: Path) -> None:
    tables(tmp_path / "resized", "train.csv")
    photographs(tmp_path / "resized")
    assert find(tmp_path, "me/resized").tables == tmp_path / "resized"


def test_photographs_beside_the_tables_in_one_folder(tmp_path: Path) -> None:
    tables(tmp_path / "resized")
    (tmp_path / "resized" / "a.jpg").touch()
    assert find(tmp_path, "me/resized").photographs == tmp_path / "resized"


def test_a_dataset_attached_by_hand(tmp_path: Path) -> None:
    tables(tmp_path / "siim")
    photographs(tmp_path / "resized")
    assert find(tmp_path).photographs == tmp_path / "resized"


def test_pictures_of_runs_are_no_photographs(tmp_path: Path) -> None:
    tables(tmp_path / "siim")
    (tmp_path / "k1" / "runs" / "x" / "fold_0" / "photographs").mkdir(parents=True)
    (tmp_path / "k1" / "runs" / "x" / "fold_0" / "photographs" / "epoch_000.png").touch()
    with pytest.raises(ConfigError, match=r"no photographs of siim: .* Attached: k1, siim"):
        find(tmp_path)
    data = find_data(list_mounts(tmp_path), "siim", with_photographs=False)
    assert data == Data(tmp_path / "siim", None)
    assert data.as_folder(tmp_path) == tmp_path / "siim"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dataset me/resized: not attached. Attached: nothing"):
        find(tmp_path, "me/resized")
    photographs(tmp_path / "resized")
    with pytest.raises(ConfigError, match=r"no competition data: no folder below .* has train.csv"):
        find(tmp_path, "me/resized")
    tables(tmp_path / "siim")
    (tmp_path / "resized" / "test" / "test_1.jpg").unlink()
    with pytest.raises(ConfigError, match=r"resized/test: no photographs of the test set there"):
        find(tmp_path, "me/resized")


def test_what_is_there_twice_is_named(tmp_path: Path) -> None:
    for size in ("256", "512"):
        photographs(tmp_path / "resized" / size)
    with pytest.raises(
        ConfigError, match=r"photographs are in several folders: .*256, .*512. Attach"
    ):
        find(tmp_path, "me/resized")
    photographs(tmp_path / "small")
    for name in ("a", "b"):
        tables(tmp_path / name)
    with pytest.raises(
        ConfigError, match=r"train.csv is in several folders: .*/a, .*/b. Attach only"
    ):
        find(tmp_path, "me/small", competition="")
