"""No processor is forgotten: each is handed bad images by some test, and says in one line what it does."""

import re
from pathlib import Path

import pytest
from bad_images import bad_images, check_bad_image
from hypothesis import given, settings

from acquisition import virtual_time
from acquisition.images import Image, ImageProcessor
from acquisition.images.pipeline_file import built_in
from acquisition.images.processors.exptime import BackgroundExpTimeEstimator, PercentileExpTimeEstimator
from acquisition.images.processors.offsets import ApertureOffsets, DiskOffsets, GuideStarOffsets, TargetOffsets
from acquisition.images.processors.stack import MedianStack

# those that the tests of their own do not try
OTHERS = [
    ApertureOffsets(3.0, 4.0, 2.0),
    BackgroundExpTimeEstimator(),
    DiskOffsets(),
    GuideStarOffsets(),
    MedianStack(uncertainty=True, mask=True),
    PercentileExpTimeEstimator(),
    TargetOffsets(10.0, 20.0),
]


@pytest.mark.parametrize("processor", OTHERS, ids=lambda p: type(p).__name__)
@settings(max_examples=25)
@given(image=bad_images())
def test_bad_input(processor: ImageProcessor, image: Image) -> None:
    check_bad_image(processor, image)
    virtual_time.run(processor.reset())


def test_each_is_tried_on_bad_images() -> None:
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    tried = "".join(text for text in tests if "check_bad_image" in text)
    assert [name for name in built_in() if not re.search(rf"\b{name}\(", tried)] == []


def test_each_has_a_line_for_the_list() -> None:
    lines = {name: (kind.__doc__ or "").strip().split("\n")[0] for name, kind in built_in().items()}
    assert [name for name, line in lines.items() if not 10 < len(line) <= 120] == []
