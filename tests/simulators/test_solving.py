"""A solver that knows nothing of us finds where simulated frames point."""

import math

import numpy as np
import pytest

from acquisition import virtual_time
from acquisition.camera import CameraSettings
from simulators.camera import SimulatedCamera
from simulators.scenario import parse_scenario
from simulators.world import make_world


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_offline_solver_solves_simulated_frames():
    """tetra3rs, blind, with its own star extraction, on frames 10 degrees wide: centre within half a pixel."""
    tetra3rs = pytest.importorskip("tetra3rs", reason="needs tetra3rs: pip install 'starlatch[astrometry]'")
    database = tetra3rs.SolverDatabase.generate_from_gaia(max_fov_deg=12.0, min_fov_deg=8.0)

    async def expose(ra_deg: float, dec_deg: float):
        night = {
            "ra_deg": ra_deg, "dec_deg": dec_deg, "sky": {"real": True, "faintest_mag": 11.0},
            "optics": {"focal_length_mm": 28.0, "aperture_mm": 20.0, "blur_fwhm_arcsec": 60.0, "rotation_deg": 110.0},
            "sensor": {"hot_share": 0.0},
        }  # fmt: skip
        async with SimulatedCamera(make_world(parse_scenario(night), 1)) as camera:
            await camera.configure(CameraSettings(exposure_s=4.0))
            return await camera.expose()

    for ra_deg, dec_deg in ((83.8, -5.4), (279.2, 38.8), (10.7, 41.3), (192.9, 27.1), (266.0, -29.0)):
        image = virtual_time.run(expose(ra_deg, dec_deg))
        found = tetra3rs.extract_centroids(image.data.astype(np.float32))
        solved = database.solve_from_centroids(
            found.centroids, fov_estimate_deg=1280 * 3.75e-3 / 28.0 * 180 / math.pi, image_shape=image.data.shape
        )
        assert type(solved).__name__ == "SolveResult", (ra_deg, dec_deg, solved)
        east = (solved.ra_deg - image.facts.ra_deg) * math.cos(math.radians(dec_deg)) * 3600
        north = (solved.dec_deg - image.facts.dec_deg) * 3600
        assert math.hypot(east, north) < 0.5 * 27.6, (ra_deg, dec_deg, east, north)
