"""What handlers return: values by name. Here, and only here, the names become Gradio components."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypedDict


class Updates(TypedDict, total=False):
    """New values of the page's components, by their names in `layout`. Components left out keep theirs."""

    work: Any  # a `Work`, or None
    start: Any
    workspace: Any
    photo: str | None
    mask_editor: Any
    lines_panel: Any
    lines_editor: Any
    result_panel: Any
    slider: tuple[str, str]
    download: str


def by_component(
    handler: Callable[..., Mapping[str, Any]], components: Mapping[str, Any]
) -> Callable[..., dict[Any, Any]]:
    """`handler`, returning its values by component, as Gradio expects them."""

    @functools.wraps(handler)
    def run(*inputs: Any) -> dict[Any, Any]:
        return {components[name]: value for name, value in handler(*inputs).items()}

    return run
