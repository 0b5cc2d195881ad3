"""The demo under attack: what a stranger may send to the running server, over HTTP, and what comes back."""

import base64
import inspect
import itertools
import json
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the page needs the extra `demo`")

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.demo import Limits, build_demo, canvas, launch
from edgeconnect_hf.demo.planes import pack
from edgeconnect_hf.serving import listeners
from edgeconnect_hf.serving.jobs import LONG_JOB, Gate, Job, _current

META = {"_type": "gradio.FileData"}
UNAVAILABLE = "The picture is not available. It may have been deleted: please upload it again."
PATIENCE = 60  # seconds; a busy machine is no failure


class Slow(EdgeConnectPipeline):
    """Takes as long as the test wants it to: layer by layer, or in one call that never looks up."""

    layers = 0  # each a tenth of a second
    hang: threading.Event | None = None
    is_at_work = False

    def open(self, *arguments, **options):
        session = super().open(*arguments, **options)
        complete = session.complete
        session.complete = lambda *given: self.wait() or complete(*given)
        return session

    def wait(self) -> None:
        self.is_at_work = True
        try:
            if self.hang is not None:
                self.hang.wait()
            step = 0
            while step < self.layers:  # looked at anew, so that a test can end it
                step += 1
                time.sleep(0.1)
                self.completion_generator.down[0](self.completion_generator.conv_in.weight.new_zeros(1, 4, 8, 8))
        finally:
            self.is_at_work = False


