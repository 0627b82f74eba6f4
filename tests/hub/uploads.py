"""The side of the stand-in that is written to: repositories made, large files sent, commits, branches and tags."""

import base64
import hashlib
import json
import re
from urllib.parse import unquote, urlsplit

from tests.hub.repositories import LFS_SUFFIXES, File, Repository

WRITTEN = re.compile(
    r"/api/(?P<kind>model|dataset)s/(?P<name>[^/]+/[^/]+)/(?P<what>preupload|commit|branch|tag)/(?P<rest>[^/]+)"
)
BATCH = re.compile(r"/(?P<data>datasets/)?(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
UNCHANGED = "pull requests aren't spoken here"


class Uploads:
    """Answers to whoever writes; mixed into those of the stand-in. A token has to be among the stand-in's."""

    def written(self, path: str) -> bool:
        """Answer a request that writes; tell whether it was one."""
        if self.command not in ("POST", "PUT", "DELETE") and path != "/api/whoami-v2":
            return False
        if path.startswith("/sent/"):  # its address is the permission, as of a signed one
            self.sent(path.removeprefix("/sent/"))
            return True
        answers = {"/api/repos/create": self.created, "/api/validate-yaml": self.valid, "/api/whoami-v2": self.who}
        found = WRITTEN.fullmatch(path) or BATCH.fullmatch(path)
        if found is None and path not in answers:
            return False
        if (self.headers.get("Authorization") or "").removeprefix("Bearer ") not in self.hub.tokens:
            self.refused(401, None, "Invalid username or password.")
        elif found is None:
            answers[path]()
        else:
            self.changed(**found.groupdict())
        return True

    def who(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.said({"type": "user", "name": token.removeprefix("hf_"), "orgs": [], "auth": {"type": "access_token"}})

    def created(self) -> None:
        asked = json.loads(self.body)
        name, kind = f"{asked['organization']}/{asked['name']}", asked.get("type") or "model"
        url = f"{self.hub.address}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if (kind, name) in self.hub.repositories:
            return self.said({"error": "You already created this repo", "url": url}, status=409)
        access = "private" if asked.get("visibility") == "private" or asked.get("private") else "open"
        self.hub.repository(name, kind, access).commit(
            {".gitattributes": b"*.safetensors filter=lfs\n"}, message="initial"
        )
        return self.said({"url": url, "name": name})

    def valid(self) -> None:
        """Say whether a card's header is one: a block between lines of three dashes."""
        card = json.loads(self.body)["content"]
        if card.startswith("---\n") and "\n---" not in card[4:]:
            return self.said({"errors": [{"message": "the header doesn't end"}], "warnings": []}, status=400)
        return self.said({"errors": [], "warnings": []})

    def changed(self, name: str, kind: str = "model", what: str | None = None, rest: str = "", data: str | None = None):
        repository = self.hub.repositories.get(("dataset" if data else kind, name))
        if repository is None:
            return self.refused(404, "RepoNotFound", "Repository not found")
        return {
            None: self.batch,
            "preupload": self.preupload,
            "commit": self.commit,
            "branch": self.branch,
            "tag": self.tag,
        }[what](repository, unquote(rest))

    def preupload(self, repository: Repository, revision: str) -> None:
        commit = repository.resolved(revision)
        if commit is None:
            return self.refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        modes = [
            {
                "path": asked["path"],
                "uploadMode": "lfs" if asked["path"].endswith(LFS_SUFFIXES) else "regular",
                "shouldIgnore": False,
                "oid": commit.files[asked["path"]].etag if asked["path"] in commit.files else None,
            }
            for asked in json.loads(self.body)["files"]
        ]
        return self.said({"files": modes})

    def batch(self, repository: Repository, _revision: str) -> None:
        objects = []
        for asked in json.loads(self.body)["objects"]:
            answer = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.hub.stored and self.hub.large(asked["oid"]) is None:
                answer["actions"] = {"upload": {"href": f"{self.hub.address}/sent/{asked['oid']}", "header": {}}}
            objects.append(answer)
        return self.said({"transfer": "basic", "objects": objects})

    def sent(self, sha256: str) -> None:
        """Keep a large file, if it is what its address says."""
        if hashlib.sha256(self.body).hexdigest() != sha256:
            return self.refused(400, None, "the content isn't that of its address")
        self.hub.stored[sha256] = self.body
        return self.said({})

    def commit(self, repository: Repository, branch: str) -> None:
        if "create_pr" in urlsplit(self.path).query:
            return self.refused(400, None, UNCHANGED)
        before = repository.resolved(branch)
        if before is None:
            return self.refused(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        header, files = {}, dict(before.files)
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                header = value
            elif line["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), large=False)
            elif line["key"] == "lfsFile":
                body = self.hub.stored.get(value["oid"]) or getattr(self.hub.large(value["oid"]), "body", None)
                if body is None:
                    return self.refused(400, None, f"{value['path']}: no large file {value['oid']} was sent")
                files[value["path"]] = File(body, large=True)
            elif line["key"] in ("deletedFile", "deletedFolder"):
                gone = value["path"].rstrip("/")
                files = {path: file for path, file in files.items() if path != gone and not path.startswith(f"{gone}/")}
        if header.get("parentCommit") not in (None, before.sha):
            return self.refused(412, None, "A commit has happened since. Please refresh and try again.")
        sha = repository.put(dict(sorted(files.items())), branch, header.get("summary", ""))
        return self.said(
            {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.address}/{repository.name}/commit/{sha}"}
        )

    def branch(self, repository: Repository, name: str) -> None:
        if name in repository.branches:
            return self.refused(409, None, "Reference already exists")
        repository.branches[name] = repository.resolved(
            json.loads(self.body or b"{}").get("startingPoint") or "main"
        ).sha
        return self.said({})

    def tag(self, repository: Repository, revision: str) -> None:
        name = json.loads(self.body)["tag"]
        if name in repository.tags:
            return self.refused(409, None, "Tag reference exists already")
        repository.tag(name, revision)
        return self.said({})
