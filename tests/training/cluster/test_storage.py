import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.errors import ConfigError, RunError
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.training.cluster import storage as module
from melanoma.training.cluster.storage import FoldStore, identity, read_token, write_token

FILES = {"last.ckpt": "state 1", "best.ckpt": "best", "metrics.csv": "row", "tb/log": "event"}


def fill(folder: FoldFolder, files: dict[str, str]) -> FoldFolder:
    for name, text in files.items():
        path = folder.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def content(folder: FoldFolder) -> dict[str, str]:
    files = (path for path in folder.path.rglob("*") if path.is_file())
    return {str(path.relative_to(folder.path)): path.read_text() for path in files}


@pytest.fixture
def trained(tmp_path: Path) -> FoldFolder:
    return fill(RunFolder(tmp_path / "there").fold(0), FILES)


@pytest.fixture
def home(tmp_path: Path) -> FoldFolder:
    return RunFolder(tmp_path / "home").fold(0)


def store(tmp_path: Path, belongs_to: str = "run") -> FoldStore:
    return FoldStore(f"file://{tmp_path}/storage/run/fold_0", belongs_to)


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "storage" / "run" / "fold_0").iterdir())


def test_a_fold_comes_back_as_it_was(tmp_path: Path, trained: FoldFolder, home: FoldFolder) -> None:
    assert not store(tmp_path).pull(home)
    fill(trained, {".last.17.ckpt": "half-written"})
    store(tmp_path).push(trained)
    assert store(tmp_path).pull(home)
    assert content(home) == FILES
    assert not [path for path in trained.path.parent.iterdir() if "snapshot" in path.name]


def test_what_is_newer_replaces_what_was_there_and_leaves_nothing(
    tmp_path: Path, trained: FoldFolder, home: FoldFolder
) -> None:
    ours = store(tmp_path)
    ours.push(trained)
    fill(trained, {"last.ckpt": "state 2", "done.json": "{}"})
    ours.push(trained)
    assert store(tmp_path).pull(home)
    assert content(home) == {**FILES, "last.ckpt": "state 2", "done.json": "{}"}
    manifests = [name for name in kept(tmp_path) if name.startswith("manifest-")]
    assert len(manifests) == 1
    objects = (tmp_path / "storage" / "run" / "fold_0" / "objects").iterdir()
    assert len(list(objects)) == len(FILES) + 1


def test_the_state_to_go_on_from_is_the_oldest_of_a_snapshot_and_done_is_written_last(
    tmp_path: Path, trained: FoldFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    copy = module._copy

    def noted(path: Path, to: Path) -> None:
        taken.append(path.name)
        if path.name == "last.ckpt":  # training goes on, by renaming
            (newer := path.with_name("new")).write_text("state 2")
            copy(path, to)
            newer.replace(path)
            return
        copy(path, to)

    monkeypatch.setattr(module, "_copy", noted)
    fill(trained, {"done.json": "{}"})
    ours = store(tmp_path)
    ours.push(trained)
    assert taken[0] == "last.ckpt"
    assert list(ours.read())[-2:] == ["last.ckpt", "done.json"]
    monkeypatch.undo()
    home = RunFolder(tmp_path / "home").fold(0)
    assert ours.pull(home)
    assert home.last_checkpoint.read_text() == "state 1"


@pytest.mark.parametrize("damage", ["half a manifest", "a manifest whose objects are gone", "list"])
def test_what_a_killed_process_has_left_is_passed_over(
    tmp_path: Path, trained: FoldFolder, home: FoldFolder, damage: str
) -> None:
    store(tmp_path).push(trained)
    left = tmp_path / "storage" / "run" / "fold_0" / "manifest-000000009-ffffffff"
    gone = json.dumps({"belongs_to": "run", "files": {"last.ckpt": "0" * 64}})
    left.write_text({"half a manifest": gone[:20], "list": "[]"}.get(damage, gone))
    assert store(tmp_path).pull(home)
    assert content(home) == FILES


def test_one_that_goes_on_for_a_moment_takes_nothing_from_its_successor(
    tmp_path: Path, trained: FoldFolder, home: FoldFolder
) -> None:
    orphan, successor = store(tmp_path), store(tmp_path)
    orphan.push(trained)
    successor.pull(home)
    fill(home, {"last.ckpt": "state 5", "metrics.csv": "five rows"})
    successor.push(home)
    fill(trained, {"last.ckpt": "state 2"})
    orphan.push(trained)
    successor.push(home)
    again = RunFolder(tmp_path / "again").fold(0)
    assert store(tmp_path).pull(again)
    assert content(again) == content(home)


def test_a_fold_of_another_run_is_refused_until_it_is_cleared(
    tmp_path: Path, trained: FoldFolder, home: FoldFolder
) -> None:
    store(tmp_path).push(trained)
    other = store(tmp_path, "another")
    with pytest.raises(RunError, match=r"holds a fold of other settings or tables. Choose another"):
        other.pull(home)
    other.clear()
    other.clear()
    assert not other.pull(home)


def test_a_damaged_object_is_one_message(
    tmp_path: Path, trained: FoldFolder, home: FoldFolder
) -> None:
    store(tmp_path).push(trained)
    for path in (tmp_path / "storage" / "run" / "fold_0" / "objects").iterdir():
        path.write_text("damaged")
    with pytest.raises(
        RunError, match=r"--ray_storage: file.* cannot be used \(objects/.* damaged"
    ):
        store(tmp_path).pull(home)
    assert content(home) == {}


def test_a_storage_that_cannot_be_written_is_one_message(
    tmp_path: Path, trained: FoldFolder
) -> None:
    (tmp_path / "storage").write_text("a file")
    with pytest.raises(RunError, match=r"cannot be used .* Check the address, the network"):
        store(tmp_path).push(trained)


def test_a_manifest_names_no_file_outside_the_fold(
    tmp_path: Path, trained: FoldFolder, home: FoldFolder
) -> None:
    store(tmp_path).push(trained)
    (manifest,) = (tmp_path / "storage" / "run" / "fold_0").glob("manifest*")
    text = manifest.read_text().replace("metrics.csv", "../../metrics.csv")
    manifest.write_text(text)
    with pytest.raises(RunError, match=r"names a file outside itself, ../../metrics.csv"):
        store(tmp_path).pull(home)


def test_where_there_are_no_links_the_checkpoint_is_copied(
    tmp_path: Path, trained: FoldFolder, home: FoldFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("melanoma.training.cluster.storage.os.link", refuse)
    store(tmp_path).push(trained)
    assert store(tmp_path).pull(home)
    assert content(home) == FILES


def test_tokens_are_read_where_they_were_written(tmp_path: Path) -> None:
    address = f"file://{tmp_path}/storage"
    assert read_token(address) == ""
    write_token(address, "abc")
    assert read_token(address) == "abc"


@pytest.mark.parametrize("address", ["nosuch://bucket", "s4://x/y"])
def test_addresses_of_no_known_kind_are_named(address: str) -> None:
    with pytest.raises(ConfigError, match=rf"--ray_storage {address}: .* begins with s3://"):
        write_token(address, "abc")


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_runs_of_other_settings_or_tables_have_another_identity(
    settings: dict[str, str], tables: dict[str, str]
) -> None:
    ours = identity(settings, tables)
    assert ours == identity(dict(reversed(settings.items())), tables)
    assert ours != identity({**settings, "more": "x"}, tables)
    assert ours != identity(settings, {**tables, "more": "x"})
