"""A release without uploads (docs/releasing.md): `make rehearse`.

Builds the distributions; installs the wheel from an index on this machine into two fresh environments; pushes the
bundled model, and a Space that shows it, from the first to a Hub on this machine; pulls and runs it in the second;
starts the Space from what was uploaded, in an environment with what its own requirements name; asks its page and API.
Only the packages' dependencies come from elsewhere. The environments' programs see no others: no compiler, no git.
"""

import http.server
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import copyfile, copytree

from fake_hub import FakeHub
from huggingface_hub import metadata_load

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "edgeconnect_hf" / "examples"
REPAIR = """
import hashlib, sys
from PIL import Image
from edgeconnect_hf import EdgeConnectPipeline
pipe = EdgeConnectPipeline.from_pretrained(*sys.argv[1:])
print(hashlib.sha256(pipe(Image.open("photo.jpg"), Image.open("mask.png")).images[0].tobytes()).hexdigest())
"""
ASK = """
import sys
from gradio_client import Client, handle_file
repaired, lines = Client(sys.argv[1], verbose=False).predict(
    handle_file("photo.jpg"), handle_file("mask.png"), api_name="/inpaint"
)
print(repaired)
"""


class Machine:
    """A fresh environment in `folder`, whose programs find each other and nothing else."""

    def __init__(self, folder: Path, hub: str):
        self.folder, self.bin = folder, folder / "env" / "bin"
        folder.mkdir()
        venv.create(folder / "env", with_pip=True)
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LANG", "TMP", "SSL_"))}
        self.environment = {**kept, "PATH": str(self.bin), "HOME": str(folder), "OMP_NUM_THREADS": "2"}
        self.environment |= {"HF_ENDPOINT": hub, "HF_TOKEN": "hf_rehearsal", "HF_HUB_DISABLE_XET": "1"}
        self.environment |= {"PYTHONUNBUFFERED": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
        for name, file in (("door.jpg", "photo.jpg"), ("door_mask.png", "mask.png")):
            copyfile(EXAMPLES / name, folder / file)

    def run(self, program: str, *arguments: object) -> str:
        """The standard output of a program of this environment."""
        command = [str(self.bin / program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def install(self, *requirements: object) -> None:
        self.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)


@contextmanager
def step(title: str) -> Iterator[None]:
    print(f"{title} …", end=" ", flush=True)
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:.0f} s", flush=True)


@contextmanager
def package_index(folder: Path) -> Iterator[str]:
    """Serves a folder as a package index; its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def rehearse(folder: Path, hub: FakeHub) -> None:
    packages = folder / "index" / "edgeconnect-hf"
    with step("sdist and wheel are built, and their README renders"):
        run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run([sys.executable, "-m", "build", "--outdir", packages, ROOT])
        run([sys.executable, "-m", "twine", "check", "--strict", *packages.iterdir()])

    author, reader, space = (Machine(folder / name, hub.url) for name in ("author", "reader", "space"))
    with step("the wheel is installed from the index, twice"), package_index(folder / "index") as index:
        from_index = ("--extra-index-url", index, "--trusted-host", "127.0.0.1", "edgeconnect-hf")
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda machine: machine.install(*from_index), (author, reader)))

    with step("the command line and the README's Python repair a photo"):
        author.run("edgeconnect", "inpaint", "photo.jpg", "mask.png", "-o", "by-command.png")
        first = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)[0]
        author.run("python", "-c", first)

    with step("model and Space are pushed"):
        bundled = author.run("python", "-c", "from edgeconnect_hf.loading import BUNDLED_MODEL; print(BUNDLED_MODEL)")
        copytree(bundled.strip(), author.folder / "model")
        author.run("edgeconnect", "push", "model", "tester/model", "--space", "tester/space")

    with step("the model is pulled in the second environment, and paints the same"):
        here, there = author.run("python", "-c", REPAIR), reader.run("python", "-c", REPAIR, "tester/model")
        if here != there:
            raise SystemExit("The pulled model paints other pixels than the bundled one.")

    with step("the Space is built by its own requirements"):
        repository = hub.repos["spaces", "tester/space"]
        for name, entry in repository["commits"][repository["refs"]["main"]].items():
            path = space.folder / "app" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(hub.lfs[entry["lfs"]] if "lfs" in entry else entry["data"])
        sdk = metadata_load(space.folder / "app" / "README.md")["sdk_version"]
        space.install("-r", space.folder / "app" / "requirements.txt", f"gradio=={sdk}")

    with step("its page and its API answer"):
        command = [space.bin / "python", "app.py"]
        app = subprocess.Popen(
            command,
            cwd=space.folder / "app",
            env=space.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            url = next((line.split()[-1] for line in app.stdout or () if "http" in line), None)
            if url is None:
                raise SystemExit("The Space ended before it served its page.")
            with urllib.request.urlopen(url) as page:
                if b"EdgeConnect" not in page.read():
                    raise SystemExit(f"{url} answers something else.")
            repaired = space.run("python", "-c", ASK, url).strip()
            if not Path(repaired).stat().st_size:
                raise SystemExit("The API gave an empty file.")
        finally:
            app.terminate()
            app.communicate(timeout=30)


if __name__ == "__main__":
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, FakeHub() as hub:
        rehearse(Path(folder), hub)
    print(f"rehearsed in {time.monotonic() - start:.0f} s")
