from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.cli.pipeline import command
from acquisition.errors import ConfigError, StarlatchError
from acquisition.images import Image, ImageProcessor
from acquisition.images.pipeline_file import built_in, load_pipeline, pipeline_of
from acquisition.images.processors.image import SoftBin


class Adder(ImageProcessor):
    """A processor of one's own."""

    def __init__(self, number: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.number = number

    async def __call__(self, image: Image) -> Image:
        return image.derive(data=image.data + self.number)


REDUCE = f"""
[[pipeline]]
class = "SoftBin"
binning = 2

[[pipeline]]
class = "{__name__}.Adder"
number = 5
on_error = "ignore"
"""


def test_steps_are_built_in_or_ones_own(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(REDUCE)
    first, second = load_pipeline(tmp_path / "a.toml").steps
    assert isinstance(first, SoftBin)
    assert isinstance(second, Adder)
    assert (second.number, second.on_error) == (5, "ignore")


def test_every_built_in_processor_says_what_it_does() -> None:
    processors = built_in()
    assert {"SoftBin", "GuideStarOffsets", "MeanStack", "SepSourceDetection"} <= set(processors)
    assert "CombineStack" not in processors
    assert all((kind.__doc__ or "").strip() for kind in processors.values())


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({}, "step 1 has class None"),
        ({"class": "SoftBim"}, "'SoftBim'; there are: .*SoftBin"),
        ({"class": "SoftBin", "bining": 2}, r"step 1 \(SoftBin\) has bining; allowed: binning, on_error"),
        ({"class": "SoftBin", "binning": 0}, r"step 1 \(SoftBin\): binning is 0; allowed"),
        ({"class": "SoftBin", "binning": "two"}, r"step 1 \(SoftBin\): binning is two; allowed"),
        ({"class": "SoftBin", "on_error": "shout"}, "on_error is 'shout'"),
        ({"class": "Smooth"}, r"step 1 \(Smooth\) lacks sigma"),
        ({"class": "Smooth", "sigma": "wide"}, r"step 1 \(Smooth\): "),
        ({"class": "CombineStack"}, "there are"),
        ({"class": "os.system"}, "not an ImageProcessor"),
        ({"class": "acquisition.images.ImageProcessor"}, "not an ImageProcessor that can be used"),
        ({"class": "no.such.Module"}, "cannot be imported"),
        ({"class": ".x"}, "class '.x'"),
    ],
)
def test_what_is_wrong_is_named(step: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pipeline_of({"pipeline": [step]})


@pytest.mark.parametrize(
    "text", ["", "pipeline = 3", "[pipeline]", "[[pipeline]]\nclass='Flip'\n[camera]", "x = ", "\x00"]
)
def test_files_that_are_no_pipeline(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.toml"):
        load_pipeline(tmp_path / "a.toml")
    with pytest.raises(ConfigError, match=r"b\.toml: No such file"):
        load_pipeline(tmp_path / "b.toml")


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 9), st.floats(allow_nan=True), st.text(max_size=4)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=80)
@given(st.data())
def test_any_parameters_give_a_pipeline_or_a_config_error(data: st.DataObject) -> None:
    from acquisition.images.pipeline_file import _parameters

    name = data.draw(st.sampled_from(sorted(set(built_in()) - {"AddMask"})))
    allowed, required = _parameters(built_in()[name])
    keys = {*required, *data.draw(st.lists(st.sampled_from(allowed), max_size=3))} if allowed else set()
    try:
        pipeline_of({"pipeline": [{"class": name, **{key: data.draw(VALUES) for key in keys}}]})
    except ConfigError as error:
        assert str(error)  # noqa: PT017  # either is right


# --- starlatch pipeline -------------------------------------------------------------------------------------------


@pytest.fixture
def night(tmp_path: Path) -> Path:
    (tmp_path / "reduce.toml").write_text(REDUCE)
    (tmp_path / "night").mkdir()
    for number in range(3):
        data = np.full((4, 6), number, np.uint16)
        Image(data, fits.Header({"FRAMENUM": number})).writeto(tmp_path / "night" / f"{number}.fits")
    return tmp_path


def run(*arguments: object) -> object:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_run_over_a_night(night: Path) -> None:
    done = run("run", night / "reduce.toml", night / "night", "-o", night / "out" / "deep")
    assert done.exit_code == 0
    assert done.output == "3 of 3 frames done\n"
    for number in range(3):
        image = Image.from_file(night / "out" / "deep" / f"{number}.fits")
        np.testing.assert_array_equal(image.data, np.full((2, 3), number + 5.0))
        assert image.header["FRAMENUM"] == number


def test_a_frame_that_fails_is_named_and_the_others_go_on(night: Path) -> None:
    (night / "night" / "1.fits").write_bytes(b"not FITS")
    Image(np.zeros((1, 1))).writeto(night / "night" / "2.fits", overwrite=True)
    done = run("run", night / "reduce.toml", night / "night", "-o", night / "out")
    assert done.exit_code == 1
    assert "1.fits: not a FITS file" in done.output
    assert "2.fits: image is of 1x1 px" in done.output
    assert "1 of 3 frames done" in done.output
    assert [path.name for path in (night / "out").iterdir()] == ["0.fits"]


def test_nothing_is_replaced_unasked(night: Path) -> None:
    frames = night / "night"
    assert isinstance(run("run", night / "reduce.toml", frames, "-o", frames).exception, StarlatchError)
    assert isinstance(run("run", night / "reduce.toml", frames, "-o", frames, "--overwrite").exception, StarlatchError)
    np.testing.assert_array_equal(Image.from_file(frames / "2.fits").data, np.full((4, 6), 2))
    out = ("run", night / "reduce.toml", frames, "-o", night / "out")
    assert run(*out).exit_code == 0
    assert isinstance(run(*out).exception, StarlatchError)
    assert run(*out, "--overwrite").exit_code == 0


def test_list() -> None:
    lines = run("list").output.splitlines()
    assert any(line.startswith("SoftBin ") and "Average blocks of pixels" in line for line in lines)
    assert len(lines) == len(built_in())
