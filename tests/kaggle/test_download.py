import json
import shutil
from pathlib import Path

import pytest

from fake_kaggle import FakeKaggle
from kaggle_stub import Answer, Stub
from melanoma.errors import ConfigError
from melanoma.files import write_text
from melanoma.kaggle.client import Output
from melanoma.kaggle.download import Home, bring_home, fetch_outputs
from melanoma.kaggle.failures import KaggleError
from melanoma.kaggle.outputs import take_run
from melanoma.run_folder import RunFolder
from melanoma.verification.runs import verify_run
from whole_run import blend, whole_run

REF = "me/melanoma-fold-0"
LIST = "ListKernelSessionOutput"
DOWNLOAD = f"""
from melanoma.kaggle.download import fetch_outputs
fetch_outputs(connect(policy), {REF!r}, Path("home/outputs"))
"""


def listed(stub: Stub, *names: str) -> list[dict[str, str]]:
    return [{"fileName": name, "url": stub.signed(f"/files/{name}")} for name in names]


def test_outputs_are_downloaded_page_by_page(stub: Stub) -> None:
    first = listed(stub, "runs/b/config.yaml", "noise.txt")
    second = listed(stub, "runs/b/fold_0/best.ckpt")
    stub.on(LIST, {"files": first, "nextPageToken": "next"}, {"files": second, "log": "[]"})
    stub.on("/files/runs/b/config.yaml", Answer(b"seed: 1\n", content_type="text/plain"))
    stub.on("/files/runs/b/fold_0/best.ckpt", Answer(b"\0" * 3_000_000, content_type="a/b"))
    done = stub.run(DOWNLOAD)
    assert (done.returncode, done.stderr) == (0, "")
    folder = stub.folder / "home" / "outputs" / "runs" / "b"
    assert (folder / "config.yaml").read_text() == "seed: 1\n"
    assert (folder / "fold_0" / "best.ckpt").stat().st_size == 3_000_000
    assert sorted(path.name for path in folder.rglob("*")) == ["best.ckpt", "config.yaml", "fold_0"]
    assert not (folder.parents[1] / "noise.txt").exists()
    assert [request.json.get("pageToken") for request in stub.got(LIST)] == [None, "next"]
    assert done.stdout.splitlines()[:2] == ["1/2 runs/b/config.yaml", "2/2 runs/b/fold_0/best.ckpt"]


def test_a_download_that_breaks_off_is_begun_again(stub: Stub) -> None:
    stub.on(LIST, {"files": listed(stub, "runs/a")})
    content = b"x" * 5000
    stub.on("/files/runs/a", Answer(content, missing=100), Answer({}, 503), Answer(content))
    assert stub.run(DOWNLOAD).returncode == 0
    assert (stub.folder / "home/outputs/runs/a").read_bytes() == content


def test_a_download_that_breaks_off_for_good_leaves_nothing_half(stub: Stub) -> None:
    stub.on(LIST, {"files": listed(stub, "runs/a")})
    stub.on("/files/runs/a", Answer(b"x" * 5000, missing=100))
    done = stub.run(DOWNLOAD)
    assert done.returncode == 1
    assert "error: downloading runs/a: Kaggle cannot be reached" in done.stderr
    assert list((stub.folder / "home/outputs/runs").iterdir()) == []


def test_an_error_page_is_no_output(stub: Stub) -> None:
    stub.on(LIST, {"files": listed(stub, "runs/a")})
    stub.on("/files/runs/a", Answer(b"<html>expired</html>", 403, "text/html"))
    done = stub.run(DOWNLOAD)
    assert done.returncode == 1
    assert "downloading runs/a: Kaggle answers 403 (403 Client Error: Forbidden" in done.stderr
    assert "?***" in done.stderr
    assert not (stub.folder / "home/outputs/runs/a").exists()


def test_an_address_that_has_expired_is_asked_for_again(stub: Stub) -> None:
    names = ("runs/a", "runs/b", "runs/c")
    stub.on(LIST, {"files": listed(stub, *names)})
    for name in names:
        stub.on(f"/files/{name}", Answer(name.encode()))
    stub.on("/files/runs/b", Answer(b"expired", 403), Answer(b"runs/b"))
    done = stub.run(DOWNLOAD)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(stub.folder / "home/outputs" / name).read_text() for name in names] == [*names]
    assert len(stub.got(LIST)) == 2
    assert len(stub.got("/files/runs/a")) == len(stub.got("/files/runs/c")) == 1


