"""Weights and runs: damaged, of something else, unfinished, contradictory."""

import json
import pickle
from pathlib import Path

import pandas as pd
import torch

from bad_input.case import (
    BUILD,
    DATA,
    FORM_CSV,
    PREDICT,
    REPORT,
    RUN,
    TEST_CSV,
    TEST_PHOTOGRAPH,
    TRAIN,
    TRAIN_AGAIN,
    TRAIN_CSV,
    Case,
    both,
    cut,
    holds,
    is_gone,
    table,
    text,
    value,
)
from melanoma.models.backbones import create_backbone

FOLD = RUN / "fold_1"
SECOND_RUN = Path("runs/other")


class Malicious:
    """A pickle that would run code when it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("open('broken-in', 'w').close()",)


def saved(content: object) -> None:
    torch.save(content, "weights.pth")


def of_another_network() -> None:
    saved(create_backbone("test_efficientnet").network.state_dict())


def with_done(change: dict[str, object]) -> None:
    path = FOLD / "done.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def with_damaged_epochs() -> None:
    config = RUN / "config.yaml"
    config.write_text(config.read_text().replace("predict_from: last", "predict_from: best"))
    for fold in (0, 1):
        (RUN / f"fold_{fold}" / "epochs.npz").write_text("no archive")


def weights(name: str, pattern: str, breaks: object = None, path: str = "weights.pth") -> Case:
    command = (*TRAIN, f"--model.weights={path}")
    pattern = rf"--model\.weights {path}: {pattern}"
    return Case(name, command, pattern, breaks or (lambda: None))  # type: ignore[arg-type]


WEIGHTS = [
    weights("no such weights", r"no such file\. Give none, imagenet, or"),
    weights("a misspelt source", r"no such file\..*Did you mean imagenet\?", path="imagnet"),
    weights("weights of another network", r"weights of another network.*Give", of_another_network),
    weights("weights without tensors", r"holds no weights\. Save", lambda: saved({"a": 1})),
    weights("weights are empty", r"cannot be read .*Copy or download", holds("weights.pth")),
    weights(
        "weights are text", r"cannot be read .*Copy or download", holds("weights.pth", "<html>")
    ),
    weights(
        "weights that are cut",
        r"cannot be read .*Copy or download",
        both(
            lambda: saved(create_backbone("test_resnet").network.state_dict()),
            cut(Path("weights.pth")),
        ),
    ),
    weights(
        "weights that run code", r"holds more than tensors.*not opened", lambda: saved(Malicious())
    ),
    weights(
        "an old pickle that runs code",
        r"holds more than tensors.*not opened",
        lambda: Path("weights.pth").write_bytes(pickle.dumps(Malicious(), protocol=2)),
    ),
    weights(
        "safetensors that are none",
        r"cannot be read .*Copy or download",
        holds("weights.safetensors", b"\xff" * 100),
        "weights.safetensors",
    ),
    weights(
        "weights of an unknown kind",
        r"not known as weights by its name\. They are read from",
        holds("weights.h5", "x"),
        "weights.h5",
    ),
    Case(
        "a network nobody published",
        (*TRAIN, "--model.weights=imagenet", "--model.backbone=resnet10t.no_such_tag"),
        r"--model\.backbone resnet10t\.no_such_tag: .*List",
    ),
]

PREDICTING = [
    Case("no run", (*PREDICT, "--run-dir=folds"), r"folds: no run folder.*Give the folder"),
    Case(
        "a configuration that is no YAML",
        PREDICT,
        r"runs/tiny/config\.yaml: cannot be read .*Restore it, or choose",
        holds(RUN / "config.yaml", "data: [1"),
    ),
    Case(
        "a configuration without settings",
        PREDICT,
        r"runs/tiny/config\.yaml: holds no settings\. Train again",
        holds(RUN / "config.yaml", "just text"),
    ),
    Case(
        "a configuration of other settings",
        PREDICT,
        "no_such_setting",
        text(RUN / "config.yaml", lambda content: content + "no_such_setting: 1\n"),
    ),
    Case(
        "no fold is finished",
        PREDICT,
        r"runs/tiny: no fold is finished.*Train with",
        both(is_gone(RUN / "fold_0/done.json"), is_gone(FOLD / "done.json")),
    ),
    Case(
        "a fold is not finished",
        (*PREDICT, "--fold=0,1"),
        r"runs/tiny: fold 1 not finished\. Train with .* --fold 1\.",
        is_gone(FOLD / "done.json"),
    ),
    Case(
        "done.json is cut",
        PREDICT,
        r"fold_1/done\.json: cannot be read .*Train that fold again",
        cut(FOLD / "done.json"),
    ),
    Case(
        "done.json is a list",
        PREDICT,
        r"fold_1/done\.json: .*Train that fold again",
        holds(FOLD / "done.json", "[1, 2]"),
    ),
    Case(
        "a checkpoint is gone",
        (*PREDICT, "--overwrite"),
        r"fold_1/best\.ckpt: no such file\. Train that fold again",
        is_gone(FOLD / "best.ckpt"),
    ),
    Case(
        "a checkpoint is cut",
        (*PREDICT, "--overwrite"),
        r"fold_1/best\.ckpt is damaged or was replaced.*Train that fold again",
        cut(FOLD / "best.ckpt"),
    ),
    Case(
        "predicted from another table",
        PREDICT,
        r"test\.csv of fold 0, 1 was predicted from another table.*--overwrite",
        value(TEST_CSV, "sex", 0, "unknown"),
    ),
    Case(
        "nothing to predict",
        PREDICT,
        r"input/tiny/test\.csv: no such file.*Give the folder",
        is_gone(TEST_CSV),
    ),
    Case(
        "a photograph to predict is cut",
        (*PREDICT, "--overwrite"),
        r"input/tiny/jpeg/test: 1 of 10 .*TEST_003\.jpg\. Download",
        cut(TEST_PHOTOGRAPH),
    ),
    Case("the data are elsewhere", (*PREDICT, "--data-dir=away"), r"away.*[Gg]ive|away.*no such"),
]

TRAINING = [
    Case(
        "a run of another configuration",
        (*TRAIN_AGAIN, "--model.dropout=0.5"),
        r"runs/tiny holds a run of another configuration: model\.dropout was .*Choose another",
    ),
    Case(
        "a run of other tables",
        TRAIN_AGAIN,
        r"runs/tiny holds a run of other tables: train\.csv has changed.*Choose another",
        both(value(TRAIN_CSV, "sex", 0, "male"), lambda: Path("folds/folds.json").unlink()),
    ),
    Case(
        "a run folder that is a file",
        (*TRAIN, "--run-dir=file"),
        r"file/\.locks.* a file is where its folder should be\. Remove it",
        holds("file", "in the way"),
    ),
    Case(
        "the configuration of a run is cut",
        TRAIN_AGAIN,
        r"runs/tiny/config\.yaml",
        holds(RUN / "config.yaml", "data: [1"),
    ),
]

SUBMITTING = [
    Case("nothing to blend", ("build_submission",), r"nothing to blend\. Give --run-dir"),
    Case("no run to submit", (*BUILD[:1], f"--run-dir={DATA}"), r"input/tiny: no run folder.*Give"),
    Case(
        "a run twice", ("build_submission", "--run-dir", str(RUN), str(RUN)), r"given twice.*Give"
    ),
    Case(
        "a fold to submit is not finished",
        BUILD,
        r"runs/tiny: fold 1 not finished\. Train with .* --fold 1\.",
        is_gone(FOLD / "done.json"),
    ),
    Case(
        "the predictions of epochs are damaged",
        BUILD,
        r"fold_0/epochs\.npz: cannot be read .*Train that fold again",
        with_damaged_epochs,
    ),
    Case("no oof.csv", BUILD, r"fold_1/oof\.csv: no such file", is_gone(FOLD / "oof.csv")),
    Case(
        "oof.csv is cut", BUILD, r"fold_1/oof\.csv: .*Train that fold again", cut(FOLD / "oof.csv")
    ),
    *(
        Case(
            f"a prediction is {wrong!r}",
            BUILD,
            r"fold_1/test\.csv: prediction of TEST_003 \(.*\) is not a number between 0 and 1\. P",
            value(FOLD / "test.csv", "prediction", 3, wrong),
        )
        for wrong in ("1.5", "-0.1", "", "inf", "high")
    ),
    Case(
        "an image out of fold is another",
        BUILD,
        r"fold_1/oof\.csv: .*no prediction for TRAIN_.*Train that fold again",
        value(FOLD / "oof.csv", "image_name", 0, "STRANGE"),
    ),
    Case(
        "targets out of fold differ",
        BUILD,
        r"fold_1/oof\.csv: target of .* differs from the tables'\. Train that fold again",
        table(FOLD / "oof.csv", lambda rows: rows.assign(target="1")),
    ),
    Case(
        "no test.csv",
        BUILD,
        r"no test predictions .*fold_1/test\.csv\. Predict",
        is_gone(FOLD / "test.csv"),
    ),
    Case(
        "a test image is not predicted",
        BUILD,
        r"fold_1/test\.csv: .*TEST_000.*predict again",
        table(FOLD / "test.csv", lambda rows: rows.iloc[1:]),
    ),
    Case(
        "the form asks for others",
        BUILD,
        r"fold_0/test\.csv: .*STRANGE.*predict again",
        value(FORM_CSV, "image_name", 3, "STRANGE"),
    ),
    Case(
        "the form is header alone",
        BUILD,
        r"sample_submission\.csv: the table has a header but no rows\. Download",
        table(FORM_CSV, lambda rows: rows.iloc[:0]),
    ),
    Case(
        "weights for nobody",
        (*BUILD, "--weights", "1", "2"),
        r"--weights has 2 numbers for 1 .*Give",
    ),
    Case("a negative weight", (*BUILD, "--weights", "-1"), r"--weights: -1\.0 is no weight\. Give"),
    Case("a method of nobody", (*BUILD, "--method=magic"), "method"),
    Case(
        "a submission of mine is in the way",
        BUILD,
        r"runs/tiny/submission\.csv.*--overwrite",
        holds(RUN / "submission.csv", "image_name,target\nmine,1\n"),
    ),
    Case(
        "an out-of-fold table without folds",
        ("build_submission", "--oof", "mine.csv", "--submissions", "sub.csv"),
        r"mine\.csv: no column fold",
        both(
            holds("mine.csv", "image_name,target,prediction\na,1,0.5\n"),
            lambda: pd.read_csv(FORM_CSV).to_csv("sub.csv", index=False),
        ),
    ),
]

REPORTING = [
    Case("nothing to report on", ("report",), r"no run to report on\. Give --run-dir"),
    Case(
        "no run to report on", ("report", f"--run-dir={DATA}"), r"input/tiny: no run folder.*Give"
    ),
    Case(
        "a run twice in a report", ("report", "--run-dir", str(RUN), str(RUN)), "given twice.*Give"
    ),
    Case(
        "a report that is no page",
        (*REPORT, "--output=report.txt"),
        r"--output report\.txt: a report is an \.html file\. Give",
    ),
    Case(
        "no fold to report on is finished",
        REPORT,
        r"runs/tiny: no fold is finished.*Train with",
        both(is_gone(RUN / "fold_0/done.json"), is_gone(FOLD / "done.json")),
    ),
    Case(
        "oof.csv to report on is cut",
        (*REPORT, "--text"),
        r"fold_1/oof\.csv: .*Train that fold again",
        cut(FOLD / "oof.csv"),
    ),
]

CASES = [*WEIGHTS, *PREDICTING, *TRAINING, *SUBMITTING, *REPORTING]