class Server:
    """A running demo and how a program talks to it."""

    def __init__(self, pipeline: EdgeConnectPipeline, folder: Path, limits: Limits):
        self.folder, self.pipeline = folder, pipeline
        self.demo = build_demo(pipeline, limits=limits)
        self.url = launch(self.demo, host="127.0.0.1", block=False)
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE)

    def upload(self, *pictures: Image.Image | bytes) -> list[dict]:
        files = [("files", ("picture.png", png(picture))) for picture in pictures]
        answer = self.http.post("gradio_api/upload", files=files)
        answer.raise_for_status()
        return [{"path": path, "meta": META} for path in answer.json()]

    def start(self, endpoint: str, data: list) -> str:
        answer = self.http.post(f"gradio_api/call/{endpoint}", json={"data": data})
        assert answer.status_code == 200, answer.text
        return answer.json()["event_id"]

    def call(self, endpoint: str, data: list) -> tuple[str, object]:
        """`("complete", outputs)` or `("error", what the visitor reads)`."""
        with self.http.stream("GET", f"gradio_api/call/{endpoint}/{self.start(endpoint, data)}") as stream:
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                if line.startswith("data: ") and kind in ("complete", "error"):
                    value = json.loads(line.removeprefix("data: "))
                    return kind, value["error"] if kind == "error" else value
        raise AssertionError("no answer")

    def join(self, function: int, data: list, session: str) -> httpx.Response:
        body = {"fn_index": function, "data": data, "session_hash": session}
        return self.http.post("gradio_api/queue/join", json=body)

    def press(self, function: int, data: list, session: str = "tester") -> dict:
        """What the page sends and reads when a button is pressed: the output of `process_completed`."""
        self.join(function, data, session).raise_for_status()
        with self.http.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed":
                    return message["output"]
        raise AssertionError("no answer")

    def ask(self, function: str, data: object, session: str = "tester", **headers: str) -> dict:
        """What the page sends and reads when it calls one of the canvas's functions."""
        body = {"fn_name": function, "data": data, "session_hash": session, "component_id": self.canvas["id"]}
        answer = self.http.post("gradio_api/component_server/", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def canvas(self) -> dict:
        return next(part for part in self.config["components"] if part["props"].get("elem_id") == "canvas")

    @property
    def config(self) -> dict:
        return self.http.get("config").json()

    def functions(self) -> list[dict]:
        """The endpoints that reach Python, private ones too."""
        return [function for function in self.config["dependencies"] if function["backend_fn"]]


@contextmanager
def running(pipeline: EdgeConnectPipeline, folder: Path, **limits):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        server = Server(Slow(**pipeline.components), folder, Limits(**limits))
        yield server
        if server.pipeline.hang is not None:
            server.pipeline.hang.set()
        server.http.close()
        server.demo.close()


@pytest.fixture
def start_server(tiny_pipeline, tmp_path):
    """Start a server of the test's own, with other limits."""
    with ExitStack() as servers:
        yield lambda **limits: servers.enter_context(running(tiny_pipeline, tmp_path / "gradio", **limits))


@pytest.fixture(scope="module")
def shared_server(tiny_pipeline, tmp_path_factory):
    with running(tiny_pipeline, tmp_path_factory.mktemp("gradio")) as server:
        yield server


@pytest.fixture
def server(shared_server):
    """The server with the default limits, with nothing to do before and after the test."""
    yield shared_server
    shared_server.pipeline.layers = 0
    wait_until(lambda: not shared_server.demo.gate.seconds)


def png(picture: Image.Image | bytes) -> bytes:
    if isinstance(picture, bytes):
        return picture
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def bomb(side: int = 13000) -> bytes:
    """A PNG of many pixels and few bytes."""
    return png(Image.new("1", (side, side)))


@contextmanager
def seconds_at_most(limit: float):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < limit


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def resident() -> float:
    return psutil.Process().memory_info().rss / 2**20


# Files of the server


@pytest.fixture
def hostile_paths(server, tmp_path, photo):
    """Everything that is not the visitor's to name."""
    photo.save(tmp_path / "secret.jpg")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    server.folder.mkdir(exist_ok=True)
    (server.folder / "link.png").symlink_to(tmp_path / "secret.jpg")
    photo.save(server.folder / "somebody_elses.png")  # of another program that shares Gradio's folder
    (own,) = server.upload(photo)
    paths = [tmp_path / name for name in ("secret.jpg", "folder", "pipe", "gone.png")]
    paths += [server.folder / "link.png", server.folder / "somebody_elses.png", server.folder]
    paths += ["/dev/ptmx", "/dev/zero", "/etc/passwd", "/proc/self/environ", "pyproject.toml", "", "\0", "x" * 5000]
    paths += [f"{Path(own['path']).parent}/../{Path(own['path']).parent.name}/picture.png", own["path"] + "/"]
    return [*map(str, paths), "http://127.0.0.1:9/picture.png", "file:///etc/passwd", "data:image/png;base64,AAAA"]


def test_no_file_but_the_visitors_own_is_read_and_all_answers_are_one(server, hostile_paths, photo, hole):
    own, mask = server.upload(photo, hole)
    with seconds_at_most(PATIENCE):  # a device or a pipe never returns from open
        for path in hostile_paths:
            for forged in ({"path": path}, {"path": path, "meta": META}, {"path": path, "url": own["path"]}):
                assert server.call("inpaint", [forged, mask, 2, "auto", None]) == ("error", UNAVAILABLE), path
                assert server.call("inpaint", [own, forged, 2, "auto", None]) == ("error", UNAVAILABLE), path
    kind, (repaired, _) = server.call("inpaint", [own, mask, 2, "auto", None])
    assert kind == "complete"
    known = np.asarray(hole) == 0
    result = Image.open(BytesIO(server.http.get(f"gradio_api/file={repaired['path']}").content))
    assert np.array_equal(np.asarray(result)[known], np.asarray(photo)[known])


def test_every_input_of_every_endpoint_is_checked(server, tmp_path, photo):
    photo.save(tmp_path / "secret.png")
    forged = {"path": str(tmp_path / "secret.png")}
    shapes = [forged, [forged], {"background": forged, "layers": [], "composite": None}]
    shapes += [{"background": None, "layers": [forged], "composite": None}, {"value": forged}, [[[{"deep": forged}]]]]
    checked = 0
    for function in server.functions():
        for place in range(len(function["inputs"])):
            for shape in shapes:
                data = [None] * len(function["inputs"])
                data[place] = shape
                assert server.press(function["id"], data).get("error") == UNAVAILABLE, (function["api_name"], place)
                checked += 1
    for function in server.canvas["props"]["server_fns"]:
        for shape in [*shapes, {"photo": forged}, {"file": forged, "width": 1}, {"mask": forged}]:
            assert server.ask(function, shape)["error"] == UNAVAILABLE, function
            checked += 1
    assert checked > 100


def test_a_path_outside_a_file_is_none(server, tmp_path, photo, hole):
    """Only what `check_inputs` has seen as a file's path is read."""
    photo.save(tmp_path / "secret.png")
    for forged in (
        str(tmp_path / "secret.png"),
        [str(tmp_path / "secret.png")],
        {"name": str(tmp_path / "secret.png")},
    ):
        assert server.ask("open_photo", {"photo": forged})["error"] == "This request could not be processed."
        assert server.ask("repair", drawing(photo, hole, forged))["error"] == "This request could not be processed."


def test_what_gradio_serves_beside_the_page_is_closed(server):
    for method, path in (
        ("POST", "run/inpaint"),
        ("POST", "api/inpaint"),
        ("POST", "process_recording"),
        ("POST", "vibe-edit"),
        ("POST", "vibe-code"),
        ("POST", "stream/event"),
        ("GET", "file=http://127.0.0.1:9/"),
        ("GET", "proxy=http://127.0.0.1:9/"),
        ("GET", "deep_link?session_hash=x"),
        ("GET", "dev/reload"),
        ("PUT", "upload"),
    ):
        assert server.http.request(method, f"gradio_api/{path}", json={}).status_code in (404, 405), path
    for path in ("monitoring", "gradio_api/deep_link"):
        assert server.http.get(path).status_code == 404
    assert server.http.post("login", data={"username": "a", "password": "b"}).status_code == 404
    assert server.http.get("").status_code == 200


# Sizes


def test_requests_are_bounded_in_bytes(server):
    for path in ("gradio_api/call/inpaint", "gradio_api/queue/join", "gradio_api/cancel"):
        assert server.http.post(path, content=b"[" * 2**19).status_code == 413

    def chunks():
        for _ in range(64):
            yield b" " * 2**14

    assert server.http.post("gradio_api/queue/join", content=chunks()).status_code == 413
    many = [("files", (f"{number}.png", bytes(2**20))) for number in range(32)]  # each far below the limit
    assert server.http.post("gradio_api/upload", files=many).status_code == 413


def test_pictures_are_bounded_before_they_are_decoded(server, photo, hole):
    own, mask, large = server.upload(photo, hole, bomb())
    before = resident()
    with seconds_at_most(10):
        for data in ([large, mask, 2, "auto", None], [own, large, 2, "auto", None], [own, mask, 2, "auto", large]):
            kind, message = server.call("inpaint", data)
            assert kind == "error"
            assert "up to 25 megapixels are accepted" in message
        assert "up to 25 megapixels" in server.call("complete", [own, mask, large, "auto"])[1]
    assert resident() - before < 100  # decoded, one alone has 169 MB


def find(server: Server, name: str) -> dict:
    return next(function for function in server.functions() if function["api_name"] == name)


def opened(server: Server, photo: Image.Image, session: str) -> dict:
    """The file of a photo that a page has opened."""
    (own,) = server.upload(photo)
    assert "error" not in server.ask("open_photo", {"photo": own}, session)
    return own


def drawing(photo: Image.Image, hole: Image.Image, own: object) -> dict:
    """What a page sends to have a photo repaired."""
    mask = np.asarray(hole) > 0
    empty = pack(np.zeros_like(mask))
    return {"photo": own, "width": photo.width, "height": photo.height, "mask": pack(mask), "touched": empty}


def test_drawings_are_bounded(server, photo, hole):
    own = opened(server, photo, "drawings")
    good, large = drawing(photo, hole, own), server.upload(bomb())[0]
    assert "error" not in server.ask("repair", good, "drawings")
    values, lengths = (
        base64.b64encode(array.tobytes()).decode() for array in (np.uint8([255]), np.uint32([2**32 - 1]))
    )
    endless = {"values": values, "lengths": lengths}
    before = resident()
    with seconds_at_most(20):
        for wrong in (
            {"mask": endless},
            {"touched": endless},
            {"edges": endless},
            {"width": 60000, "height": 60000},
            {"width": 2**40, "height": 2**40, "mask": endless},
            {"width": -96, "height": -72},
            {"width": 1e4, "height": 1e4},
            {"width": "96", "height": True},
            {"photo": large},
            {"sigma": 1e9},
            {"sigma": "x"},
            {"strategy": "no"},
            {"strategy": []},
            {"anything": 1},
        ):
            assert server.ask("repair", good | wrong, "drawings")["error"], wrong
        assert "up to 25 megapixels" in server.ask("open_photo", {"photo": large}, "drawings")["error"]
        shown = {"file": large, "width": photo.width, "height": photo.height}
        for function in ("read_mask", "read_lines"):
            assert "up to 25 megapixels" in server.ask(function, shown, "drawings")["error"]
        patch = base64.b64encode(bomb()).decode()
        saved = {"photo": own, "mask": good["mask"], "patch": patch, "name": "x", "kind": "png"}
        assert "up to 25 megapixels" in server.ask("save", saved, "drawings")["error"]
        for wrong in ({"kind": "exe"}, {"patch": "é"}, {"patch": 7}, {"name": ["x"], "kind": None}):
            assert server.ask("save", saved | wrong, "drawings")["error"], wrong
    assert resident() - before < 100  # decoded, one alone has 169 MB
    body = {"fn_name": "repair", "data": "x" * 31 * 2**20, "session_hash": "drawings", "component_id": 1}
    assert server.http.post("gradio_api/component_server/", json=body).status_code == 413


def test_nothing_but_the_canvass_functions_is_called(server, photo):
    for name in ("postprocess", "get_config", "__init__", "accept_blobs", "_to_publish_format", "push_to_hub"):
        body = {"fn_name": name, "data": {}, "session_hash": "x", "component_id": server.canvas["id"]}
        assert server.http.post("gradio_api/component_server/", json=body).status_code == 404, name
    fields = {"fn_name": "open_photo", "component_id": str(server.canvas["id"]), "session_hash": "x"}
    answer = server.http.post("gradio_api/component_server", data=fields, files={"file": ("blob", png(photo))})
    assert answer.status_code in (200, 500)
    assert answer.status_code == 500 or answer.json()["error"] == "This request could not be processed."


# Time


def test_a_job_that_hangs_is_given_up_and_the_next_is_served(start_server, photo, hole):
    server = start_server(time_limit=2)
    own, mask = server.upload(photo, hole)
    data = [own, mask, 2, "auto", None]
    assert server.call("inpaint", data)[0] == "complete"
    server.pipeline.hang = threading.Event()
    with seconds_at_most(20):
        kind, message = server.call("inpaint", data)
    assert (kind, "took over 2 seconds" in message) == ("error", True)
    hang, server.pipeline.hang = server.pipeline.hang, None
    assert server.call("inpaint", data)[0] == "complete"  # while the first one is hanging still
    assert server.pipeline.is_at_work is False
    hang.set()


def test_an_abandoned_job_is_dropped(server, photo, hole):
    own, mask = server.upload(photo, hole)
    data = [own, mask, 2, "auto", None]
    assert server.call("inpaint", data)[0] == "complete"
    server.pipeline.layers = 600  # a minute
    event = server.start("inpaint", data)
    with server.http.stream("GET", f"gradio_api/call/inpaint/{event}"):
        wait_until(lambda: server.pipeline.is_at_work)
    with seconds_at_most(20):  # the visitor has gone
        wait_until(lambda: not server.pipeline.is_at_work)
        server.pipeline.layers = 0
        assert server.call("inpaint", data)[0] == "complete"


def test_a_job_whose_result_nobody_asks_for_is_dropped(server, photo, hole, monkeypatch):
    monkeypatch.setattr(listeners, "_PATIENCE", 2)
    own, mask = server.upload(photo, hole)
    server.call("inpaint", [own, mask, 2, "auto", None])
    server.pipeline.layers = 600
    server.start("inpaint", [own, mask, 2, "auto", None])
    wait_until(lambda: server.pipeline.is_at_work)
    with seconds_at_most(20):  # a third of what the job takes
        wait_until(lambda: not server.pipeline.is_at_work)


def test_a_session_has_one_job_running_and_one_waiting(server, photo, hole):
    own, mask = server.upload(photo, hole)
    data = [own, mask, 2, "auto", None]
    server.call("inpaint", data)
    server.pipeline.layers = 600
    function = find(server, "inpaint")["id"]
    answers = [server.join(function, data, "greedy") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 503, 503]
    assert answers[2].json()["detail"] == "You have one job running and one waiting. Please wait for them."
    assert int(answers[2].headers["retry-after"]) >= 1
    assert server.join(function, data, "another").status_code == 200
    server.pipeline.layers = 0


def test_an_address_has_a_few_jobs_whatever_its_sessions(server, photo, hole):
    own, mask = server.upload(photo, hole)
    data = [own, mask, 2, "auto", None]
    server.call("inpaint", data)
    server.pipeline.layers = 600

    def send(address: str) -> int:  # a proxy on this machine is trusted with it, as uvicorn does
        body, headers = {"data": data}, {"x-forwarded-for": address}
        return server.http.post("gradio_api/call/inpaint", json=body, headers=headers).status_code

    assert [send("8.8.8.8") for _ in range(5)] == [200, 200, 200, 200, 503]
    assert send("9.9.9.9") == 200
    assert [send("10.0.0.1") for _ in range(5)] == [200] * 5  # a proxy's own, which all visitors share
    server.pipeline.layers = 0


def test_a_newer_stroke_ends_the_older(server, photo, hole):
    own = opened(server, photo, "painter")
    data = drawing(photo, hole, own)
    assert "error" not in server.ask("repair", data, "painter")
    server.pipeline.layers = 600  # a minute
    with ThreadPoolExecutor(3) as pool:
        older = pool.submit(server.ask, "repair", data, "painter")
        wait_until(lambda: server.pipeline.is_at_work)
        waiting = pool.submit(server.ask, "repair", data, "painter")
        with seconds_at_most(20):
            assert older.result() == {"replaced": True}
            newest = pool.submit(server.ask, "repair", data, "painter")
            assert waiting.result() == {"replaced": True}
            server.pipeline.layers = 0
            assert "patch" in newest.result()
    assert not server.demo.admitted


def test_a_stroke_that_is_late_does_not_end_a_newer_one(server, photo, hole):
    """A photo that was uploaded first, say: the older question arrives last."""
    own = opened(server, photo, "overtaken")
    data = drawing(photo, hole, own)
    with ThreadPoolExecutor(1) as pool:
        with server.demo.gate.turn(1):  # the model is taken
            newer = pool.submit(server.ask, "repair", {**data, "number": 2}, "overtaken")
            wait_until(lambda: server.demo.admitted)
            assert server.ask("repair", {**data, "number": 1}, "overtaken") == {"replaced": True}
        assert "patch" in newer.result()
    assert not server.demo.admitted


def test_what_is_asked_about_a_state_ends_what_was_asked_before(server, photo, hole):
    """Two quick clicks on Shrink during a repair are not three jobs, of which the last is refused."""
    own = opened(server, photo, "quick")
    data = drawing(photo, hole, own)
    mask = {name: data[name] for name in ("mask", "width", "height")}
    asked = {
        "repair": data,
        "propose_lines": data,
        "grow_mask": {**mask, "by": -1},
        "select_object": {**mask, "photo": own, "mode": "add", "points": [[47, 48]]},
        "extend": {"photo": own, "left": 8},
        "read_mask": {"file": own, "width": 96, "height": 72},
        "read_lines": {"file": own, "width": 96, "height": 72},
    }
    assert "error" not in server.ask("repair", data, "quick")
    numbers = itertools.count(1)
    with ThreadPoolExecutor(2 * len(asked)) as pool:

        def ask(function: str):
            number = next(numbers)
            answer = pool.submit(server.ask, function, {**asked[function], "number": number}, "quick")
            wait_until(lambda: any(job.number == number for job in server.demo.admitted) or answer.done())
            return answer

        for change in asked:
            with server.demo.gate.turn(1):  # the model is taken, so that all others wait
                older = [ask("repair"), ask(change)]
                for _ in range(2):
                    older.append(ask("grow_mask"))
                    assert [answer.result() for answer in older[:-1]] == [{"replaced": True}] * (len(older) - 1)
                newest = ask("repair")
                assert older[-1].result() == {"replaced": True}
            assert "patch" in newest.result()
    assert not server.demo.admitted


def test_calls_that_end_one_another_do_not_run_side_by_side(server, hole, monkeypatch):
    at_work, most = [], []

    def slow(mask, by):
        at_work.append(by)
        most.append(len(at_work))
        time.sleep(0.5)
        at_work.remove(by)
        return mask

    monkeypatch.setattr(canvas, "grow", slow)
    mask = pack(np.asarray(hole) > 0)
    with ThreadPoolExecutor(6) as pool:

        def shrink(by: int):
            time.sleep(0.2 * by)
            return server.ask("grow_mask", {"mask": mask, "width": 96, "height": 72, "by": by}, "hasty")

        answers = list(pool.map(shrink, range(6)))
    assert answers == [{"replaced": True}] * 5 + [{"mask": mask}]
    assert max(most) == 1


def test_the_pages_calls_count_as_jobs(server, photo, hole):
    own = opened(server, photo, "greedy")
    data = drawing(photo, hole, own)
    server.ask("repair", data, "greedy")
    server.pipeline.layers = 600
    with ThreadPoolExecutor(12) as pool, ExitStack() as stack:
        for number in range(4):
            stack.enter_context(page(server, f"page {number}"))

        def repair(session: str, address: str = "127.0.0.1"):
            return pool.submit(server.ask, "repair", data, session, **{"x-forwarded-for": address})

        first = repair("page 0")
        wait_until(lambda: server.pipeline.is_at_work)
        second = pool.submit(server.ask, "open_photo", {"photo": own}, "page 0")
        wait_until(lambda: len(server.demo.admitted) == 2)
        saved = {"photo": own, "mask": data["mask"], "patch": "", "name": "x", "kind": "png"}
        answer = server.ask("save", saved, "page 0")
        assert answer["error"] == "You have one job running and one waiting. Please wait for them."
        calls = [first, second]
        for number in range(3):
            calls.append(repair(f"page {number + 1}", "8.8.8.8"))
            wait_until(lambda number=number: len(server.demo.admitted) == number + 3)
        body = {"data": [*server.upload(photo, hole), 2, "auto", None]}
        forwarded = {"x-forwarded-for": "8.8.8.8"}
        answers = [server.http.post("gradio_api/call/inpaint", json=body, headers=forwarded) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 503]  # counted together with the API's
        server.pipeline.layers = 0
        assert all("error" not in call.result() for call in calls)


def test_a_page_that_is_closed_ends_its_repair(server, photo, hole):
    own = opened(server, photo, "leaver")
    data = drawing(photo, hole, own)
    server.ask("repair", data, "leaver")
    server.pipeline.layers = 600
    with ThreadPoolExecutor(1) as pool:
        with page(server, "leaver"):
            call = pool.submit(server.ask, "repair", data, "leaver")
            wait_until(lambda: server.pipeline.is_at_work)
        with seconds_at_most(20):
            wait_until(lambda: not server.pipeline.is_at_work)
        assert "error" in call.result()


def test_a_job_that_would_take_too_long_is_refused_before_it_starts(server, monkeypatch):
    side = 3000
    mask = Image.new("L", (side, side))
    mask.paste(255, (0, 0, 100, 100))
    own, hole = server.upload(Image.new("RGB", (side, side)), mask)
    server.call("inpaint", [own, hole, 2, "auto", None])
    handler = inspect.unwrap(server.demo.fns[find(server, "inpaint")["id"]].fn)
    monkeypatch.setattr(handler.__self__.model, "_measure", lambda *_: 5e-6)  # the paper's networks on two cores
    with seconds_at_most(10):
        kind, message = server.call("inpaint", [own, hole, 2, "original", None])
    assert (kind, "about 90 seconds here; up to 20 are allowed" in message) == ("error", True)
    assert server.call("inpaint", [own, hole, 2, "crop", None])[0] == "complete"


def test_a_speed_that_was_measured_while_the_machine_was_busy_is_measured_again(server, photo, hole, monkeypatch):
    own, mask = server.upload(photo, hole)
    handler = inspect.unwrap(server.demo.fns[find(server, "inpaint")["id"]].fn)
    monkeypatch.setattr(handler.__self__.model, "seconds_per_pixel", 1.0)
    assert server.call("inpaint", [own, mask, 2, "auto", None])[0] == "complete"
    assert handler.__self__.model.seconds_per_pixel < 0.01


def test_short_jobs_pass_the_long_ones_that_wait():
    gate, order, hold = Gate(Limits()), [], threading.Event()

    def work(name: str, seconds: float) -> None:
        _current.set(Job(PATIENCE))
        with gate.turn(seconds):
            order.append(name)
            hold.wait()

    with ThreadPoolExecutor(6) as pool:
        for place, (name, seconds) in enumerate(
            (("running", LONG_JOB + 1), ("long 1", LONG_JOB + 1), ("long 2", 20), ("short 1", 1), ("short 2", 2))
        ):
            pool.submit(work, name, seconds)
            wait_until(lambda place=place: len(gate.seconds) == place + 1)
        assert gate.expected_wait() == 2 * (LONG_JOB + 1) + 23
        hold.set()
    assert order == ["running", "short 1", "short 2", "long 1", "long 2"]
    assert gate.expected_wait() == 0


def test_who_waits_too_long_is_told():
    gate = Gate(Limits(max_wait=0.2))
    with gate.turn(1), ThreadPoolExecutor(1) as pool:
        assert "server is busy" in str(pool.submit(lambda: gate.turn(1).__enter__()).exception())
    with gate.turn(1):
        assert len(gate.seconds) == 1


def test_a_full_queue_is_a_503_with_a_time_to_come_back(start_server, photo, hole):
    server = start_server(max_waiting=3)
    own, mask = server.upload(photo, hole)
    data = [own, mask, 2, "auto", None]
    server.call("inpaint", data)
    server.pipeline.layers = 600
    answers = [server.http.post("gradio_api/call/inpaint", json={"data": data}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [503] * 2
    assert answers[-1].json() == {"detail": "The server is busy. Please try again in a minute."}
    assert int(answers[-1].headers["retry-after"]) >= 1
    server.pipeline.layers = 0


def test_sixty_clients_at_once_are_each_served_or_told(server, photo, hole):
    own, mask = server.upload(photo, hole)
    data = [own, mask, 2, "auto", None]
    server.call("inpaint", data)
    server.pipeline.layers = 1

    def ask(_) -> str:
        answer = server.http.post("gradio_api/call/inpaint", json={"data": data})
        if answer.status_code == 503:
            return "told"
        url = f"gradio_api/call/inpaint/{answer.json()['event_id']}"
        return "served" if "event: complete" in server.http.get(url).text else "lost"

    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(ask, range(60)))
    assert answers.count("served") >= 21  # one at work and those that may wait
    assert answers.count("told") == 60 - answers.count("served")
    server.pipeline.layers = 0
    with seconds_at_most(10):
        assert server.call("inpaint", data)[0] == "complete"


# What refusals say


def test_refusals_name_no_place_of_the_server(server, photo, hole, tmp_path):
    own, mask = server.upload(photo, hole)
    (text,) = server.upload(b"no picture")
    (cut,) = server.upload(png(photo)[:200])
    answers = [server.call("inpaint", [picture, mask, 2, "auto", None])[1] for picture in (text, cut, {"path": "a"}, 7)]
    answers += [server.call("inpaint", [own, mask, *rest])[1] for rest in ([None, "auto", None], [2, "no", None])]
    answers += [server.call("inpaint", data)[1] for data in ([], [own], [{}, {}, {}, {}, {}], ["a", "b", 1, 2, 3])]
    for function in server.functions():
        for value in (None, {}, "x", -1, [1, 2], {"layers": "x"}):
            answers.append(server.press(function["id"], [value] * len(function["inputs"])).get("error"))
    for function in server.canvas["props"]["server_fns"]:
        for value in (None, {}, "x", -1, [1, 2], {"photo": own}, drawing(photo, hole, own) | {"touched": 1}):
            answers.append(server.ask(function, value).get("error"))
    answers += [server.ask("open_photo", {"photo": broken})["error"] for broken in (text, cut)]
    answers += [server.http.get(f"gradio_api/file={path}").text for path in ("pyproject.toml", "/etc", "../x")]
    answers += [server.join(99999, [], "x").text, server.http.post("gradio_api/queue/join", content=b"{").text]
    for answer in answers:
        for place in (os.getcwd(), str(tmp_path), "site-packages", ".py", "Traceback"):
            assert place not in (answer or ""), answer


# What is kept


def kept(server: Server) -> list[Path]:
    return [path for path in server.folder.rglob("*") if path.is_file() and "vibe" not in str(path)]


@contextmanager
def page(server: Server, session: str):
    """A page that is open: its heartbeat."""
    with httpx.stream("GET", f"{server.url}gradio_api/heartbeat/{session}", timeout=PATIENCE) as heartbeat:
        lines = heartbeat.iter_lines()  # named, as it closes the connection when it goes
        next(lines)
        yield


def test_all_that_a_session_had_goes_with_it(start_server, photo, hole):
    server = start_server(session_grace=1)
    examples = len(kept(server))
    with page(server, "guest"), page(server, "other"):
        for session in ("guest", "other"):
            own = opened(server, photo, session)
            repaired = server.ask("repair", drawing(photo, hole, own), session)
            kept_as = {"photo": own, "mask": drawing(photo, hole, own)["mask"], "name": "x", "kind": "png"}
            assert "path" in server.ask("save", kept_as | {"patch": repaired["patch"]}, session)
            output = server.press(
                find(server, "inpaint")["id"], [*server.upload(photo, hole), 2, "auto", None], session
            )
            assert "error" not in output
        both = len(kept(server))
        assert "guest" in server.demo.state_holder
    wait_until(lambda: "guest" not in server.demo.state_holder and "other" not in server.demo.state_holder)
    wait_until(lambda: len(kept(server)) == examples)
    assert both > examples

    with page(server, "guest"):
        opened(server, photo, "guest")
        with page(server, "other"):  # has the same upload
            opened(server, photo, "other")
        wait_until(lambda: "other" not in server.demo.state_holder)
        own, mask = server.upload(photo, hole)
        assert server.call("inpaint", [own, mask, 2, "auto", None])[0] == "complete"


def test_a_page_that_comes_back_in_time_finds_its_work(start_server, photo):
    server = start_server(session_grace=1)
    with page(server, "guest"):
        opened(server, photo, "guest")
    with page(server, "guest"):
        time.sleep(2)  # twice the grace
        assert "guest" in server.demo.state_holder


def test_the_oldest_files_make_room(start_server):
    server = start_server(max_disk=2)
    noise = np.random.default_rng(0)
    uploads = []
    for _ in range(8):
        picture = Image.fromarray(noise.integers(0, 256, (400, 400, 3), np.uint8))  # half a megabyte
        uploads += server.upload(picture)

    def taken() -> int:
        return sum(Path(upload["path"]).stat().st_size for upload in uploads if Path(upload["path"]).exists())

    wait_until(lambda: taken() <= 2 * 2**20)  # the answer to an upload does not wait for it
    assert taken() > 2**20
    assert not Path(uploads[0]["path"]).exists()
    assert Path(uploads[-1]["path"]).exists()
    assert server.call("inpaint", [uploads[0], uploads[-1], 2, "auto", None]) == ("error", UNAVAILABLE)


@pytest.mark.slow
def test_memory_is_given_back_by_sessions_that_close(start_server, photo, hole):
    server = start_server(session_grace=1)
    large, mask = photo.resize((960, 720)), hole.resize((960, 720))

    def visit(number: int) -> None:
        session = f"visit-{number}"
        with page(server, session):
            opened(server, large, session)
            output = server.press(
                find(server, "inpaint")["id"], [*server.upload(large, mask), 2, "auto", None], session
            )
            assert "error" not in output

    for number in range(20):
        visit(number)
    before = resident()
    for number in range(20, 200):
        visit(number)
    wait_until(lambda: "visit-199" not in server.demo.state_holder)
    assert resident() - before < 50  # MB


def test_the_limits_on_paper_are_the_limits():
    page = (Path(__file__).parents[1] / "docs" / "security.md").read_text()
    rows = re.findall(r"^\| `--([a-z-]+)` \| ([\d.]+) \|", page, re.MULTILINE)
    assert {name.replace("-", "_"): float(value) for name, value in rows} == vars(Limits())
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`max_disk` must be above 0 and finite"):
            Limits(max_disk=wrong)


def test_the_server_listens_where_it_is_told(server):
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    listening = [c.laddr for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening if address.port == port} == {"127.0.0.1"}
