"""The error tree in the docstring is the tree that the classes make."""

import inspect

from sluice import errors


def draw(root: type[BaseException], children: dict[type, list[type]], lead: str = "") -> list[str]:
    lines = []
    for index, child in enumerate(children.get(root, [])):
        last = index == len(children[root]) - 1
        lines.append(f"{lead}{'└── ' if last else '├── '}{child.__name__}")
        lines += draw(child, children, lead + ("    " if last else "│   "))
    return lines


def test_drawing_is_the_tree() -> None:
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass)]
    classes.sort(key=lambda item: inspect.getsourcelines(item)[1])
    children: dict[type, list[type]] = {}
    for item in classes:
        children.setdefault(item.__bases__[0], []).append(item)
    drawing = [errors.SluiceError.__name__, *draw(errors.SluiceError, children)]
    assert "\n".join(drawing) in (errors.__doc__ or "")


def test_errors_are_built_from_one_message() -> None:
    for _, item in inspect.getmembers(errors, inspect.isclass):
        assert str(item("fact")) == "fact"
