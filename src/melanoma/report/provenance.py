"""What was used: settings, versions, hardware, time, hashes."""

from collections.abc import Mapping
from typing import Any

from melanoma.files import read_object
from melanoma.report.costs import fold_costs
from melanoma.report.parts import Section, Table
from melanoma.report.reading import Material
from melanoma.report.words import duration
from melanoma.run_folder import RunFolder, binding_settings

Json = Mapping[str, Any]


def provenance(material: Material) -> Section:
    """The section of what was used. Settings that only say where things are, are left out."""
    notes, tables = [], []
    for run, config, name in zip(material.runs, material.configs, material.predictions.names):
        record = read_object(run.record_json)
        if not record:
            notes.append(
                f"{name}: no readable run.json, so that versions and hardware are not known."
            )
        tables += [_settings(name, config), *_environments(name, record), _times(name, run)]
        tables += [_hashes(name, run, record)]
    return Section(
        "used",
        "What was used",
        "Enough to make the same run again: the same settings, tables and seed give the same result.",
        notes,
        tables=[table for table in tables if table.rows],
    )


def _settings(name: str, config: dict[str, Any]) -> Table:
    rows = [[key, str(value)] for key, value in binding_settings(config).items()]
    return Table(f"{name}: settings on which the result depends", ["setting", "value"], rows)


def _environments(name: str, record: Json) -> list[Table]:
    listed = record.get("environments")
    environments = (
        [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    )
    return [
        Table(
            f"{name}: versions and hardware" + (f", machine {number}" if number > 1 else ""),
            ["what", "value"],
            _flat(environment),
        )
        for number, environment in enumerate(environments, start=1)
    ]


def _flat(content: Json, prefix: str = "") -> list[list[str]]:
    rows: list[list[str]] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}: ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append([f"{prefix}{key}", text or "none"])
    return rows


def _times(name: str, run: RunFolder) -> Table:
    rows = []
    for cost in fold_costs(run):
        seconds, n_epochs = cost.train_seconds, cost.n_epochs
        per_epoch = seconds / n_epochs if seconds is not None and n_epochs else None
        cells = [duration(seconds), duration(per_epoch), duration(cost.predict_seconds)]
        rows.append([f"fold {cost.fold}", *cells, duration(cost.seconds)])
    head = ["", "training", "an epoch", "predicting its images", "in all"]
    return Table(f"{name}: time per phase", head, rows)


def _hashes(name: str, run: RunFolder, record: Json) -> Table:
    rows = []
    if isinstance(record.get("config_sha256"), str):
        rows.append(["the settings above", record["config_sha256"]])
    tables = record.get("tables") or read_object(run.tables_json)
    rows += (
        [[str(key), str(value)] for key, value in tables.items()]
        if isinstance(tables, dict)
        else []
    )
    photographs = record.get("photographs")
    if isinstance(photographs, dict):
        rows.append(
            [
                f"names and sizes of {photographs.get('n')} photographs",
                str(photographs.get("names_and_sizes_sha256")),
            ]
        )
    for cost in fold_costs(run):
        rows += [[f"fold_{cost.fold}/{file}", sha] for file, sha in cost.hashes.items()]
    return Table(f"{name}: SHA-256", ["of", "is"], rows)
