"""What a stand-in of the Hub has: repositories with commits, branches and tags, and files as bytes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

LFS_SUFFIXES = (
    ".safetensors",
    ".bin",
    ".parquet",
    ".gguf",
    ".pt",
    ".npy",
    ".zst",
)  # kept as large files, as on the Hub


@dataclass(frozen=True)
class File:
    """A file's bytes and its addresses: git's for a small one, the SHA-256 for a large one (LFS)."""

    body: bytes
    large: bool

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        """What git itself keeps of a large file."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.body)}\n".encode()

    @cached_property
    def oid(self) -> str:
        """Git's address of the blob: of a large file's pointer."""
        kept = self.pointer if self.large else self.body
        return hashlib.sha1(b"blob %d\0" % len(kept) + kept).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.oid

    def entry(self, path: str, digest: str = "oid") -> dict:
        """Return the file's line of a listing; `digest` is how the listing calls the SHA-256."""
        said = {"type": "file", "path": path, "oid": self.oid, "size": len(self.body)}
        if self.large:
            said["lfs"] = {digest: self.sha256, "size": len(self.body), "pointerSize": len(self.pointer)}
        return said


@dataclass(frozen=True)
class Commit:
    """A commit: its address, its message, its parent and the files it has."""

    sha: str
    message: str
    parent: str | None
    files: Mapping[str, File]


@dataclass
class Repository:
    """A repository; `access` is who gets in without a token.

    "open": everybody. "gated": everybody sees the listing, nobody the files (401 GatedRepo). "sealed": the listing
    is refused in the same way. "private": as if it weren't there (401 RepoNotFound).
    """

    name: str
    kind: str = "model"
    access: str = "open"
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(
        self,
        files: Mapping[str, bytes],
        branch: str = "main",
        message: str = "files",
        large: tuple[str, ...] = LFS_SUFFIXES,
    ) -> str:
        """Put a branch at a new commit that has exactly these files; return the commit's sha.

        Equal files on another branch are another commit. Files whose name ends with one of `large` are LFS's.
        """
        return self.put(
            {name: File(body, name.endswith(large)) for name, body in sorted(files.items())}, branch, message
        )

    def put(self, files: Mapping[str, File], branch: str, message: str) -> str:
        parent = self.branches.get(branch)
        told = repr((self.kind, self.name, branch, message, parent, [(name, file.oid) for name, file in files.items()]))
        sha = hashlib.sha1(told.encode()).hexdigest()
        self.commits[sha] = Commit(sha, message, parent, dict(files))
        self.branches[branch] = sha
        return sha

    def tag(self, name: str, revision: str = "main") -> None:
        self.tags[name] = self.resolved(revision).sha

    def resolved(self, revision: str) -> Commit | None:
        """Return the commit that a branch, a tag or a sha is; None where there is none."""
        sha = self.branches.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(sha)

    def info(self, commit: Commit, blobs: bool) -> dict:
        """Return what the Hub says of a repository at a commit; with `blobs`, sizes and addresses of its files."""
        siblings = [{"rfilename": name} for name in commit.files]
        if blobs:
            for sibling in siblings:
                entry = commit.files[sibling["rfilename"]].entry(sibling["rfilename"], "sha256")
                sibling |= {"size": entry["size"], "blobId": entry["oid"]} | {
                    k: entry[k] for k in ("lfs",) if k in entry
                }
        said = {"id": self.name, "author": self.name.split("/")[0], "sha": commit.sha, "siblings": siblings}
        said |= {"private": self.access == "private", "disabled": False, "downloads": 0, "likes": 0, "tags": []}
        said |= {"gated": "manual" if self.access in ("gated", "sealed") else False}
        said |= {"lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z"}
        return said | ({"modelId": self.name} if self.kind == "model" else {})

    def refs(self) -> dict:
        def listed(named: Mapping[str, str], where: str) -> list[dict]:
            return [
                {"name": name, "ref": f"refs/{where}/{name}", "targetCommit": sha}
                for name, sha in sorted(named.items())
            ]

        heads = {name: sha for name, sha in self.branches.items() if not name.startswith("refs/")}
        return {"branches": listed(heads, "heads"), "tags": listed(self.tags, "tags"), "converts": []}

    def tree(self, commit: Commit, folder: str, recursive: bool) -> list[dict]:
        """Return the lines of a listing below a folder, its folders among them."""
        prefix = f"{folder}/" if folder else ""
        lines, folders = [], set()
        for path, file in commit.files.items():
            if not path.startswith(prefix):
                continue
            parts = path.removeprefix(prefix).split("/")
            folders |= {prefix + "/".join(parts[:depth]) for depth in range(1, len(parts))}
            if recursive or len(parts) == 1:
                lines.append(file.entry(path))
        shown = {each for each in folders if recursive or "/" not in each.removeprefix(prefix)}
        listed = [
            {"type": "directory", "path": each, "oid": hashlib.sha1(each.encode()).hexdigest(), "size": 0}
            for each in sorted(shown)
        ]
        return listed + lines
