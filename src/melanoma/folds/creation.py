"""Making a fold file: from a competition's tables to folds.csv, folds.json and folds.png."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.errors import ConfigError, TableError, name_some
from melanoma.files import sha256_of, write_json, write_text
from melanoma.folds.assignment import ALGORITHM, LEFT_OUT, FoldArray, Scheme, assign_folds
from melanoma.folds.balance import Balance, judge_folds
from melanoma.folds.files import description_path, excluded_column, read_description
from melanoma.folds.groups import Groups, dominant_group, join_groups, read_known_pairs
from melanoma.folds.picture import draw_balance
from melanoma.identifiers import normal_form
from melanoma.remote.opening import local_folder
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    PATIENT_ID,
    is_placeholder,
    patients_of,
    read_labelled,
    read_train,
    train_csv,
)


@dataclass
class FoldsMade:
    """What was made.

    Attributes:
        balances: Of each fold column, by its name.
        notes: What was done with duplicates and with images of other years, a sentence each.
    """

    balances: dict[str, Balance] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """The balance of every fold column, and the notes, for the terminal."""
        titled = [
            f"{column}\n{balance.as_text()}" if len(self.balances) > 1 else balance.as_text()
            for column, balance in self.balances.items()
        ]
        return "\n".join([*titled, *self.notes])


@dataclass(frozen=True)
class _Tables:
    train: pd.DataFrame
    external: pd.DataFrame | None
    train_groups: Groups
    external_groups: Groups


def create_folds(
    data_dir: Path,
    n_folds: int = 5,
    seed: int = 42,
    scheme: Scheme = "balanced",
    output: Path = Path("folds/folds.csv"),
    duplicates: Path | None = None,
    external: Path | None = None,
    repeats: int = 1,
    balance_on: Sequence[str] = (),
    overwrite: bool = False,
) -> FoldsMade:
    """Assign every image of a competition's train.csv to a fold and write the fold file.

    Args:
        data_dir: The competition folder, or its address (s3://bucket/siim); only its train.csv is
            read, no image.
        n_folds: Number of folds, at least 2.
        seed: Seed of the shuffling.
        scheme: balanced keeps a patient's images together and balances images, melanomas, patients,
            patient size, sex, site, age and diagnosis at once, and the melanomas of each sex, site
            and so on; grouped keeps patients together and balances the target; stratified balances
            the target alone and lets patients leak.
        output: The fold file (image_name, fold); under the same stem, beside it, a .json with the
            scheme, the seed, the SHA-256 of train.csv and the balance, and a .png of the balance.
        duplicates: Pairs of duplicates (image_name_1, image_name_2): their patients are kept on the
            same side.
        external: The train.csv of another year: its images get fold -1, always trained on and never
            validated on, except that those of a patient, or with a duplicate, in a validation fold
            are left out of that fold's training.
        repeats: Repeated cross-validation: further columns fold_1, fold_2 ... of other seeds.
        balance_on: Further columns of train.csv to balance.
        overwrite: Replace a fold file that this script did not write, or that an earlier version
            of `balanced` made.

    Raises:
        TableError: If a table breaks its contract.
        ConfigError: If the folds cannot be made, or `output` is somebody else's file.
    """
    if repeats < 1:
        raise ConfigError(f"--repeats {repeats}: must be at least 1.")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: must not be negative.")
    if external is not None and scheme == "stratified":
        raise ConfigError("--external needs folds that keep patients together: not stratified.")
    if output.is_dir():
        raise ConfigError(
            f"--output {output}: is a folder. Give a file, such as {output / 'folds.csv'}."
        )
    if output.suffix == description_path(output).suffix:
        raise ConfigError(
            f"--output {output}: the description of the folds is written there. Give a .csv, such as "
            f"{output.with_suffix('.csv')}."
        )
    data_dir = local_folder(data_dir)
    made = FoldsMade()
    tables = _read_tables(data_dir, duplicates, external, made)
    columns: dict[str, FoldArray] = {}
    for repeat in range(repeats):
        column = FOLD if repeat == 0 else f"{FOLD}_{repeat}"
        folds = assign_folds(
            tables.train, n_folds, seed + repeat, scheme, tables.train_groups, balance_on
        )
        columns[column] = folds
        made.balances[column] = judge_folds(tables.train, folds, tables.train_groups, balance_on)
    made.notes += _notes_on_patients(tables)
    text = _fold_table(tables, columns, made).to_csv(index=False, lineterminator="\n")
    if not overwrite:
        _refuse_to_replace_foreign_file(output, text)
    write_text(output, text)
    draw_balance(made.balances[FOLD], output.with_suffix(".png"))
    inputs = {"train": train_csv(data_dir), "duplicates": duplicates, "external": external}
    description = {"scheme": scheme, "seed": seed, "k": n_folds, "repeats": repeats}
    if scheme == "balanced":
        description["algorithm"] = ALGORITHM
    write_json(description_path(output), description | _description(inputs, output, made))
    return made


def _read_tables(
    data_dir: Path, duplicates: Path | None, external_csv: Path | None, made: FoldsMade
) -> _Tables:
    train = read_train(data_dir)
    external = None if external_csv is None else read_labelled(external_csv)
    everything = train
    if external is not None:
        ours = normal_form(train[IMAGE_NAME])
        twice = external.loc[normal_form(external[IMAGE_NAME]).isin(ours), IMAGE_NAME]
        if len(twice):
            raise TableError(
                f"{external_csv}: {name_some(twice)} also in {train_csv(data_dir)}. Remove these rows "
                "from the external table."
            )
        everything = pd.concat([train, external], ignore_index=True)
    pairs = None
    if duplicates is not None:
        pairs, n_unknown = read_known_pairs(duplicates, everything)
        made.notes.append(
            f"duplicates: {len(pairs)} pairs keep their patients together; {n_unknown} name "
            "images that are not in the tables"
        )
    groups = join_groups(everything, pairs)
    # Numbered anew without gaps, in the same order.
    own, train_groups = np.unique(groups[: len(train)], return_inverse=True)
    external_groups = groups[len(train) :]
    number = np.searchsorted(own, external_groups)
    related = np.isin(external_groups, own)
    return _Tables(train, external, train_groups, np.where(related, number, LEFT_OUT))


def _notes_on_patients(tables: _Tables) -> list[str]:
    """What a reader should know of patients who are none, and of one who is most of the table."""
    notes, train = [], tables.train
    if PATIENT_ID in train.columns:
        placeholders = train.loc[train[PATIENT_ID].map(is_placeholder).astype(bool), PATIENT_ID]
        for value, count in placeholders.value_counts().items():
            notes.append(
                f"{PATIENT_ID} {value!r} of {count} images is taken as missing: each of them is a "
                "patient of its own"
            )
    dominant = dominant_group(tables.train_groups)
    if dominant is not None:
        hers = tables.train_groups == dominant
        notes.append(
            f"patient {patients_of(train)[hers].min()} has {100 * hers.mean():.0f} % of all images "
            f"({hers.sum()} of {len(hers)}), so that folds cannot be even; with --scheme balanced "
            "her fold takes no others, if she has images of both classes. If that is no patient, but "
            f"stands for unknown ones, leave the {PATIENT_ID} of these rows empty"
        )
    return notes


def _fold_table(tables: _Tables, columns: dict[str, FoldArray], made: FoldsMade) -> pd.DataFrame:
    table = pd.DataFrame({IMAGE_NAME: tables.train[IMAGE_NAME], **columns})
    if tables.external is None:
        return table
    rows = pd.DataFrame({IMAGE_NAME: tables.external[IMAGE_NAME]})
    for column, folds in columns.items():
        fold_of_group = np.full(int(tables.train_groups.max()) + 2, LEFT_OUT)
        fold_of_group[tables.train_groups] = folds
        # The last entry stays -1: a group without an image of our own.
        excluded = fold_of_group[tables.external_groups]
        rows[column] = LEFT_OUT
        table[excluded_column(column)] = LEFT_OUT
        rows[excluded_column(column)] = excluded
        made.notes.append(
            f"{column}: {len(rows)} external images, fold -1, always trained on; "
            f"{int((excluded >= 0).sum())} of them are left out of the training of the one fold "
            "that validates their patient or a duplicate"
        )
    return pd.concat([table, rows], ignore_index=True)


def _description(inputs: dict[str, Path | None], output: Path, made: FoldsMade) -> dict[str, Any]:
    hashes = {f"{name}_sha256": sha256_of(path) for name, path in inputs.items() if path}
    balance = made.balances[FOLD]
    return {
        **hashes,
        "folds_sha256": sha256_of(output),
        "balance": balance.per_fold.to_dict(orient="records"),
        "strata_deviation_percent": round(balance.strata_deviation, 3),
        "share_spread_points": {
            name: round(balance.share_spread(name), 3) for name in balance.shares
        },
        "melanoma_spread": {name: balance.melanoma_spread(name) for name in balance.melanomas},
        "melanoma_spread_floor": balance.melanoma_floors,
        "notes": made.notes,
    }


def _refuse_to_replace_foreign_file(output: Path, text: str) -> None:
    if not output.exists():
        return
    made = read_description(output)
    # The same folds are there where an earlier call could not write the description.
    ours: set[str | None] = {sha256(text.encode()).hexdigest()}
    if made.get("scheme") != "balanced" or made.get("algorithm") == ALGORITHM:
        ours.add(made.get("folds_sha256"))
    if sha256_of(output) not in ours:
        raise ConfigError(
            f"{output} exists and was not written by create_folds.py as it is now, so it could not "
            "be made again. Choose another --output, or replace it with --overwrite."
        )
