"""kernel-metadata.json: what Kaggle is told about a kernel, with every field written out.

A field that is left out is not simply absent: the client sends `enable_internet` as true then
(kaggle 2.2.4 and 2.2.5, `kernels_push`). The one exception is `docker_image`: naming one
would win over the machine, and a TPU would come without torch_xla (kaggle-cli issue 1197).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.errors import ConfigError, name_some
from melanoma.kaggle.job import ACCELERATORS
from melanoma.kaggle.project import project_file

FILE = "kernel-metadata.json"
_TEMPLATE = f"kaggle_kernel/{FILE}"


@dataclass(frozen=True)
class Attached:
    """What a kernel is given to read.

    Attributes:
        datasets: `owner/slug` each.
        competitions: Slugs.
        kernels: Whose outputs are attached, `owner/slug` each.
        models: `owner/model/framework/variation/version` each.
    """

    datasets: Sequence[str] = ()
    competitions: Sequence[str] = ()
    kernels: Sequence[str] = ()
    models: Sequence[str] = ()

    def as_text(self) -> str:
        """A line that names all of it."""
        kinds = {
            "competition": self.competitions,
            "dataset": self.datasets,
            "output of kernel": self.kernels,
            "model": self.models,
        }
        named = [f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names]
        return f"attached: {'; '.join(named) or 'nothing'}"


def kernel_metadata(
    kernel_id: str,
    title: str,
    code_file: str,
    accelerator: str,
    internet: bool,
    private: bool,
    attached: Attached,
    root: Path | None = None,
) -> str:
    """The text of kernel-metadata.json.

    Both of `machine_shape` and the older `enable_gpu` and `enable_tpu` say which machine is meant.
    For a processor alone `machine_shape` is empty, as the client's own `kernels init` writes it
    (kaggle-cli pull request 1048); no name is documented for it.

    Args:
        kernel_id: `owner/slug`.
        title: Whose slug is that of the id.
        code_file: Name of the script, beside this file.
        accelerator: A key of `ACCELERATORS`.
        internet: Whether the kernel has it.
        private: Whether only its owner sees it.
        attached: What it reads.
        root: Of the project; by default the one that this module lies in.

    Raises:
        ConfigError: If the template lacks a field or has another one.
    """
    machine = ACCELERATORS[accelerator]
    filled: dict[str, Any] = {
        "id": kernel_id,
        "title": title,
        "code_file": code_file,
        "is_private": private,
        "enable_gpu": machine.kind == "cuda",
        "enable_tpu": machine.kind == "tpu",
        "enable_internet": internet,
        "machine_shape": machine.machine_shape,
        "dataset_sources": list(attached.datasets),
        "competition_sources": list(attached.competitions),
        "kernel_sources": list(attached.kernels),
        "model_sources": list(attached.models),
    }
    template = _read_template(project_file(_TEMPLATE, root), filled)
    return json.dumps({**template, **filled}, indent=2) + "\n"


def _read_template(path: Path, filled: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # Fields that the client does not know it drops without a word.
    wrong = set(content) ^ (filled.keys() | {"language", "kernel_type", "keywords"})
    if wrong:
        raise ConfigError(
            f"{path}: {name_some(sorted(wrong))} is missing or not known. Restore that file."
        )
    return content
