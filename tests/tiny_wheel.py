"""A package to install: nothing but its version in it."""

import base64
import hashlib
from pathlib import Path
from zipfile import ZipFile

PROBE = "melanoma-probe"


def wheel(folder: Path, number: str = "1.0", tag: str = "py3-none-any", name: str = PROBE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    path = folder / f"{module}-{number}-{tag}.whl"
    info = f"{module}-{number}.dist-info"
    contents = {
        f"{module}.py": f"version = '{number}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n"
        "Requires-Dist: no-such-package-anywhere\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{file},{_hash(text)},{len(text)}\n" for file, text in contents.items())
    with ZipFile(path, "w") as archive:
        for file, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
