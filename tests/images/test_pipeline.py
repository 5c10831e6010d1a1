import logging
from typing import Any

import numpy as np
import pytest

from acquisition import virtual_time
from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor, Pipeline
from acquisition.images.meta import ExpTime
from acquisition.images.processor import ImageProcessor as FromModule


class Add(ImageProcessor):
    """Adds a number, the impolite way: by assigning to its input."""

    def __init__(self, number: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number
        self.resets = 0

    async def __call__(self, image: Image) -> Image:
        image.data = image.data + self.number
        image.header["ADDED"] = self.number
        image.set_meta(ExpTime(self.number))
        return image

    async def reset(self) -> None:
        self.resets += 1


class Fail(ImageProcessor):
    def __init__(self, error: Exception, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    async def __call__(self, image: Image) -> Image:
        image.data = image.data * 0
        image.header["SPOILED"] = True
        raise self.error


class Tag(Fail):
    def handle_error(self, image: Image, error: ImageError) -> Image:
        image.header["ERROR"] = str(error)
        return image


def run(image: Image, *steps: ImageProcessor) -> Image:
    return virtual_time.run(Pipeline(steps).run_pipeline(image))


def ones() -> Image:
    return Image(np.ones((2, 2)))


def test_a_processor_is_abstract() -> None:
    assert FromModule is ImageProcessor
    with pytest.raises(TypeError, match="abstract"):
        ImageProcessor()  # type: ignore[abstract]  # that is the test


def test_steps_run_in_order_and_harm_nobody() -> None:
    image = ones()
    held = image.header
    result = run(image, Add(1), Add(10))
    np.testing.assert_array_equal(result.data, 12)
    assert result.header["ADDED"] == 10
    assert result.get_meta(ExpTime) == ExpTime(10)
    np.testing.assert_array_equal(image.data, 1)
    assert "ADDED" not in held
    assert "ADDED" not in image.header
    assert image.meta == {}


def test_an_empty_pipeline_returns_its_input() -> None:
    image = ones()
    assert run(image) is image


def test_a_pipeline_is_a_processor() -> None:
    inner = Add(1)
    pipeline = Pipeline([Pipeline([inner]), inner])
    assert isinstance(pipeline, ImageProcessor)
    np.testing.assert_array_equal(virtual_time.run(pipeline(ones())).data, 3)
    virtual_time.run(pipeline.reset())
    virtual_time.run(pipeline.reset_pipeline())
    assert inner.resets == 4


def test_on_error_raise() -> None:
    with pytest.raises(ImageError, match="no star"):
        run(ones(), Fail(ImageError("no star")))


@pytest.mark.parametrize("mode", ["info", "ignore"])
def test_on_error_go_on_with_the_image_before(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        result = run(ones(), Add(1), Fail(ImageError("no star"), on_error=mode), Add(1))
    np.testing.assert_array_equal(result.data, 3)
    assert "SPOILED" not in result.header
    assert ("no star" in caplog.text) == (mode == "info")


def test_on_error_error_goes_on_with_what_the_handler_returns() -> None:
    image = ones()
    result = run(image, Tag(ImageError("no star"), on_error="error"), Add(1))
    np.testing.assert_array_equal(result.data, 2)
    assert result.header["ERROR"] == "no star"
    assert "ERROR" not in image.header
    with pytest.raises(ImageError):
        run(ones(), Fail(ImageError("no star"), on_error="error"))


@pytest.mark.parametrize("mode", ["raise", "error", "info", "ignore"])
def test_any_other_exception_is_raised_on(mode: str) -> None:
    with pytest.raises(ZeroDivisionError):
        run(ones(), Tag(ZeroDivisionError(), on_error=mode))


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="on_error is 'panic'"):
        Add(1, on_error="panic")
    assert Add(1, on_error="info", unknown=3).on_error == "info"
    assert Add(1).on_error == "raise"
    with pytest.raises(ValueError, match="not an ImageProcessor"):
        Pipeline([{"class": "Add"}])  # type: ignore[list-item]  # that is the test
