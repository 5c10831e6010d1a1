"""The house's own rules, as tests: types, style, who imports whom, and what start-up costs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.timeout(240)
def test_mypy_strict():
    done = run("mypy")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff():
    done = run("ruff", "check", "--output-format", "concise", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_format():
    done = run("ruff", "format", "--check", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_may_import_whom():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_is_listed_in_pyproject():
    """Packages are listed one by one; a forgotten one would be missing from the wheel."""
    import tomllib

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for top in ("acquisition", "drivers", "simulators")
        for init in (ROOT / top).rglob("__init__.py")
    }
    assert listed == there


def test_help_imports_nothing_heavy():
    """`starlatch --help` must answer at once, so it may not import what takes long."""
    code = (
        "import sys, acquisition.cli.main as m\n"
        "try: m.main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = ('numpy', 'astropy', 'numba', 'scipy', 'matplotlib', 'pydantic', 'rich')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_names_a_machine_or_a_registry():
    """No path of somebody's machine and no package registry's host in what is committed."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout: nothing is committed here")
    forbidden = re.compile("/ho" + "me/|/wo" + "rk/|/ro" + "ot/|pythonho" + "sted|pypi." + "org/simple")
    found = []
    for name in tracked.stdout.splitlines():
        path = ROOT / name
        if not path.is_file() or path.suffix in {".png", ".fits", ".fz"}:
            continue
        text = path.read_text(errors="replace")
        found += [f"{name}: {match.group()}" for match in forbidden.finditer(text)]
    assert found == []
