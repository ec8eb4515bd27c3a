import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.errors import ConfigError
from melanoma.kaggle.job import ACCELERATORS, Job, Requirement, parse_job

JOB = Job(
    mode="train",
    run="baseline",
    config="configs/baseline.yaml",
    overrides=("--data.image_size=384",),
    runs=("me/fold-0",),
    requirements=(Requirement("lightning", "2.6.6", ">=2.5"),),
)


@given(
    run=st.text(),
    overrides=st.lists(st.text()).map(tuple),
    accelerator=st.sampled_from(sorted(ACCELERATORS)),
    requirements=st.lists(st.builds(Requirement)).map(tuple),
)
def test_a_job_survives_its_text(
    run: str, overrides: tuple[str, ...], accelerator: str, requirements: tuple[Requirement, ...]
) -> None:
    job = Job(
        mode="predict",
        run=run,
        overrides=overrides,
        accelerator=accelerator,
        requirements=requirements,
    )
    assert parse_job(job.as_json()) == job


def test_a_job_is_read_as_it_was_written() -> None:
    assert parse_job(JOB.as_json()) == JOB
    assert JOB.machine.machine_shape == "NvidiaTeslaT4"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        JOB.as_json()[:-10],
        json.dumps({**json.loads(JOB.as_json()), "colour": "red"}),
        json.dumps({**json.loads(JOB.as_json()), "requirements": [{"title": "timm"}]}),
    ],
)
def test_what_is_no_job_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"job.json: cannot be read .* Build the kernel again"):
        parse_job(text)
