"""The page: one file that needs no other, and can ask for none."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.ensemble.description import as_plain
from melanoma.report.headline import Tile
from melanoma.report.parts import Chart, Finding, Section
from melanoma.report.photographs import Album
from melanoma.report.thresholds import Thresholds

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Page:
    """All that the template shows.

    Attributes:
        title: Of the runs.
        version: Of this package, which made it.
        tiles: The headline.
        findings: What stands out.
        sections: In order, without the photographs.
        album: The photographs.
        stops: Of the threshold's slider.
        figures: What the numbers of the page are, as JSON.
    """

    title: str
    version: str
    tiles: Sequence[Tile]
    findings: Sequence[Finding]
    sections: Sequence[Section]
    album: Album
    stops: Thresholds
    figures: dict[str, Any]

    @property
    def charts(self) -> list[Chart]:
        """Of all sections."""
        return [chart for section in self.sections for chart in section.charts]

    def title_of(self, name: str) -> str:
        """The title of a section."""
        return next(section.title for section in self.sections if section.name == name)


def render(page: Page) -> str:
    """The HTML, with everything in it escaped that comes from a table or a configuration."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to import
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = [_script(get_plotlyjs()), _script(_asset("report.js"))]
    return environment.get_template("report.html").render(
        page=page,
        scripts=scripts,
        allowed=" ".join(_allowance(script) for script in scripts),
        style=_asset("report.css"),
        charts={chart.name: as_plain(chart.figure) for chart in page.charts},
        figures=as_plain(page.figures),
        stops=as_plain(page.stops.as_dict()),
    )


def _script(text: str) -> str:
    # As a browser reads it, for the checksum; and no end of the element may be inside.
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")


def _allowance(script: str) -> str:
    """What allows this script, and no other one that some table may have brought in."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
