"""A package to install: nothing but its version in it."""

import base64
import hashlib
from pathlib import Path
from zipfile import ZipFile

PROBE = "melanoma-probe"


def wheel(folder: Path, number: str = "1.0", tag: str = "py3-none-any") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"melanoma_probe-{number}-{tag}.whl"
    info = f"melanoma_probe-{number}.dist-info"
    contents = {
        "melanoma_probe.py": f"version = '{number}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PROBE}\nVersion: {number}\n"
        "Requires-Dist: no-such-package-anywhere\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{name},{_hash(text)},{len(text)}\n" for name, text in contents.items())
    with ZipFile(path, "w") as archive:
        for name, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return path


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
