"""Options and fixtures of the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Machines here are shared and noisy: no example fails because it was slow, and every run tries the same ones.
hypothesis.settings.register_profile("starlatch", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("starlatch")


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real frames and guide logs, which is not part of the repository."""
    places = [os.environ.get("STARLATCH_REALDATA"), Path(__file__).parents[2] / "shared" / "realdata"]
    for place in places:
        if place and Path(place).is_dir():
            return Path(place)
    pytest.skip("real frames and guide logs are not here: set STARLATCH_REALDATA to their folder")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")
    parser.addoption(
        "--hardware",
        action="append",
        default=[],
        metavar="URL",
        help="run the contract tests on this attached camera or mount, too; may be given several times",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="minutes long; run with --slow"))
