"""Text never becomes markup, whatever it holds."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from serving.page.markup import element, join


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_comes_back_as_the_same_text(text: str) -> None:
    reader = Reader()
    reader.feed(element("p", text, element("b", "x"), title=text))
    reader.close()
    assert reader.tags == ["p", "b"]
    assert reader.text == f"{text}x"
    assert reader.values == [text]


def test_attributes_are_left_out_bare_or_quoted() -> None:
    made = element("input", name="a", disabled=True, hidden=False, id=None, data_x=1.5)
    assert made == '<input name="a" disabled data-x="1.5">'


def test_joined_elements_stay_markup() -> None:
    assert join("<", element("i"), None, 3) == "&lt;<i></i>3"
