from pathlib import Path

import pytest

from fake_kaggle import FakeKaggle
from kaggle_stub import Answer, Stub
from melanoma.errors import ConfigError
from melanoma.files import sha256_of, write_json
from melanoma.kaggle.download import download, download_run
from melanoma.kaggle.failures import KaggleError
from melanoma.kaggle.service import Output
from melanoma.run_folder import RunFolder

REF = "me/melanoma-fold-0"
LIST = "ListKernelSessionOutput"
DOWNLOAD = f"""
from melanoma.kaggle.download import download
kaggle = connect(patience)
for path in download(kaggle, {REF!r}, Path("home/outputs")):
    print(path)
"""
CONFIG = b"seed: 1\nrun_dir: /kaggle/working/runs/b\ndata:\n  data_dir: /kaggle/input/x\n"


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
    assert [request.json.get("pageToken") for request in stub.got(LIST)] == [None, "next"]
    assert done.stdout.splitlines()[:2] == ["1/2 runs/b/config.yaml", "2/2 runs/b/fold_0/best.ckpt"]


def test_a_page_that_names_itself_ends_the_list(stub: Stub) -> None:
    stub.on(LIST, {"files": listed(stub, "runs/a"), "nextPageToken": "again"})
    stub.on("/files/runs/a", Answer(b"a"))
    assert stub.run(DOWNLOAD).returncode == 0
    assert len(stub.got(LIST)) == 2


def test_a_download_that_breaks_off_is_begun_again(stub: Stub) -> None:
    stub.on(LIST, {"files": listed(stub, "runs/a")})
    content = b"x" * 5000
    stub.on("/files/runs/a", Answer(content, missing=100), Answer({}, 503), Answer(content))
    assert stub.run(DOWNLOAD).returncode == 0
    assert (stub.folder / "home/outputs/runs/a").read_bytes() == content


def test_a_download_that_breaks_off_for_good_leaves_nothing(stub: Stub) -> None:
    stub.on(LIST, {"files": listed(stub, "runs/a")})
    stub.on("/files/runs/a", Answer(b"x" * 5000, missing=100))
    done = stub.run(DOWNLOAD)
    assert done.returncode == 2
    assert "error: downloading runs/a: Kaggle cannot be reached" in done.stderr
    assert list((stub.folder / "home/outputs/runs").iterdir()) == []


def test_an_error_page_is_no_output(stub: Stub) -> None:
    stub.on(LIST, {"files": listed(stub, "runs/a")})
    stub.on("/files/runs/a", Answer(b"<html>expired</html>", 403, "text/html"))
    done = stub.run(DOWNLOAD)
    assert done.returncode == 2
    assert "downloading runs/a: Kaggle answers 403 (403 Client Error: Forbidden" in done.stderr
    assert "?***" in done.stderr
    assert not (stub.folder / "home/outputs/runs/a").exists()


@pytest.mark.parametrize(
    "name", ["../runs/a", "runs/../../a", "/runs/a", "runs\\..\\a", "C:runs/a"]
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    kaggle = FakeKaggle(outputs=[[Output("runs/b", ""), Output(name, "")]], fetch=[b""])
    with pytest.raises(KaggleError, match=r"leads out of the folder .* Nothing was downloaded"):
        download(kaggle, REF, tmp_path, pattern="", say=lambda _: None)
    assert kaggle.calls == [f"outputs {REF}"]


def test_a_kernel_that_has_left_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(KaggleError, match=r"has left no file that fits '\^runs/', but nothing"):
        download(FakeKaggle(outputs=[[]]), REF, tmp_path)
    kaggle = FakeKaggle(outputs=[[Output("a", ""), Output("b", "")]])
    with pytest.raises(KaggleError, match=r"but a, b. Its log says why: https://www.kaggle.com"):
        download(kaggle, REF, tmp_path)


def test_a_pattern_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"file pattern '\(': no regular expression"):
        download(FakeKaggle(), REF, tmp_path, pattern="(")


def put(kaggle: FakeKaggle, ref: str, **contents: bytes) -> None:
    names = {name.replace("__", "/"): content for name, content in contents.items()}
    kaggle.on(f"outputs {ref}", [Output(f"runs/b/{name}", "") for name in names])
    for name, content in names.items():
        kaggle.on(f"fetch runs/b/{name}", content)


def done_json(tmp_path: Path, fold: int, content: bytes) -> bytes:
    (tmp_path / "part").write_bytes(content)
    write_json(
        tmp_path / "done.json",
        {"fold": fold, "files": {"oof.csv": sha256_of(tmp_path / "part")}},
    )
    return (tmp_path / "done.json").read_bytes()


def test_a_run_is_put_together_from_kernels(tmp_path: Path) -> None:
    kaggle = FakeKaggle(fetch=[CONFIG])
    for fold in (0, 1):
        oof = b"oof of %d" % fold
        put(
            kaggle,
            f"me/fold-{fold}",
            **{
                "config.yaml": CONFIG,
                f"fold_{fold}__oof.csv": oof,
                f"fold_{fold}__done.json": done_json(tmp_path, fold, oof),
            },
        )
    run_dir = tmp_path / "runs" / "b"
    for _ in range(2):
        download_run(kaggle, ["me/fold-0", "me/fold-1"], run_dir, say=lambda _: None)
        assert RunFolder(run_dir).finished_folds() == [0, 1]
        assert (run_dir / "fold_1" / "oof.csv").read_bytes() == b"oof of 1"
        assert RunFolder(run_dir).read_config()["run_dir"] == str(run_dir)
    assert [path.name for path in run_dir.parent.iterdir()] == ["b"]


def test_a_blend_is_taken_as_it_is_and_never_over_another(tmp_path: Path) -> None:
    kaggle = FakeKaggle()
    put(kaggle, REF, **{"submission.csv": b"image_name,target\n", "submission.json": b"{}"})
    run_dir = tmp_path / "runs" / "blend"
    for _ in range(2):
        download_run(kaggle, [REF], run_dir, say=lambda _: None)
    assert (run_dir / "submission.csv").read_bytes() == b"image_name,target\n"
    kaggle.on("fetch runs/b/submission.csv", b"another")
    with pytest.raises(ConfigError, match=r"submission.csv would be lost: of another blend"):
        download_run(kaggle, [REF], run_dir, say=lambda _: None)
    assert (run_dir / "submission.csv").read_bytes() == b"image_name,target\n"
