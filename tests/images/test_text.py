import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.images.text import from_ascii, to_ascii

# texts with many backslashes and blanks, where the escaping could go wrong
tricky = st.text(alphabet=st.sampled_from("\\xuU0123456789abcdefg é\n"))


@given(st.text() | tricky)
def test_any_text_comes_back_from_printable_ascii(text: str) -> None:
    stored = to_ascii(text)
    assert stored.isascii()
    assert stored.isprintable()
    assert not stored.endswith(" ")
    assert from_ascii(stored) == text


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\")))
def test_ordinary_text_is_stored_as_it_is(text: str) -> None:
    if not text.endswith(" "):
        assert to_ascii(text) == text


@pytest.mark.parametrize("text", [r"C:\data\night", r"\alpha", r"a\\b", "\\", r"100%\x"])
def test_backslashes_of_other_programs_are_left_alone(text: str) -> None:
    assert from_ascii(text) == text


def test_escapes_can_be_read_by_a_human() -> None:
    assert to_ascii("α Cen") == r"\u03b1 Cen"
    assert to_ascii("ends with a blank ") == r"ends with a blank\x20"
