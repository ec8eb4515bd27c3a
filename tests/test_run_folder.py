import json
from pathlib import Path

import pytest

from melanoma.errors import RunError
from melanoma.files import read_object
from melanoma.run_folder import RunFolder

CONFIG = "seed: 1\nmodel: {backbone: a}\ndata: {num_workers: 1, data_dir: x}\n"

TABLES = {"train.csv": "1", "the fold file": "2"}


def test_other_tables_are_refused_and_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.take(CONFIG, TABLES, replaceable=False)
    with pytest.raises(RunError, match=r"holds a run of other tables: the fold file has changed\."):
        run.take(CONFIG, {**TABLES, "the fold file": "3"}, replaceable=False)
    run.take(CONFIG, {**TABLES, "the fold file": "3"}, replaceable=True)


def test_the_same_configuration_is_taken_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.take(CONFIG, TABLES, replaceable=False)
    run.take(CONFIG.replace("num_workers: 1", "num_workers: 2"), TABLES, replaceable=False)
    assert run.read_config()["data"]["num_workers"] == 2


def test_a_process_killed_while_it_takes_the_folder_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path)
    written: list[Path] = []

    def write_once(path: Path, *_content: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path)
        path.write_text(json.dumps(TABLES) if path.suffix == ".json" else CONFIG)

    for name in ("write_text", "write_json"):
        monkeypatch.setattr(f"melanoma.run_folder.{name}", write_once)
    with pytest.raises(KeyboardInterrupt):
        run.take(CONFIG, TABLES, replaceable=False)
    monkeypatch.undo()
    run.take(CONFIG, TABLES, replaceable=False)


def test_another_configuration_is_refused_and_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.take(CONFIG, TABLES, replaceable=False)
    with pytest.raises(
        RunError, match=r"another configuration: model.backbone was a, is b\. Choose"
    ):
        run.take(CONFIG.replace("backbone: a", "backbone: b"), TABLES, replaceable=False)
    assert run.read_config()["model"]["backbone"] == "a"
    run.take(CONFIG.replace("backbone: a", "backbone: b"), TABLES, replaceable=True)
    assert run.read_config()["model"]["backbone"] == "b"


def test_only_done_folds_count_as_finished(tmp_path: Path) -> None:
    for name in ("fold_10", "fold_2", "fold_x", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "done.json").write_text("{}")
    (tmp_path / "fold_3").mkdir()
    assert RunFolder(tmp_path).finished_folds() == [2, 10]


def test_clearing_a_fold_leaves_nothing_of_it(tmp_path: Path) -> None:
    fold = RunFolder(tmp_path).fold(0)
    (fold.path / "tensorboard").mkdir(parents=True)
    fold.done_json.write_text("{}")
    assert fold.is_done
    fold.clear()
    assert not fold.path.exists()
    fold.clear()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no run folder, it has no config.yaml"),
        ("a: [", "cannot be read"),
        ("3", "no settings"),
    ],
)
def test_a_folder_without_a_readable_configuration_is_named(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RunError, match=message):
        RunFolder(tmp_path).read_config()


def test_a_damaged_done_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "fold_0" / "done.json").write_text("{")
    with pytest.raises(RunError, match=r"done.json: cannot be read .* --overwrite"):
        RunFolder(tmp_path).fold(0).read_done()


def test_a_done_file_of_something_else_is_named(tmp_path: Path) -> None:
    done_json = RunFolder(tmp_path).fold(0).done_json
    done_json.parent.mkdir()
    done_json.write_text("[1, 2]")
    with pytest.raises(RunError, match=r"done.json: cannot be read \(it holds no JSON object\)"):
        RunFolder(tmp_path).fold(0).read_done()


def test_files_nested_without_end_are_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.config_yaml.write_text("[" * 50_000)
    run.tables_json.write_text("[" * 500_000)
    (tmp_path / "fold_0").mkdir()
    run.fold(0).done_json.write_text("[" * 500_000)
    with pytest.raises(RunError, match=r"config.yaml: cannot be read"):
        run.read_config()
    with pytest.raises(RunError, match=r"done.json: cannot be read"):
        run.fold(0).read_done()
    assert read_object(run.tables_json) == {}
