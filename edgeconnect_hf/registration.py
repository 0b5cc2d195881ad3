"""How diffusers finds classes that are not its own: the one module that knows its private table.

`save_pretrained` writes "edgeconnect_hf" for each generator into model_index.json. diffusers' loader, the generic
`DiffusionPipeline.from_pretrained` too, accepts a library's name from there if it stands in its table, with the base
class whose methods save and load; it takes that class, and the generators, from the package's own namespace. A pipeline
it looks up in its own namespace.

`tests/test_registration.py` tells what to do when a release of diffusers moves the table.
"""

import diffusers
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES
from diffusers.pipelines.pipeline_utils import DiffusionPipeline


def register(pipeline_class: type[DiffusionPipeline]) -> None:
    """Let diffusers' loaders find `pipeline_class`, and the generators of this package."""
    LOADABLE_CLASSES.setdefault("edgeconnect_hf", {"ModelMixin": ["save_pretrained", "from_pretrained"]})
    setattr(diffusers, pipeline_class.__name__, pipeline_class)
