"""The card of a model: what it is, how to load it, what it was trained on."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

VALIDATION_GRID = "validation.png"  # the pictures a training run validates on: as a rule the user's own
VALIDATION_SECTION = {
    "Samples": f"Validation pictures, fixed before the training.\n\n![validation grid]({VALIDATION_GRID})"
}

_PIPELINE_EXAMPLE = """\
from edgeconnect_hf import EdgeConnectPipeline
from PIL import Image

pipe = EdgeConnectPipeline.from_pretrained({location})
result = pipe(Image.open("photo.jpg"), Image.open("mask.png"))  # white in the mask is repainted
result.images[0].save("repaired.png")
result.edges[0].save("lines.png")
"""

_NETWORK_EXAMPLE = """\
from edgeconnect_hf import EdgeConnectPipeline, {network}

generator = {network}.from_pretrained({location})
pipe = EdgeConnectPipeline({component}=generator)
"""

_COMPONENT_OF = {"EdgeGenerator": "edge_generator", "CompletionGenerator": "completion_generator"}

_BODY = """
# {title}

{summary}

[EdgeConnect](https://arxiv.org/abs/1901.00212) repairs a photo in two steps: an edge generator draws the missing lines
of a hole, a completion generator paints between them. A person may edit the lines in between.

```python
{example}```

The class comes with `pip install edgeconnect-hf`. diffusers' generic `DiffusionPipeline.from_pretrained` finds it after
`from edgeconnect_hf import EdgeConnectPipeline`.
{sections}
## Citation

```bibtex
@inproceedings{{nazeri2019edgeconnect,
  title     = {{EdgeConnect: Structure Guided Image Inpainting using Edge Prediction}},
  author    = {{Nazeri, Kamyar and Ng, Eric and Joseph, Tony and Qureshi, Faisal and Ebrahimi, Mehran}},
  booktitle = {{Proceedings of the IEEE/CVF International Conference on Computer Vision Workshops}},
  year      = {{2019}}
}}
```
"""


def write_model_card(
    folder: str | Path,
    *,
    summary: str,
    license: str,
    title: str = "EdgeConnect",
    location: str | None = None,
    network: str = "EdgeConnectPipeline",
    datasets: Sequence[str] = (),
    sections: Mapping[str, str] | None = None,
    evaluation: Sequence[EvalResult] = (),
    widget: Sequence[str] = (),
) -> Path:
    """Write `README.md` into a model folder.

    Args:
        folder (`str` or `Path`): the model's folder.
        summary (`str`): what this model is, in a sentence or two.
        license (`str`): the weights' licence, as the Hub abbreviates it (`"apache-2.0"`, `"cc-by-nc-4.0"`).
        title (`str`): the card's heading.
        location (`str`, *optional*): what the example passes to `from_pretrained`; the folder's name by default, and
            nothing (the bundled model) for `""`.
        network (`str`): the class the folder holds: the pipeline, `"EdgeGenerator"` or `"CompletionGenerator"`.
        datasets (`Sequence[str]`): Hub ids of the training data.
        sections (`Mapping[str, str]`, *optional*): further headings and their Markdown text, in order.
        evaluation (`Sequence[EvalResult]`): measured figures, for the Hub's `model-index`.
        widget (`Sequence[str]`): pictures in the repository that the Hub shows as samples.

    Returns:
        The path written.
    """
    metadata = ModelCardData(
        library_name="diffusers",
        pipeline_tag="image-to-image",
        license=license,
        datasets=list(datasets) or None,
        metrics=sorted({result.metric_type for result in evaluation}) or None,
        tags=["edgeconnect", "image-inpainting", "inpainting", "gan"],
        widget=[{"src": picture} for picture in widget] or None,
        model_name=title if evaluation else None,
        eval_results=list(evaluation) or None,
    )
    body = _BODY.format(
        title=title,
        summary=summary,
        example=_example(network, Path(folder).resolve().name if location is None else location),
        sections=_sections(sections or {}),
    )
    path = Path(folder) / "README.md"
    ModelCard(f"---\n{metadata.to_yaml()}\n---\n{body}").save(path)
    return path


def with_location(card: str, location: str) -> str:
    """The text of a card of `write_model_card` with `location` in its example; any other card as it is."""
    for network in ("EdgeConnectPipeline", *_COMPONENT_OF):
        before, after = map(re.escape, _example(network, "LOCATION").split('"LOCATION"'))
        card = re.sub(rf'({before})(?:"[^"\n]*")?({after})', rf'\g<1>"{location}"\g<2>', card)
    return card


def without_validation_grid(card: str) -> str:
    """The text of a card without the section of a training run's validation pictures, and without their picture."""
    card = card.replace(_sections(VALIDATION_SECTION), "")
    return re.sub(rf"!\[[^\]\n]*\]\((?:\./)?{re.escape(VALIDATION_GRID)}[^)\n]*\)", "", card)


def _sections(sections: Mapping[str, str]) -> str:
    return "".join(f"\n## {heading}\n\n{text}\n" for heading, text in sections.items())


def _example(network: str, location: str) -> str:
    quoted = f'"{location}"' if location else ""
    if network in _COMPONENT_OF:
        return _NETWORK_EXAMPLE.format(network=network, component=_COMPONENT_OF[network], location=quoted)
    return _PIPELINE_EXAMPLE.format(location=quoted)
