"""The card of a model: what it is, how to load it, what it was trained on."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

# How one installs the package; "pip install edgeconnect-hf" once it is on the package index (docs/releasing.md).
INSTALL = "pip install git+https://github.com/edgeconnect-hf/edgeconnect-hf"
LIBRARY = "edgeconnect-hf"

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

It needs the package edgeconnect-hf, with Python 3.11 or later:

```bash
{install}
```

diffusers' generic `DiffusionPipeline.from_pretrained` finds the class after
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
    base_model: str | None = None,
) -> Path:
    """Write `README.md` into a model folder.

    Args:
        folder (`str` or `Path`): the model's folder.
        summary (`str`): what this model is, in a sentence or two.
        license (`str`): the weights' licence, as the Hub abbreviates it (`"apache-2.0"`, `"cc-by-nc-4.0"`).
        title (`str`): the card's heading.
        location (`str`, *optional*): what the example passes to `from_pretrained`; nothing (the bundled model) for
            `""`. By default the folder, as seen from here or, where it does not lie below, by its name, which loads
            from the folder above it.
        network (`str`): the class the folder holds: the pipeline, `"EdgeGenerator"` or `"CompletionGenerator"`.
        datasets (`Sequence[str]`): Hub ids of the training data.
        sections (`Mapping[str, str]`, *optional*): further headings and their Markdown text, in order.
        evaluation (`Sequence[EvalResult]`): measured figures, for the Hub's `model-index`.
        widget (`Sequence[str]`): pictures in the repository that the Hub shows as samples.
        base_model (`str`, *optional*): the Hub's model that this one was fine-tuned from.

    Returns:
        The path written.
    """
    metadata = ModelCardData(
        library_name=LIBRARY,  # the Hub's snippet for "diffusers" lacks the import of our class
        pipeline_tag="image-to-image",
        license=license,
        base_model=base_model,
        datasets=list(datasets) or None,
        metrics=sorted({result.metric_type for result in evaluation}) or None,
        tags=["edgeconnect", "image-inpainting", "inpainting", "gan", "safetensors"],
        widget=[{"src": picture} for picture in widget] or None,
        model_name=title if evaluation else None,
        eval_results=list(evaluation) or None,
    )
    body = _BODY.format(
        title=title,
        summary=summary,
        example=_example(network, local_name(Path(folder)) if location is None else location),
        install=INSTALL,
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


def with_section(card: str, heading: str, text: str) -> str:
    """The text of a card with a section, in place of one of that heading or before "Citation", else at the end."""
    section = _sections({heading: text})
    replaced, count = re.subn(
        rf"\n## {re.escape(heading)}\n.*?(?=\n## |\Z)", lambda _: section, card, count=1, flags=re.S
    )
    if count:
        return replaced
    before, citation, after = card.partition("\n## Citation\n")
    return f"{before}{section}{citation}{after}"


def pictures_of(card: str) -> set[str]:
    """The files beside a card that its text shows."""
    shown = re.findall(r"!\[[^\]\n]*\]\((?:\./)?([^)\s]+)[^)\n]*\)", ModelCard(card, ignore_metadata_errors=True).text)
    return {picture for picture in shown if "://" not in picture}


def local_name(folder: Path) -> str:
    """What a card calls a folder of this machine: its path from here, without what lies above."""
    folder, here = folder.resolve(), Path.cwd()
    return folder.relative_to(here).as_posix() if here in folder.parents else folder.name


def _sections(sections: Mapping[str, str]) -> str:
    return "".join(f"\n## {heading}\n\n{text}\n" for heading, text in sections.items())


def _example(network: str, location: str) -> str:
    quoted = f'"{location}"' if location else ""
    if network in _COMPONENT_OF:
        return _NETWORK_EXAMPLE.format(network=network, component=_COMPONENT_OF[network], location=quoted)
    return _PIPELINE_EXAMPLE.format(location=quoted)
