"""A minimal in-memory Hugging Face Hub for tests: huggingface_hub's real client against 127.0.0.1.

Start with `with FakeHub() as hub:` (a uvicorn thread on a free port), give the process under test HF_ENDPOINT=hub.url,
HF_TOKEN=anything, HF_HUB_DISABLE_XET=1 and HF_HOME=a fresh folder *before* it imports huggingface_hub.
"""

import base64
import hashlib
import json
import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

PREFIX = {"models": "", "datasets": "datasets/", "spaces": "spaces/"}
LFS_SUFFIX = (".safetensors", ".bin", ".onnx", ".pt", ".pth", ".png", ".jpg", ".parquet")


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class FakeHub:
    def __init__(self, user="tester", lfs_redirect=True, all_regular=False):
        self.user, self.lfs_redirect, self.all_regular = user, lfs_redirect, all_regular
        self.repos = {}  # (kind, id) -> {"commits": {sha: {path: entry}}, "refs": {name: sha}, "private": bool}
        self.lfs = {}  # sha256 -> bytes
        self.log = []  # what was asked, for tests and for the report
        self.read_only_token = "hf_read_only"  # may read everything and write nothing
        self.uploads_allowed = None  # how many files may still be sent before the Hub refuses; None: any number
        self.app = Starlette(
            routes=[
                Route("/api/whoami-v2", self.whoami),
                Route("/api/validate-yaml", self.validate_yaml, methods=["POST"]),
                Route("/api/repos/create", self.create, methods=["POST"]),
                Route("/api/repos/delete", self.delete, methods=["DELETE"]),
                Route("/api/{kind}/{ns}/{name}", self.info),
                Route("/api/{kind}/{ns}/{name}/revision/{rev}", self.info),
                Route("/api/{kind}/{ns}/{name}/refs", self.list_refs),
                Route("/api/{kind}/{ns}/{name}/tree/{rev}", self.tree),
                Route("/api/{kind}/{ns}/{name}/tree/{rev}/{path:path}", self.tree),
                Route("/api/{kind}/{ns}/{name}/paths-info/{rev}", self.paths_info, methods=["POST"]),
                Route("/api/{kind}/{ns}/{name}/preupload/{rev}", self.preupload, methods=["POST"]),
                Route("/api/{kind}/{ns}/{name}/commit/{rev}", self.commit, methods=["POST"]),
                Route("/_lfs/{oid}", self.lfs_put, methods=["PUT"]),
                Route("/_lfs/{oid}", self.lfs_get, methods=["GET", "HEAD"]),
                Route("/_lfs_verify", self.lfs_verify, methods=["POST"]),
                *[
                    r
                    for p in ("", "datasets/", "spaces/")
                    for r in (
                        Route(f"/{p}{{ns}}/{{name}}.git/info/lfs/objects/batch", self.lfs_batch, methods=["POST"]),
                        Route(
                            f"/{p}{{ns}}/{{name}}/resolve/{{rev}}/{{path:path}}", self.resolve, methods=["GET", "HEAD"]
                        ),
                    )
                ],
                Route("/{path:path}", self.unknown, methods=["GET", "HEAD", "POST", "PUT", "DELETE"]),
            ]
        )
        inner = self.app

        async def logged(scope, receive, send):
            if scope["type"] == "http":
                if self._may_not(scope):
                    refusal = self.err(403, "Forbidden", "You don't have the rights required to write here.")
                    return await refusal(scope, receive, send)
                entry = [
                    scope["method"],
                    scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else ""),
                    None,
                ]
                self.log.append(entry)

                async def send2(m):
                    if m["type"] == "http.response.start":
                        entry[2] = m["status"]
                    await send(m)

                return await inner(scope, receive, send2)
            return await inner(scope, receive, send)

        self.asgi = logged

    # -- server ---------------------------------------------------------------------------------
    def __enter__(self):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        self.port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = uvicorn.Server(uvicorn.Config(self.asgi, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [s]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *a):
        self.server.should_exit = True
        self.thread.join(5)

    # -- helpers --------------------------------------------------------------------------------
    def _may_not(self, scope):
        """Whether a request writes without the right to."""
        writes = scope["path"] == "/api/repos/create" or any(
            f"/{part}/" in scope["path"] for part in ("preupload", "commit")
        )
        token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        return writes and token in ("", self.read_only_token)

    def err(self, status, code, msg):
        return JSONResponse({"error": msg}, status, headers={"X-Error-Code": code, "X-Error-Message": msg})

    def repo(self, req, kind=None):
        p = req.path_params
        if kind is None:
            kind = p.get("kind") or next(
                (k for k, v in PREFIX.items() if v and req.url.path.startswith("/" + v)), "models"
            )
        repo = self.repos.get((kind, f"{p['ns']}/{p['name']}"))
        if repo is not None and repo["private"] and not req.headers.get("authorization"):
            repo = None  # the real Hub does not say that it is there
        return kind, f"{p['ns']}/{p['name']}", repo

    def sha(self, repo, rev):
        return rev if rev in repo["commits"] else repo["refs"].get(rev)

    def entry_json(self, path, e):
        d = {"type": "file", "path": path, "size": e["size"], "oid": e["oid"]}
        if "lfs" in e:
            d["lfs"] = {"oid": e["lfs"], "size": e["size"], "pointerSize": 130}
        return d

    # -- api ------------------------------------------------------------------------------------
    async def unknown(self, req):
        return self.err(404, "RepoNotFound", f"fake hub has no {req.method} {req.url.path}")

    async def whoami(self, req):
        if not req.headers.get("authorization"):
            return JSONResponse({"error": "Unauthorized"}, 401)
        return JSONResponse(
            {
                "type": "user",
                "id": "0",
                "name": self.user,
                "fullname": self.user,
                "orgs": [],
                "auth": {"type": "access_token", "accessToken": {"displayName": "t", "role": "write"}},
            }
        )

    async def validate_yaml(self, req):
        return JSONResponse({"errors": [], "warnings": []})

    async def create(self, req):
        if not req.headers.get("authorization"):
            return JSONResponse({"error": "Unauthorized"}, 401)
        b = await req.json()
        kind = (b.get("type") or "model") + "s"
        rid = f"{b.get('organization') or self.user}/{b['name']}"
        body = {"url": f"{self.url}/{PREFIX[kind]}{rid}", "name": rid, "id": rid}
        if (kind, rid) in self.repos:
            return JSONResponse({**body, "error": "You already created this model repo"}, 409)
        first = hashlib.sha1(f"{rid}{time.time()}".encode()).hexdigest()
        self.repos[(kind, rid)] = {
            "commits": {first: {}},
            "refs": {"main": first},
            "history": [first],
            "private": b.get("visibility") == "private",
        }
        return JSONResponse(body)

    async def delete(self, req):
        b = await req.json()
        kind = (b.get("type") or "model") + "s"
        self.repos.pop((kind, f"{b.get('organization') or self.user}/{b['name']}"), None)
        return Response("OK")

    async def info(self, req):
        _, rid, repo = self.repo(req)
        if repo is None:
            return self.err(404, "RepoNotFound", "Repository not found")
        sha = self.sha(repo, req.path_params.get("rev", "main"))
        if sha is None:
            return self.err(404, "RevisionNotFound", "Invalid rev id")
        return JSONResponse(
            {
                "_id": "0",
                "id": rid,
                "modelId": rid,
                "sha": sha,
                "private": repo["private"],
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "gated": False,
                "disabled": False,
                "pipeline_tag": None,
                "siblings": [
                    {"rfilename": p, "size": e["size"], "blobId": e["oid"]}
                    for p, e in sorted(repo["commits"][sha].items())
                ],
            }
        )

    async def list_refs(self, req):
        _, _, repo = self.repo(req)
        if repo is None:
            return self.err(404, "RepoNotFound", "Repository not found")
        return JSONResponse(
            {
                "branches": [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": s} for n, s in repo["refs"].items()],
                "converts": [],
                "tags": [],
            }
        )

    async def tree(self, req):
        _, _, repo = self.repo(req)
        if repo is None:
            return self.err(404, "RepoNotFound", "Repository not found")
        sha = self.sha(repo, req.path_params["rev"])
        if sha is None:
            return self.err(404, "RevisionNotFound", "Invalid rev id")
        base = req.path_params.get("path", "").strip("/")
        deep = req.query_params.get("recursive", "").lower() in ("1", "true")
        out = {}
        for p, e in sorted(repo["commits"][sha].items()):
            rel = p[len(base) + 1 :] if base and p.startswith(base + "/") else (p if not base else None)
            if rel is None:
                continue
            parts = rel.split("/")
            for i in range(1, len(parts) if deep else min(2, len(parts))):
                d = "/".join(filter(None, [base, *parts[:i]]))
                out[d] = {"type": "directory", "path": d, "oid": "0" * 40, "size": 0}
            if deep or len(parts) == 1:
                out[p] = self.entry_json(p, e)
        if base and not out:
            return self.err(404, "EntryNotFound", f"{base} does not exist on {req.path_params['rev']}")
        return JSONResponse(list(out.values()))

    async def paths_info(self, req):
        _, _, repo = self.repo(req)
        sha = self.sha(repo, req.path_params["rev"]) if repo else None
        if sha is None:
            return self.err(404, "RevisionNotFound", "Invalid rev id")
        ct = req.headers.get("content-type", "")
        paths = (await req.json())["paths"] if "json" in ct else (await req.form()).getlist("paths")
        files = repo["commits"][sha]
        return JSONResponse([self.entry_json(p, files[p]) for p in paths if p in files])

    async def preupload(self, req):
        _, _, repo = self.repo(req)
        if repo is None:
            return self.err(404, "RepoNotFound", "Repository not found")
        files = repo["commits"][self.sha(repo, req.path_params["rev"])]
        return JSONResponse(
            {
                "files": [
                    {
                        "path": f["path"],
                        "shouldIgnore": False,
                        "oid": (lambda e: e.get("lfs") or e.get("oid"))(files.get(f["path"], {})),
                        "uploadMode": "lfs" if not self.all_regular and f["path"].endswith(LFS_SUFFIX) else "regular",
                    }
                    for f in (await req.json())["files"]
                ]
            }
        )

    async def lfs_batch(self, req):
        b = await req.json()
        objs = []
        for o in b["objects"]:
            d = {"oid": o["oid"], "size": o["size"]}
            if o["oid"] not in self.lfs:  # already stored: no "actions", the client skips the upload
                d["actions"] = {
                    "upload": {"href": f"{self.url}/_lfs/{o['oid']}"},
                    "verify": {"href": f"{self.url}/_lfs_verify"},
                }
            objs.append(d)
        return JSONResponse({"transfer": "basic", "objects": objs}, media_type="application/vnd.git-lfs+json")

    async def lfs_put(self, req):
        data = await req.body()
        oid = req.path_params["oid"]
        if self.uploads_allowed is not None:
            if self.uploads_allowed == 0:
                return JSONResponse({"error": "storage is closed"}, 403)
            self.uploads_allowed -= 1
        if hashlib.sha256(data).hexdigest() != oid:
            return JSONResponse({"error": "sha mismatch"}, 400)
        self.lfs[oid] = data
        return Response(headers={"ETag": f'"{oid}"'})

    async def lfs_verify(self, req):
        b = await req.json()
        return JSONResponse({}, 200 if len(self.lfs.get(b["oid"], b"")) == b["size"] else 404)

    async def lfs_get(self, req):
        data = self.lfs.get(req.path_params["oid"])
        return (
            self.body(req, data, {"ETag": f'"{req.path_params["oid"]}"'})
            if data is not None
            else Response(status_code=404)
        )

    async def commit(self, req):
        kind, rid, repo = self.repo(req)
        if repo is None:
            return self.err(404, "RepoNotFound", "Repository not found")
        rev = req.path_params["rev"]
        files = dict(repo["commits"][self.sha(repo, rev)])
        raw = await req.body()
        head = {}
        for line in raw.splitlines():
            op = json.loads(line)
            k, v = op["key"], op["value"]
            if k == "header":
                head = v
            elif k == "file":
                data = base64.b64decode(v["content"])
                files[v["path"]] = {"data": data, "size": len(data), "oid": git_oid(data)}
            elif k == "lfsFile":
                if v["oid"] not in self.lfs:
                    return self.err(400, "BadRequest", f"LFS object {v['oid']} was not uploaded")
                files[v["path"]] = {
                    "lfs": v["oid"],
                    "size": len(self.lfs[v["oid"]]),
                    "oid": git_oid(
                        b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
                        % (v["oid"].encode(), len(self.lfs[v["oid"]]))
                    ),
                }
            elif k == "deletedFile":
                files.pop(v["path"], None)
            elif k == "deletedFolder":
                files = {p: e for p, e in files.items() if not p.startswith(v["path"].rstrip("/") + "/")}
        sha = hashlib.sha1(raw + repo["refs"].get(rev, "").encode()).hexdigest()
        repo["commits"][sha] = files
        repo["refs"][rev] = sha
        repo["history"].append(sha)
        repo.setdefault("messages", {})[sha] = head.get("summary")
        return JSONResponse(
            {
                "success": True,
                "commitOid": sha,
                "commitUrl": f"{self.url}/{PREFIX[kind]}{rid}/commit/{sha}",
                "hookOutput": "",
            }
        )

    def body(self, req, data, headers):
        status = 200
        headers = {"Accept-Ranges": "bytes", **headers}
        rng = req.headers.get("range")
        if rng and rng.startswith("bytes="):
            a, _, b = rng[6:].partition("-")
            a = int(a or 0)
            b = int(b) if b else len(data) - 1
            headers["Content-Range"] = f"bytes {a}-{b}/{len(data)}"
            data = data[a : b + 1]
            status = 206
        headers["Content-Length"] = str(len(data))
        return Response(b"" if req.method == "HEAD" else data, status, headers)

    async def resolve(self, req):
        _, _, repo = self.repo(req)
        if repo is None:
            return self.err(404, "RepoNotFound", "Repository not found")
        sha = self.sha(repo, req.path_params["rev"])
        if sha is None:
            return self.err(404, "RevisionNotFound", "Invalid rev id")
        e = repo["commits"][sha].get(req.path_params["path"])
        h = {"X-Repo-Commit": sha}
        if e is None:
            r = self.err(404, "EntryNotFound", "Entry not found")
            r.headers.update(h)
            return r
        if "lfs" in e:
            h |= {"X-Linked-Size": str(e["size"]), "X-Linked-Etag": f'"{e["lfs"]}"'}
            if (
                self.lfs_redirect
            ):  # as the real Hub does: 302 to a storage host. It must be ANOTHER host name: the client
                # follows a same-host redirect on HEAD and then misses X-Repo-Commit.
                return RedirectResponse(
                    f"http://localhost:{self.port}/_lfs/{e['lfs']}", 302, headers={**h, "ETag": f'"{e["lfs"]}"'}
                )
            return self.body(req, self.lfs[e["lfs"]], {**h, "ETag": f'"{e["lfs"]}"'})
        return self.body(req, e["data"], {**h, "ETag": f'"{e["oid"]}"'})


if __name__ == "__main__":
    with FakeHub() as hub:
        print(hub.url, flush=True)
        while True:
            time.sleep(1)
