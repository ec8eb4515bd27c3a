"""Photographs that are nearly the same, but are of different classes or in different folds."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from melanoma.errors import MelanomaError
from melanoma.images.duplicates import DISTANCE, duplicate_pairs, hash_images
from melanoma.images.index import confirmed_hashes, images_csv
from melanoma.images.reading import find_images
from melanoma.metrics.checks import Floats
from melanoma.report.parts import Section, Table
from melanoma.tables import (
    FOLD,
    IMAGE_1,
    IMAGE_2,
    IMAGE_NAME,
    TARGET,
    read_duplicates,
)

# So many are hashed in seconds; for more it takes what prepare_images.py has written.
MOST_TO_HASH = 2000
_MOST_SHOWN = 50


def find_doubtful_pairs(
    rows: pd.DataFrame, data_dir: Path, folds_csv: Path, prefer_suffix: str | None = None
) -> tuple[pd.DataFrame | None, str]:
    """The near-identical pairs of different classes, or in different folds.

    Args:
        rows: A row per image: image_name, target, fold.
        data_dir: The competition folder; it need not be there.
        folds_csv: The fold file, beside which scripts/create_folds.py --find-duplicates leaves pairs.
        prefer_suffix: As of `find_images`.

    Returns:
        Columns image_name_1, image_name_2, distance (in bits of 256, where it is known), target_1,
        target_2, fold_1, fold_2; and where they are from. None, and why, where nobody has looked.
    """
    listed = folds_csv.with_name(f"{folds_csv.stem}_duplicates.csv")
    try:
        if listed.is_file():
            return _doubtful(read_duplicates(listed), rows), f"Pairs listed in {listed.name}."
        names = rows[IMAGE_NAME].tolist()
        there = data_dir.is_dir()
        paths = find_images(data_dir, "train", names, prefer_suffix) if there else []
        known = confirmed_hashes(data_dir, paths) if images_csv(data_dir).is_file() else {}
        if not paths or len(paths) - len(known) > MOST_TO_HASH:
            return None, _not_looked_for(paths)
        pairs = duplicate_pairs(names, hash_images(paths, known))
    except MelanomaError as error:
        return None, f"not looked for: {error}"
    return _doubtful(pairs, rows), f"Perceptual hashes of all {len(names):,} photographs compared."


def duplicates_section(
    pairs: pd.DataFrame | None, origin: str, rows: pd.DataFrame, scores: Floats
) -> Section:
    """The section of near-duplicates.

    Args:
        pairs: As `find_doubtful_pairs` gives them.
        origin: Likewise.
        rows: A row per image.
        scores: Shape (n,), of the rows.
    """
    notes = [origin]
    if pairs is not None:
        across = int((pairs["target_1"] != pairs["target_2"]).sum())
        leaks = int((pairs["fold_1"] != pairs["fold_2"]).sum())
        notes.append(f"{across} pairs across classes, {leaks} across folds.")
    return Section(
        "duplicates",
        "Near-duplicates across classes",
        "Photographs that look the same but are labelled differently: one label is probably wrong, or "
        "a lesion has changed. In different folds they flatter the score.",
        notes,
        tables=[] if pairs is None or pairs.empty else [_table(pairs, rows, scores)],
    )


def _not_looked_for(paths: Sequence[Path]) -> str:
    if not paths:
        return "not looked for: the photographs are not here."
    return (
        f"not looked for: {len(paths):,} photographs would have to be opened. Copies made by "
        "scripts/prepare_images.py, or scripts/create_folds.py --find-duplicates, know them."
    )


def _doubtful(pairs: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    of_image = rows.set_index(IMAGE_NAME)[[TARGET, FOLD]]
    both = pairs[pairs[IMAGE_1].isin(of_image.index) & pairs[IMAGE_2].isin(of_image.index)].copy()
    for number, column in ((1, IMAGE_1), (2, IMAGE_2)):
        both[f"target_{number}"] = of_image[TARGET].loc[both[column]].to_numpy()
        both[f"fold_{number}"] = of_image[FOLD].loc[both[column]].to_numpy()
    differs = (both["target_1"] != both["target_2"]) | (both["fold_1"] != both["fold_2"])
    return both[differs].reset_index(drop=True)


def _table(pairs: pd.DataFrame, rows: pd.DataFrame, scores: Floats) -> Table:
    score_of = pd.Series(scores, index=rows[IMAGE_NAME])
    lines = []
    for pair in pairs.head(_MOST_SHOWN).to_dict(orient="records"):
        sides = [
            f"{_class(pair[f'target_{number}'])}, fold {pair[f'fold_{number}']}, "
            f"score {score_of[pair[column]]:.4f}"
            for number, column in ((1, IMAGE_1), (2, IMAGE_2))
        ]
        distance = "-" if DISTANCE not in pair else str(pair[DISTANCE])
        lines.append([pair[IMAGE_1], sides[0], pair[IMAGE_2], sides[1], distance])
    more = f", the first {_MOST_SHOWN} of {len(pairs)}" if len(pairs) > _MOST_SHOWN else ""
    head = ["photograph", "is", "photograph", "is", "differing bits of 256"]
    return Table(f"Near-identical pairs of different classes or folds{more}", head, lines)


def _class(target: int) -> str:
    return "melanoma" if target else "other"
