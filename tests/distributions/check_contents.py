"""Checks what the wheel and the source distribution in dist/ hold and require: `make dist`."""

import email
import pathlib
import re
import runpy
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
VERSION = runpy.run_path(str(ROOT / "supcon_tf" / "_version.py"))["__version__"]
NAME = f"supcon_tf-{VERSION}"
without_relative_links = runpy.run_path(str(ROOT / "setup.py"))["without_relative_links"]
LIBRARY = {
    str(path.relative_to(ROOT))
    for path in (ROOT / "supcon_tf").rglob("*")
    if path.suffix == ".py" or path.name == "py.typed"
}
PROJECT = {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"}
WRITTEN = {"PKG-INFO", "setup.cfg"}  # by setuptools
REQUIRED = {"filelock", "keras", "numpy", "tensorflow"}


def require_same(which: str, actual: set[str], expected: set[str]) -> None:
    """Fails with what is too much and what is too little."""
    if actual != expected:
        missing, unwanted = sorted(expected - actual), sorted(actual - expected)
        raise SystemExit(f"{which}: missing {missing}, unwanted {unwanted}")


def check_wheel(path: pathlib.Path) -> None:
    """It holds the library, the license and the README, and requires nothing beyond `REQUIRED`."""
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        metadata = email.message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
        license = wheel.read(f"{NAME}.dist-info/licenses/LICENSE")
    library = {name for name in names if not name.startswith(f"{NAME}.dist-info/")}
    require_same("files of the wheel", library, LIBRARY)
    requirements = [each for each in metadata.get_all("Requires-Dist") if "extra ==" not in each]
    direct = {re.match(r"[\w-]+", each)[0] for each in requirements}
    require_same("requirements of the wheel", direct, REQUIRED)
    description = metadata.get_payload(decode=True).decode()
    if description.strip() != without_relative_links((ROOT / "README.md").read_text()).strip():
        raise SystemExit("The description of the wheel is not the README without relative links")
    if license != (ROOT / "LICENSE").read_bytes():
        raise SystemExit("The license of the wheel is not the file LICENSE")


def check_sdist(path: pathlib.Path) -> None:
    """It holds what the wheel is built from. Tests, experiments and pages are in the repository."""
    with tarfile.open(path) as sdist:
        files = {member.name for member in sdist.getmembers() if member.isfile()}
    files = {name.removeprefix(f"{NAME}/") for name in files if "/supcon_tf.egg-info/" not in name}
    require_same("files of the source distribution", files, LIBRARY | PROJECT | WRITTEN)


if __name__ == "__main__":
    check_wheel(ROOT / "dist" / f"{NAME}-py3-none-any.whl")
    check_sdist(ROOT / "dist" / f"{NAME}.tar.gz")
    print(f"{NAME}: the wheel and the source distribution hold what they should, and no more")
