"""Many clients of the demo at once: how many are served, how long the slowest waits, time and memory afterwards.

    python benchmarks/storm.py

Starts the server in this process with the bundled model. Each client uploads an example and its mask, calls `inpaint`
and reads the result, without `gradio_client`.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.demo import EXAMPLES, build_demo, launch

META = {"_type": "gradio.FileData"}


def ask(url: str) -> tuple[str, float]:
    """The fate of one client, `served`, `told` (to retry later) or an error; and its seconds."""
    start = time.perf_counter()
    with httpx.Client(base_url=f"{url}gradio_api/", timeout=300, verify=False) as http:  # certificates take memory
        files = [("files", (name, (EXAMPLES / name).read_bytes())) for name in ("door.jpg", "door_mask.png")]
        image, mask = ({"path": path, "meta": META} for path in http.post("upload", files=files).json())
        answer = http.post("call/inpaint", json={"data": [image, mask, 2, "auto", None]})
        if answer.status_code == 503:
            return "told", time.perf_counter() - start
        text = http.get(f"call/inpaint/{answer.json()['event_id']}").text
    return "served" if "event: complete" in text else text.strip(), time.perf_counter() - start


def resident_megabytes() -> float:
    return psutil.Process().memory_info().rss / 2**20


def main() -> None:
    url = launch(build_demo(EdgeConnectPipeline.from_pretrained()), host="127.0.0.1", block=False)
    ask(url)
    alone = statistics.median(ask(url)[1] for _ in range(5))
    print(f"One client alone: {alone:.2f} s, {resident_megabytes():.0f} MB.\n")
    print("| clients at once | served | told | lost | slowest served | afterwards alone | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for clients in (20, 60, 60):
        with ThreadPoolExecutor(clients) as pool:
            fates = list(pool.map(ask, [url] * clients))
        slowest = max(seconds for fate, seconds in fates if fate == "served")
        counts = [sum(fate == kind for fate, _ in fates) for kind in ("served", "told")]
        after = ask(url)[1]
        print(
            f"| {clients} | {counts[0]} | {counts[1]} | {clients - sum(counts)} | {slowest:.1f} s | {after:.2f} s "
            f"| {resident_megabytes():.0f} MB |"
        )


if __name__ == "__main__":
    main()
