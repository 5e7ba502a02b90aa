"""What a wheel and an sdist hold, and whether the wheel works where it is installed: `tox -e build`.

python tests/distributions.py FOLDER    # with one wheel and one sdist in it
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

PACKAGES = ("cosmos", "baselines", "benchmarks", "reports")
IN_SDIST = (
    *("tests/conftest.py", "tests/laws/test_imports.py", "examples/reading_a_run.ipynb", "docs/index.md", "tox.ini"),
    *("constraints.txt", "mkdocs.yml", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Dockerfile"),
    "reports/templates/report.html",
)


def check_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert all(f"{package}/py.typed" in names for package in PACKAGES)
    assert any(name.endswith("/share/cosmos-bench/constraints.txt") for name in names)
    assert "benchmarks/planning/listed_settings.json" in names and "reports/templates/report.html" in names
    own = {name.partition("/")[0] for name in names if ".dist-info" not in name and ".data" not in name}
    assert own == set(PACKAGES) and not any("published" in name for name in names), own


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(IN_SDIST) <= names, set(IN_SDIST) - names


def check_installed(wheel: Path) -> None:
    """Without any other package: version, constraints and listings need none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        subprocess.run(
            [programs / "python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel], check=True
        )
        theirs = folder / "work" / "benchmarks"
        theirs.mkdir(parents=True)
        (theirs / "__init__.py").write_text("raise SystemExit('this is another package')\n")

        def said(*words: str) -> str:
            command = [programs / "cosmos-bench", *words]
            return subprocess.run(command, cwd=theirs.parent, check=True, capture_output=True, text=True).stdout

        assert said("--version") == f"cosmos-bench {wheel.name.split('-')[1]}\n"
        assert "torch==" in Path(said("--constraints").strip()).read_text()
        assert "mdlm" in said("list", "systems") and "* cached-32" in said("list", "settings")


if __name__ == "__main__":
    (made,) = map(Path, sys.argv[1:])
    (wheel,), (sdist,) = made.glob("*.whl"), made.glob("*.tar.gz")
    check_wheel(wheel)
    check_sdist(sdist)
    check_installed(wheel.resolve())
    print(f"{wheel.name} and {sdist.name} are whole, and the wheel works.")
