"""The pytest plugin, in a pytest session of its own: fixtures, markers, virtual time, and the example project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# what a session within this one imports first is forgotten after it, and NumPy cannot be imported twice
import acquisition.images.processors.offsets  # noqa: F401
import simulators.camera
import simulators.mount  # noqa: F401

pytest_plugins = ["pytester"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "observatory"


def test_the_example_project_passes(pytester):
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True)
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=6)


def test_fixtures_markers_and_mistakes(pytester):
    pytester.makepyfile(
        """
import asyncio
import pytest

def test_devices_share_a_world(starlatch_camera, starlatch_mount, starlatch_world):
    assert starlatch_camera.world is starlatch_mount.world is starlatch_world
    assert starlatch_world.seed == 1

@pytest.mark.starlatch(scenario="plant-h", seed=5, camera="asi224mc")
class TestMarked:
    async def test_a_day_takes_no_time(self, starlatch_world, starlatch_mount):
        await asyncio.sleep(86400)
        assert starlatch_world.seed == 5
        assert starlatch_world.setup.mount.name == "plant H"
        assert starlatch_world.setup.sensor.bayer_pattern == "RGGB"
        assert (await starlatch_mount.state()).tracking

    @pytest.mark.starlatch(seed=6)
    def test_the_closest_marker_wins(self, starlatch_world):
        assert starlatch_world.seed == 6
        assert starlatch_world.setup.mount.name == "plant H"

@pytest.mark.starlatch(virtual_time=False)
async def test_real_time(starlatch_camera):
    assert asyncio.get_running_loop().time() > 0
    assert starlatch_camera.settings is not None

async def test_a_failure_is_a_failure(starlatch_camera):
    assert False, "as it should"

@pytest.mark.starlatch(sed=1)
def test_mistake(starlatch_world): ...

@pytest.mark.starlatch(mount="eq7")
def test_wrong_preset(starlatch_world): ...
"""
    )
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--strict-markers")
    done.assert_outcomes(passed=4, failed=1, errors=2)
    told = done.stdout.str() + done.stderr.str()
    assert "as it should" in told
    assert "marker starlatch: unknown sed; allowed: scenario, seed, camera" in told
    assert "mount_preset is 'eq7'; allowed: premium" in told


def test_the_plugin_costs_nothing_where_it_is_not_used():
    code = "import simulators.pytest_plugin, sys; print([m for m in ('numpy', 'numba', 'astropy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["starlatch_camera", "starlatch_mount", "starlatch_world"])
def test_the_fixtures_are_there_for_everybody(request, name):
    assert request.getfixturevalue(name) is not None
