import numpy as np
import pandas as pd

from melanoma.folds.groups import join_groups

IMAGES = pd.DataFrame(
    {"image_name": list("abcdef"), "patient_id": ["q", "p", "q", "r", None, None]}
)


def pairs(*names: str) -> pd.DataFrame:
    return pd.DataFrame([tuple(name) for name in names], columns=["image_name_1", "image_name_2"])


def test_groups_are_patients_in_the_order_of_their_first_image() -> None:
    assert join_groups(IMAGES).tolist() == [0, 1, 0, 2, 3, 4]


def test_a_duplicate_joins_its_patients_and_chains_join() -> None:
    assert join_groups(IMAGES, pairs("bd")).tolist() == [0, 1, 0, 1, 2, 3]
    assert join_groups(IMAGES, pairs("bd", "de", "ea")).tolist() == [0, 0, 0, 0, 0, 1]


def test_pairs_with_an_unknown_image_are_passed_over() -> None:
    assert join_groups(IMAGES, pairs("bx", "xd")).tolist() == join_groups(IMAGES).tolist()


def test_neither_rows_nor_patients_names_matter() -> None:
    order = [3, 5, 0, 1, 4, 2]
    renamed = IMAGES.assign(patient_id=IMAGES["patient_id"].map({"q": "z", "p": "y", "r": "x"}))
    shuffled = join_groups(renamed.iloc[order].reset_index(drop=True), pairs("bd"))
    assert np.array_equal(shuffled, join_groups(IMAGES, pairs("bd"))[order])