def test_whole_files_are_kept_for_the_next_call(stub: Stub) -> None:
    stub.on(LIST, {"files": listed(stub, "runs/a", "runs/b")})
    stub.on("/files/runs/a", Answer(b"a"))
    stub.on("/files/runs/b", Answer(b"expired", 403))
    done = stub.run(DOWNLOAD)
    assert done.returncode == 1
    assert (
        "1 file(s) are whole and stay in home/outputs: the same call goes on there" in done.stderr
    )
    stub.on("/files/runs/b", Answer(b"b"))
    assert stub.run(DOWNLOAD).returncode == 0
    assert len(stub.got("/files/runs/a")) == 1
    # Of another version of the kernel nothing is whole yet.
    newer = [
        {**file, "url": file["url"].replace("/files", "/kf/2")} for file in listed(stub, "runs/a")
    ]
    stub.on(LIST, {"files": newer})
    stub.on("/kf/2/runs/a", Answer(b"newer"))
    assert stub.run(DOWNLOAD).returncode == 0
    assert (stub.folder / "home/outputs/runs/a").read_text() == "newer"


@pytest.mark.parametrize(
    "name", ["../runs/a", "runs/../../a", "/runs/a", "runs\\..\\a", "C:runs/a"]
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    kaggle = FakeKaggle(outputs=[[Output("runs/b", ""), Output(name, "")]], fetch=[b""])
    with pytest.raises(KaggleError, match=r"leads out of the folder .* Nothing was downloaded"):
        fetch_outputs(kaggle, REF, tmp_path, say=lambda _: None)
    assert kaggle.calls == [f"outputs {REF}"]


def test_a_kernel_that_has_left_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(KaggleError, match=r"has left no run, but nothing"):
        fetch_outputs(FakeKaggle(outputs=[[]]), REF, tmp_path)
    kaggle = FakeKaggle(outputs=[[Output("a", ""), Output("folds/b", "")]])
    with pytest.raises(
        KaggleError, match=r"but a, folds/b. Its log says why; it is at https://www"
    ):
        fetch_outputs(kaggle, REF, tmp_path)


def test_a_pattern_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--files \(: no regular expression"):
        fetch_outputs(FakeKaggle(), REF, tmp_path, files="(")


@pytest.mark.parametrize(
    "name", ["submission.csv", ".x/a", "runs/b/.locks/fold_0.lock", "runs/b/fold_0/.last.1.ckpt"]
)
def test_what_is_no_part_of_a_run_is_left(tmp_path: Path, name: str) -> None:
    listed = [Output("runs/b/config.yaml", ""), Output(name, "")]
    kaggle = FakeKaggle(outputs=[listed], fetch=[b""])
    assert fetch_outputs(kaggle, REF, tmp_path, say=lambda _: None) == ()
    assert not (tmp_path / name).exists()


def test_names_that_do_not_fit_are_left(tmp_path: Path) -> None:
    names = ["runs/b/config.yaml", "runs/b/fold_0/last.ckpt", "runs/b/fold_0/oof.csv"]
    kaggle = FakeKaggle(outputs=[[Output(name, "") for name in names]], fetch=[b""])
    left = fetch_outputs(kaggle, REF, tmp_path, files="csv$", say=lambda _: None)
    assert left == ("runs/b/fold_0/last.ckpt",)
    assert (tmp_path / names[0]).is_file()
    assert (tmp_path / names[2]).is_file()


def put(kaggle: FakeKaggle, ref: str, working: Path) -> None:
    """What a kernel has left, as Kaggle lists it."""
    paths = [path for path in sorted(working.rglob("*")) if path.is_file()]
    names = [path.relative_to(working).as_posix() for path in paths]
    kaggle.on(f"outputs {ref}", [Output(name, "") for name in names])
    kaggle.on(f"log {ref}", f"log of {ref}")
    for path, name in zip(paths, names):
        kaggle.on(f"fetch {name}", path.read_bytes())


@pytest.fixture
def left(competition: Path, folds_csv: Path, tmp_path: Path) -> Path:
    """The working folder of a kernel that has made its own folds."""
    working = tmp_path / "working"
    run_dir = whole_run(competition, folds_csv, "b")
    shutil.move(run_dir, working / "runs" / "b")
    shutil.move(folds_csv.parent, working / "folds")
    return working


def test_everything_that_a_run_needs_at_home_comes_home(
    left: Path, competition: Path, tmp_path: Path
) -> None:
    config = RunFolder(left / "runs" / "b").read_config()
    config["data"]["folds_csv"] = str(folds_of(left))
    write_text(left / "runs" / "b" / "config.yaml", json.dumps(config))
    blend(left / "runs" / "b")
    kaggle = FakeKaggle()
    put(kaggle, REF, left)
    home = Home(tmp_path / "home" / "runs" / "b", competition, tmp_path / "home/folds/folds.csv")
    for _ in range(2):
        bring_home(kaggle, REF, home, say=lambda _: None)
        assert verify_run(home.run_dir).is_fine
    data = RunFolder(home.run_dir).read_config()["data"]
    assert data["folds_csv"] == str(home.run_dir / "folds" / folds_of(left).name)
    assert (home.run_dir / "logs" / "melanoma-fold-0.log").read_text() == f"log of {REF}"
    for name in ("submission.csv", "oof.csv"):
        assert (home.run_dir / name).read_bytes() == (left / "runs" / "b" / name).read_bytes()
    blend(home.run_dir)  # as documented, and no other blend than the kernel's
    assert [path.name for path in home.run_dir.parent.iterdir()] == ["b"]


def folds_of(working: Path) -> Path:
    return next((working / "folds").glob("*.csv"))


def test_the_fold_file_that_is_here_is_the_one_that_is_named(
    left: Path, competition: Path, tmp_path: Path
) -> None:
    kaggle = FakeKaggle()
    put(kaggle, REF, left)
    home = Home(tmp_path / "home" / "runs" / "b", competition, folds_of(left))
    bring_home(kaggle, REF, home, say=lambda _: None)
    assert RunFolder(home.run_dir).read_config()["data"]["folds_csv"] == str(folds_of(left))
    assert not (home.run_dir / "folds").exists()
    assert verify_run(home.run_dir).is_fine


def test_folds_of_several_kernels_come_together_without_what_each_has_blended(
    left: Path, competition: Path, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home" / "runs" / "b", competition, folds_of(left))
    for fold in (0, 1):
        working = tmp_path / f"kernel{fold}"
        take_run([left / "runs" / "b"], working / "runs" / "b", folds=[fold])
        (working / "runs" / "b" / "submission.json").write_text(f'{{"folds": [{fold}]}}')
        kaggle = FakeKaggle()
        put(kaggle, f"me/fold-{fold}", working)
        bring_home(kaggle, f"me/fold-{fold}", home, is_part=True, say=lambda _: None)
    assert RunFolder(home.run_dir).finished_folds() == [0, 1]
    assert not (home.run_dir / "submission.json").exists()
    assert {path.name for path in (home.run_dir / "logs").iterdir()} == {"fold-0.log", "fold-1.log"}


def test_a_blend_of_fewer_folds_is_replaced_and_one_of_the_same_is_kept(
    left: Path, competition: Path, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home" / "runs" / "b", competition, folds_of(left))
    here = take_run([left / "runs" / "b"], home.run_dir, competition, home.folds_csv)
    kernel = left / "runs" / "b"
    for of, kept in (([0], b"kernel"), ([0, 1], b"here")):
        (here.path / "submission.json").write_text(json.dumps({"folds": of}))
        here.submission_csv.write_bytes(b"here")
        (kernel / "submission.json").write_text('{"folds": [0, 1]}')
        (kernel / "submission.csv").write_bytes(b"kernel")
        kaggle = FakeKaggle()
        put(kaggle, REF, left)
        bring_home(kaggle, REF, home, say=lambda _: None)
        assert here.submission_csv.read_bytes() == kept


def test_networks_may_stay_at_kaggle_and_come_later(
    left: Path, competition: Path, tmp_path: Path
) -> None:
    kaggle = FakeKaggle()
    put(kaggle, REF, left)
    home = Home(tmp_path / "home" / "runs" / "b", competition, folds_of(left))
    left_out = bring_home(kaggle, REF, home, files="(csv|json)$", say=lambda _: None)
    assert len(left_out) == 4
    assert not list(home.run_dir.rglob("*.ckpt"))
    bring_home(kaggle, REF, home, say=lambda _: None)
    assert verify_run(home.run_dir).is_fine


def test_the_log_of_a_kernel_that_has_left_nothing_is_kept(tmp_path: Path) -> None:
    kaggle = FakeKaggle(outputs=[[]], log=['[{"data": "out of memory"}]'])
    with pytest.raises(KaggleError, match="has left no run"):
        bring_home(kaggle, REF, Home(tmp_path / "b"), say=lambda _: None)
    assert (tmp_path / "b" / "logs" / "melanoma-fold-0.log").read_text() == "out of memory"


def test_a_blend_is_taken_as_it_is_and_never_over_another(tmp_path: Path) -> None:
    blended = tmp_path / "working" / "runs" / "b"
    write_text(blended / "submission.csv", "image_name,target\n")
    write_text(blended / "submission.json", "{}")
    kaggle = FakeKaggle()
    put(kaggle, REF, tmp_path / "working")
    home = Home(tmp_path / "runs" / "blend")
    for _ in range(2):
        bring_home(kaggle, REF, home, say=lambda _: None)
    assert (home.run_dir / "submission.csv").read_bytes() == b"image_name,target\n"
    kaggle.on("fetch runs/b/submission.csv", b"another")
    with pytest.raises(ConfigError, match=r"submission.csv would be lost: of another blend"):
        bring_home(kaggle, REF, home, say=lambda _: None)
    assert (home.run_dir / "submission.csv").read_bytes() == b"image_name,target\n"
