"""Write docs/reference/: every option of every script, read from the parsers themselves.

`python docs/make_reference.py`; a test says when it has to be run again. What it knows of an option
is what `--help` knows: name, type, default and text come from the signatures and docstrings.
"""

import importlib.util
import inspect
import re
import sys
import types
from argparse import SUPPRESS, Action
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from jsonargparse import ArgumentParser

from melanoma.kaggle.cli import CALLS

REFERENCE = ROOT / "docs" / "reference"
HEAD = "<!-- Written by docs/make_reference.py: do not edit. -->"
# The order of the steps; any other script follows by name.
STEPS = ["make_sample", "prepare_images", "create_folds", "train_folds", "predict_folds"]
STEPS += ["build_submission", "report", "verify_run", "show_batch", "push_kernel"]
LIGHTNING = "Lightning's own, under their own names; the texts are the beginnings of its own."


@dataclass(frozen=True)
class Page:
    """The reference of one script.

    Attributes:
        script: Its name without `.py`.
        summary: One sentence on what it does.
        text: The page, as Markdown.
    """

    script: str
    summary: str
    text: str


def pages() -> dict[str, str]:
    """Every page of the reference by its name, the list of scripts included."""
    made = [_page_of(script) for script in _scripts()]
    return {f"{page.script}.md": page.text for page in made} | {"index.md": _index(made)}


def _scripts() -> list[str]:
    there = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    return [name for name in STEPS if name in there] + sorted(there - set(STEPS))


def _page_of(script: str) -> Page:
    module = _load(ROOT / "scripts" / f"{script}.py")
    parts = [HEAD, f"# {script}.py"]
    if script == "push_kernel":
        parsers = {call: module.parser(call) for call in CALLS}
        parts.append(_escaped(_one_line(inspect.getdoc(module) or "")))
        for call, parser in parsers.items():
            parts += [f"## {call}", f"`python scripts/push_kernel.py {call}`", *_groups(parser, 3)]
    else:
        parser = module.parser()
        parts.append(_escaped(_one_line(parser.description or "")))
        parts += _groups(parser, 2)
    return Page(script, _first_sentence(parts[2]), "\n\n".join(parts) + "\n")


def _load(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert specification is not None  # noqa: S101  # a file that was listed
    assert specification.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _groups(parser: ArgumentParser, level: int) -> Iterator[str]:
    # argparse has no public list of its groups; these names have not changed since Python 2.7.
    sections: dict[str, list[Action]] = {"": []}
    titles = {"": ""}
    for group in parser._action_groups:
        for action in filter(_is_shown, group._group_actions):
            section = action.dest.partition(".")[0] if "." in action.dest else ""
            sections.setdefault(section, []).append(action)
            titles.setdefault(section, f"{_one_line(group.title or '')}.")
    for section, actions in sections.items():
        of_lightning = section == "trainer"
        if section:
            yield f"{'#' * level} {section}"
            yield LIGHTNING if of_lightning else titles[section]
        if actions:
            yield _table(sorted(actions, key=_place) if not section else actions, of_lightning)


def _place(action: Action) -> int:
    """What has to be said first, switches last."""
    return 0 if action.required else 1 + (action.nargs == 0)


def _is_shown(action: Action) -> bool:
    return action.help != SUPPRESS and action.default != SUPPRESS


def _table(actions: list[Action], of_lightning: bool) -> str:
    lines = ["| option | type | default | meaning |", "|---|---|---|---|"]
    for action in actions:
        text = _one_line(action.help or "")
        cells = [
            f"`{_option(action)}`",
            _type(action),
            _default(action),
            _first_sentence(_without_roles(text)) if of_lightning else text,
        ]
        lines.append(f"| {' | '.join(_escaped(cell) for cell in cells)} |")
    return "\n".join(lines)


def _escaped(cell: str) -> str:
    """Neither a column nor an HTML element, where it is not between backticks."""
    parts = cell.replace("|", "\\|").split("`")
    return "`".join(p if place % 2 else p.replace("<", "\\<") for place, p in enumerate(parts))


def _option(action: Action) -> str:
    """Settings as in a recipe, with underscores; other options as they are usually typed."""
    name = action.option_strings[0]
    return name if "." in name else name.replace("_", "-")


def _type(action: Action) -> str:
    if action.nargs == 0:
        return "switch"
    if action.choices:
        return _alternatives([f"`{choice}`" for choice in action.choices])
    name = _alternatives(_kinds(getattr(action, "_typehint", None) or action.type or str))
    return f"one or more: {name}" if action.nargs == "+" else name


# Python keeps one of `int | float` and `float | int`: whichever a module has asked for first.
_ORDER = (Literal, bool, int, float, str, Path)


def _rank(hint: Any) -> tuple[int, str]:
    """Where a member of a union stands, in whatever order Python has them."""
    kind = get_origin(hint) or hint
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER), str(hint)


def _kinds(hint: Any) -> list[str]:
    """What may be given, in words; lists come last."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return [f"`{value}`" for value in inner]
    if origin in (Union, types.UnionType):
        members = sorted((each for each in inner if each is not type(None)), key=_rank)
        kinds = [kind for each in members for kind in _kinds(each)]
        return sorted(dict.fromkeys(kinds), key=lambda kind: kind.startswith("list of"))
    if inner:
        each = [kind for one in inner if one is not ... for kind in _kinds(one)]
        return [f"list of {_alternatives(list(dict.fromkeys(each)))}"]
    names = {str: ["text"], bool: ["`true`", "`false`"], int: ["whole number"], float: ["number"]}
    return names.get(hint, ["path" if hint is Path else getattr(hint, "__name__", str(hint))])


def _alternatives(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _default(action: Action) -> str:
    if action.required:
        return "required"
    if action.nargs == 0 or action.default is None or action.default in ([], (), ""):
        return ""
    if isinstance(action.default, bool):
        return f"`{str(action.default).lower()}`"
    if isinstance(action.default, list | tuple):
        return f"`{' '.join(map(str, action.default))}`"
    return f"`{action.default}`"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("%%", "%")


def _first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence.

    >>> _first_sentence("Clip at 0.5. Default: none.")
    'Clip at 0.5.'
    """
    return re.split(r"(?<=[.])\s+(?=[A-Z`])", text, maxsplit=1)[0]


def _without_roles(text: str) -> str:
    """Lightning's docstrings are reStructuredText; this is Markdown."""
    text = re.sub(r":\w+:`~?[\w.]*?(\w+)`", r"`\1`", text).replace("``", "`")
    return re.sub(r"\s*Default: .*", "", text)


def _index(made: list[Page]) -> str:
    lines = [HEAD, "# Every option", ""]
    lines += [
        "Options may be written with hyphens or underscores; what has a dot is a setting of a"
    ]
    lines += [
        "recipe, and is written with underscores there. `--help` of each script says the same."
    ]
    lines += ["", "| script | what it does |", "|---|---|"]
    lines += [f"| [{page.script}.py]({page.script}.md) | {page.summary} |" for page in made]
    lines += ["", "```{toctree}", ":hidden:", "", *(page.script for page in made), "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write all pages, and remove those of scripts that are no more."""
    REFERENCE.mkdir(exist_ok=True)
    written = pages()
    for path in REFERENCE.glob("*.md"):
        if path.name not in written:
            path.unlink()
    for name, text in written.items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    print(REFERENCE)


if __name__ == "__main__":
    main()
