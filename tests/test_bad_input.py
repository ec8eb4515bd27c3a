"""The catalogue of bad input: each ends at once, with one message of culprit and remedy."""

import re
import runpy
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from _pytest.mark.structures import ParameterSet

from bad_input import configs, images, runs, tables
from bad_input.case import (
    CREATE,
    DATA,
    FOLDS_CSV,
    RUN,
    TEST_CSV,
    TINY,
    TRAIN_CSV,
    Breaks,
    Case,
    text,
    value,
    without_column,
)
from finished_run import finished_run
from melanoma.command_line import with_underscores
from melanoma.files import sha256_of, write_json
from melanoma.folds.creation import create_folds
from melanoma.run_folder import RunFolder
from melanoma.tables import FOLD, IMAGE_NAME, OOF_COLUMNS, PATIENT_ID, TARGET
from melanoma.training.config import parse_config

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
CASES = [*tables.CASES, *images.CASES, *configs.CASES, *runs.CASES]

# A remedy is an imperative, a limit that would be kept, or what is there instead.
REMEDY = re.compile(
    r"\b(give|choose|check|run|train|predict|download|copy|rename|remove|keep|correct|fill|make|add"
    r"|leave|save|say|list|must|needs?|did you mean|accepted options|that folder has|as in"
    r"|has no fold .+, but|are read from|whose losses are)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, _tiny: Path) -> Path:
    """A folder with the tiny competition, its folds, and a finished run of random networks.

    Its paths are relative, as a user writes them, so that a copy is a whole of its own.
    """
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        shutil.copytree(_tiny, DATA)
        create_folds(DATA, n_folds=2, output=FOLDS_CSV)
        _finish_run()
    return root


def _finish_run() -> None:
    config = parse_config(with_underscores([*TINY, f"--run-dir={RUN}"]))
    made_from = {"train.csv": sha256_of(TRAIN_CSV), "the fold file": sha256_of(FOLDS_CSV)}
    RunFolder(RUN).take(config.resolved, made_from, replaceable=False)
    run = finished_run(config)
    train, test = pd.read_csv(TRAIN_CSV), pd.read_csv(TEST_CSV)
    folds = pd.read_csv(FOLDS_CSV)[FOLD]
    random = np.random.default_rng(0)
    for number in (0, 1):
        folder = run.fold(number)
        rows = train.loc[folds == number, [IMAGE_NAME, PATIENT_ID, TARGET]]
        out_of_fold = rows.assign(fold=number, prediction=random.random(len(rows)))
        out_of_fold[OOF_COLUMNS].to_csv(folder.oof_csv, index=False)
        predicted = test[[IMAGE_NAME]].assign(prediction=random.random(len(test)))
        predicted.to_csv(folder.test_csv, index=False)
        files = {path.name: sha256_of(path) for path in folder.path.glob("*.c*")}
        write_json(
            folder.done_json, {"fold": number, "test_sha256": sha256_of(TEST_CSV), "files": files}
        )


@pytest.fixture
def place(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the template, and the working folder."""
    folder = tmp_path / "place"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


def as_parameters() -> list[ParameterSet]:
    return [pytest.param(case, id=case.id) for case in CASES]


def call(command: Sequence[str]) -> int:
    """Run a script in this process; a parser's errors leave by SystemExit, as in a terminal."""
    name, *arguments = command
    main = runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]
    try:
        return int(main(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1


def content_of(folder: Path) -> dict[str, str]:
    """What lies in a folder: the SHA-256 of every file, and every folder; locks hold nothing."""
    return {
        str(path.relative_to(folder)): sha256_of(path) if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
        if ".locks" not in path.parts
    }


@pytest.mark.parametrize("case", as_parameters())
def test_bad_input_is_one_message_and_nothing_is_done(
    case: Case, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    case.breaks()
    before = content_of(place)
    code = call(case.command)
    printed = capfd.readouterr()
    # A parser prints its usage and a tip before.
    _, *messages = re.split(r"^error: ", printed.err, flags=re.MULTILINE)
    assert code == 2, printed.err
    assert len(messages) == 1, printed.err
    assert "Traceback" not in printed.err
    assert re.search(case.pattern, messages[0], re.DOTALL), printed.err
    assert REMEDY.search(printed.err), printed.err
    assert "images to train on" not in printed.out
    assert content_of(place) == before


def test_the_catalogue_holds_what_was_promised() -> None:
    assert len(CASES) >= 60
    assert not [name for name, count in Counter(case.id for case in CASES).items() if count > 1]


@pytest.mark.parametrize(
    "unusual",
    [
        pytest.param(text(TRAIN_CSV, lambda content: "\ufeff" + content), id="a byte order mark"),
        pytest.param(text(TRAIN_CSV, lambda content: content.replace("\n", "\r\n")), id="CRLF"),
        pytest.param(value(TRAIN_CSV, "image_name", 3, "007"), id="an id like a number"),
        pytest.param(value(TRAIN_CSV, "image_name", 3, "a b (1)"), id="an id with spaces"),
        pytest.param(value(TRAIN_CSV, "image_name", 3, "ISIC_é"), id="an id with an accent"),
        pytest.param(value(TRAIN_CSV, "patient_id", 3, ""), id="no patient"),
        pytest.param(without_column(TRAIN_CSV, "sex"), id="no sexes"),
    ],
)
def test_unusual_input_is_taken_as_it_is(unusual: Breaks, place: Path) -> None:
    unusual()
    assert call(CREATE) == 0
    names = pd.read_csv(TRAIN_CSV, dtype=str, encoding="utf-8-sig")[IMAGE_NAME].tolist()
    assert pd.read_csv("new/folds.csv", dtype=str)[IMAGE_NAME].tolist() == names
