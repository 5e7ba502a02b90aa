"""Where the file of tested versions lies, which comes with this package."""

from __future__ import annotations

from pathlib import Path

from baselines.contract import UserError

_NAME = "constraints.txt"


def constraints() -> Path:
    """The versions of packages that this version was tested with, for `pip install -c`.

    Beside the packages in a checkout; where a wheel was installed, in its `share/cosmos-bench`.

    Raises:
        UserError: the file is in neither place.
    """
    from importlib import metadata

    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / _NAME).is_file():
        return checkout / _NAME
    try:
        installed = metadata.files("cosmos-bench") or []
    except metadata.PackageNotFoundError:
        installed = []
    for file in installed:
        if file.name == _NAME and (path := Path(str(file.locate())).resolve()).is_file():
            return path
    raise UserError(f"The file {_NAME} is not where this package was installed to; install cosmos-bench again.")
