import json
import lzma
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle import build
from melanoma.kaggle.build import Kernel, build_kernel, build_kernels, describe
from melanoma.kaggle.guard import SecretError
from melanoma.kaggle.job import ACCELERATORS, KernelOptions, project_root
from melanoma.kaggle.recipe import Recipe

pytestmark = pytest.mark.usefixtures("warm")
COLD = sys.executable

B0 = "efficientnet_pytorch:efficientnet-b0"
RECIPE = Recipe(Path("input"), Path("folds/folds.csv"), "fold", None, B0, "imagenet")
CONFIG = str(project_root() / "configs" / "baseline.yaml")


@pytest.fixture(autouse=True)
def resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the parser of training, which takes seconds to start; and with no fold file."""
    monkeypatch.chdir(tmp_path)
    answer(monkeypatch, RECIPE)


@pytest.fixture(autouse=True)
def _packed_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """How small a kernel is packed is the subject of test_bundle.py; here it would cost time alone."""
    compress = lzma.compress
    monkeypatch.setattr(lzma, "compress", lambda content, **_: compress(content, preset=1))


def answer(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> None:
    monkeypatch.setattr(build, "resolve_recipe", lambda *_: recipe)


def options(**given: Any) -> KernelOptions:
    return KernelOptions(**{"id": "me/melanoma-b0", "config": CONFIG, **given})


def metadata(kernel: Kernel) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((kernel.folder / "kernel-metadata.json").read_text())
    return content


def notes(kernel: Kernel) -> str:
    return "\n".join(kernel.notes)


def test_a_kernel_is_a_script_and_its_metadata() -> None:
    kernel = build_kernel(options())
    assert kernel.folder == Path("build/kernel/melanoma-b0")
    assert sorted(os.listdir(kernel.folder)) == ["kernel-metadata.json", "melanoma-b0.py"]
    assert kernel.code_file.read_text() == kernel.script.text
    assert metadata(kernel)["code_file"] == kernel.code_file.name
    assert kernel.script.files["configs/baseline.yaml"] == Path(CONFIG).stat().st_size
    assert kernel.heading.startswith("me/melanoma-b0: build/kernel/melanoma-b0/melanoma-b0.py\n")
    assert "kB of the 1.0 MB that Kaggle takes" in kernel.heading
    assert "attached: competition siim-isic-melanoma-classification" in kernel.notes


def test_the_same_twice_is_the_same_bytes(tmp_path: Path) -> None:
    first, second = (build_kernel(options(output_dir=tmp_path / name)) for name in "ab")
    for name in os.listdir(first.folder):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


@pytest.mark.parametrize("accelerator", sorted(ACCELERATORS))
def test_the_job_and_the_metadata_agree(accelerator: str) -> None:
    kernel = build_kernel(
        options(accelerator=accelerator, internet=True, data="a/copies", resume=True)
    )
    content = metadata(kernel)
    assert content["machine_shape"] == kernel.job.machine.machine_shape
    assert content["enable_internet"] is kernel.job.internet is True
    assert content["dataset_sources"] == [kernel.job.data]
    assert content["competition_sources"] == [kernel.job.competition]
    assert content["kernel_sources"] == [kernel.id]
    assert ("not been tried on a real one" in notes(kernel)) == (accelerator == "tpu")


@pytest.mark.parametrize("mode", ["predict", "ensemble"])
def test_other_modes_take_runs(mode: str) -> None:
    given = options(
        mode=mode, config=None, runs=("me/a-a", "me/b-b", "me/a-a"), run_datasets=("me/c-c",),
        datasets=("me/wheels", "me/c-c"), competition="",
    )  # fmt: skip
    kernel = build_kernel(given)
    assert metadata(kernel)["kernel_sources"] == ["me/a-a", "me/b-b"]
    assert metadata(kernel)["dataset_sources"] == ["me/wheels", "me/c-c"]
    assert metadata(kernel)["competition_sources"] == []
    assert (kernel.job.config, kernel.job.folds_csv) == (None, "")
    assert "fold file" not in notes(kernel)
    assert ("lightning 2." in notes(kernel)) == (mode == "predict")


def test_a_fold_file_travels_with_its_description(folds_csv: Path) -> None:
    kernel = build_kernel(options(folds_csv=folds_csv, fold="0,1"))
    assert kernel.job.folds_csv == "folds/folds.csv"
    assert kernel.script.files["folds/folds.csv"] == folds_csv.stat().st_size
    assert "folds/folds.json" in kernel.script.files
    assert "folds/folds.csv travels along" in notes(kernel)


def test_a_fold_file_of_elsewhere_has_no_description(folds_csv: Path) -> None:
    folds_csv.with_suffix(".json").unlink()
    assert "folds/folds.json" not in build_kernel(options(folds_csv=folds_csv)).script.files


def test_without_a_fold_file_the_kernel_makes_the_folds() -> None:
    kernel = build_kernel(options())
    assert kernel.job.folds_csv == ""
    assert "there is no folds/folds.csv, so the kernel makes the folds" in notes(kernel)


def test_a_kernel_for_each_fold(folds_csv: Path) -> None:
    kernels = build_kernels(options(fold="all", folds_csv=folds_csv, one_kernel_per_fold=True))
    assert [kernel.id for kernel in kernels] == ["me/melanoma-b0-fold-0", "me/melanoma-b0-fold-1"]
    assert [kernel.job.folds for kernel in kernels] == ["0", "1"]
    assert [metadata(kernel)["title"] for kernel in kernels] == [
        "melanoma b0 fold 0",
        "melanoma b0 fold 1",
    ]
    assert len({kernel.job.run for kernel in kernels}) == 1
    said = describe(kernels)
    for note in kernels[0].notes:
        assert said.count(note) == 1


def test_without_a_fold_file_there_are_the_default_folds() -> None:
    kernels = build_kernels(options(fold="all", one_kernel_per_fold=True))
    assert [kernel.job.folds for kernel in kernels] == ["0", "1", "2", "3", "4"]


def test_several_kernels_are_not_one() -> None:
    with pytest.raises(ConfigError, match=r"--one-kernel-per-fold: asks for several kernels"):
        build_kernel(options(one_kernel_per_fold=True))


@pytest.mark.parametrize("with_file", [True, False])
def test_a_fold_that_does_not_exist_is_named(folds_csv: Path, with_file: bool) -> None:
    given = options(fold="0,7", folds_csv=folds_csv if with_file else None)
    with pytest.raises(ConfigError, match=r"--fold 0,7: there is no fold 7 in .*, but 0, 1"):
        build_kernel(given)


def test_a_slug_too_long_with_its_fold_is_refused_and_nothing_written() -> None:
    with pytest.raises(ConfigError, match=r"has 5[0-9] characters"):
        build_kernels(options(id="me/" + 45 * "a", fold="all", one_kernel_per_fold=True))
    assert not Path("build").exists()


@pytest.mark.parametrize(
    ("weights", "internet", "names"),
    [
        ("imagenet", True, ()),
        ("imagenet", False, ("efficientnet_pytorch_efficientnet-b0.safetensors",)),
        ("none", False, ()),
        ("../runs/a/fold_0/best.ckpt", True, ("best.ckpt",)),
    ],
)
def test_weights_to_attach_are_named(
    monkeypatch: pytest.MonkeyPatch, weights: str, internet: bool, names: tuple[str, ...]
) -> None:
    answer(monkeypatch, replace(RECIPE, weights=weights))
    kernel = build_kernel(options(internet=internet))
    assert kernel.job.weights == names
    assert ("must be in an attached dataset" in notes(kernel)) == bool(names)
    assert ("from the internet" in notes(kernel)) == internet


def test_photographs_of_another_year_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, replace(RECIPE, external_csv=Path("input/isic2019/train.csv")))
    with pytest.raises(ConfigError, match=r"external_csv input.*: photographs of another year"):
        build_kernel(options())
    attached = Path("/kaggle/input/isic2019/train.csv")
    answer(monkeypatch, replace(RECIPE, external_csv=attached))
    build_kernel(options())


def test_a_secret_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("# hf" + "_" + 34 * "a" + "\ndata:\n")
    with pytest.raises(SecretError, match=r"Hugging Face token \(configs/mine.yaml, line 1\)"):
        build_kernel(options(config=str(config)))
    with pytest.raises(SecretError, match=r"Hugging Face token \(job.json, line \d+\)"):
        build_kernel(options(overrides=("--run_name=hf" + "_" + 34 * "a",)))
    assert not Path("build").exists()
    build_kernel(options(config=str(config), allow_secrets=("Hugging Face token",)))


def test_a_recipe_that_is_not_committed_is_named(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("data:\n")
    kernel = build_kernel(options(config=str(config)))
    if kernel.job.commit:
        assert "not as committed" in notes(kernel)
        assert "differ" in kernel.job.commit
    assert kernel.job.config == "configs/mine.yaml"


def test_a_fold_file_too_large_is_refused(folds_csv: Path) -> None:
    names = [os.urandom(40).hex() for _ in range(20_000)]
    noise = pd.DataFrame({"image_name": names, "fold": [n % 2 for n in range(20_000)]})
    noise.to_csv(folds_csv, index=False)
    with pytest.raises(ConfigError, match=r"the kernel would have .* folds/folds.csv \("):
        build_kernel(options(folds_csv=folds_csv))


def test_building_takes_no_torch_into_this_process() -> None:
    modules = "build, melanoma.kaggle.wheels, melanoma.kaggle.notebook"
    code = f"import sys, melanoma.kaggle.{modules}; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(project_root() / "src")}
    printed = subprocess.check_output([COLD, "-c", code], env=environment, text=True)
    assert printed.strip() == "False"


@pytest.mark.parametrize(
    ("accelerator", "shape", "gpu", "tpu"),
    [
        ("cpu", "", False, False),
        ("t4x2", "NvidiaTeslaT4", True, False),
        ("tpu", "TpuV5E8", False, True),
    ],
)
@pytest.mark.parametrize("private", [True, False])
def test_every_field_of_the_metadata_is_written(
    accelerator: str, shape: str, gpu: bool, tpu: bool, private: bool
) -> None:
    content = metadata(build_kernel(options(accelerator=accelerator, private=private)))
    assert (content["enable_gpu"], content["enable_tpu"]) == (gpu, tpu)
    assert content["machine_shape"] == shape
    assert (content["is_private"], content["enable_internet"]) == (private, False)
    assert (content["language"], content["kernel_type"]) == ("python", "script")
    # An image named here would win over the machine.
    assert "docker_image" not in content
    assert len(content) == 15
