"""What `edgeconnect_hf/registration.py` takes for granted of diffusers' insides, and what follows from it.

When one of these fails with a new release of diffusers:
- the import fails: find the table's new place, `grep -rn "StableDiffusionOnnxPipeline\\|LOADABLE" diffusers/pipelines`;
- the table has another form: give our entry in `register` the form of the entry "diffusers";
- a module outside the table no longer loads although it was imported: read `_get_library_or_raise` of that release.
Until it is mended, `diffusers` in pyproject.toml stays below that release.
"""

import subprocess
import sys

import diffusers
from diffusers import DiffusionPipeline
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES

import edgeconnect_hf


def test_our_entry_has_the_form_of_diffusers_own():
    pipeline = edgeconnect_hf.EdgeConnectPipeline
    theirs, ours = LOADABLE_CLASSES["diffusers"], LOADABLE_CLASSES["edgeconnect_hf"]
    assert theirs["ModelMixin"] == ours["ModelMixin"] == ["save_pretrained", "from_pretrained"]
    assert edgeconnect_hf.ModelMixin is diffusers.ModelMixin
    assert diffusers.EdgeConnectPipeline is pipeline


def test_saved_and_loaded_by_diffusers_generic_loader(tiny_pipeline, tmp_path):
    tiny_pipeline.save_pretrained(tmp_path)
    loaded = DiffusionPipeline.from_pretrained(tmp_path)
    assert type(loaded) is edgeconnect_hf.EdgeConnectPipeline
    assert type(loaded.edge_generator) is edgeconnect_hf.EdgeGenerator
    assert type(loaded.completion_generator) is edgeconnect_hf.CompletionGenerator


def test_nothing_is_registered_before_a_class_is_used():
    program = """
import sys, edgeconnect_hf
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES
before = "edgeconnect_hf" in LOADABLE_CLASSES
edgeconnect_hf.EdgeConnectPipeline
print(before, "edgeconnect_hf" in LOADABLE_CLASSES)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"


def test_only_one_module_knows_the_table():
    package = edgeconnect_hf.loading.BUNDLED_MODEL.parents[1]
    knowing = [path.name for path in package.rglob("*.py") if "LOADABLE_CLASSES" in path.read_text()]
    assert knowing == ["registration.py"]
