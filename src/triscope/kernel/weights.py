"""Official weight files of others: where they are from, their licence, and where they are kept.

Nothing is ever downloaded here. Files are looked for in the folder that the environment variable
``TRISCOPE_WEIGHTS`` names (default ``~/.cache/triscope/weights``); an error names the file, the
place and the command that fetches it.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from triscope.errors import WeightsMismatch, WeightsMissing

VARIABLE = "TRISCOPE_WEIGHTS"
_FOLLOW: ContextVar[bool] = ContextVar("weights_follow", default=False)


@dataclass(frozen=True)
class Official:
    """One file as its authors published it."""

    name: str  # the model that reads it
    file: str  # file name in the weights folder
    licence: str  # of the weights, as far as their authors state one
    source: str  # address of the file, or of the page that tells how to get it
    sha256: str | None = None  # of the file; None: not known here, so it is not checked
    direct: bool = True  # whether the source is the file itself

    @property
    def command(self) -> str:
        """What fetches the file."""
        if self.direct:
            return f"curl -L --create-dirs -o '{folder() / self.file}' {self.source}"
        return f"see {self.source}, then put the file at {folder() / self.file}"


_SAM = "https://dl.fbaipublicfiles.com/segment_anything/"
_TORCH = "https://download.pytorch.org/models/"

KNOWN: tuple[Official, ...] = (
    Official(
        "sam_vit_b",
        "sam_vit_b_01ec64.pth",
        "Apache-2.0",
        f"{_SAM}sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    Official(
        "sam_vit_l",
        "sam_vit_l_0b3195.pth",
        "Apache-2.0",
        f"{_SAM}sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    Official(
        "sam_vit_h",
        "sam_vit_h_4b8939.pth",
        "Apache-2.0",
        f"{_SAM}sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    Official(
        "raft_small",
        "raft_small_C_T_V2-01064c6d.pth",
        "BSD-3-Clause",
        f"{_TORCH}raft_small_C_T_V2-01064c6d.pth",
    ),
    Official(
        "rmvsnet",
        "RMVSNet-pretrained.pth",
        "MIT",
        "https://github.com/leejaeyong7/RMVSNet-Pytorch",
        "544dca49d1ebc560615e2ea0ac6ef0101ab7489c46e92e4a3b591155f4eec331",
        direct=False,
    ),
    Official(
        "aa_rmvsnet",
        "model_dtu_v2.ckpt",
        "MIT",
        "https://github.com/QT-Zhu/AA-RMVSNet/raw/main/checkpoints/model_dtu_v2.ckpt",
        "4232dd8e405f9eb73bb869fb9cd4668a25454c5221e2a5b6a3b155de5853c8fc",
    ),
    Official(
        "aa_rmvsnet_blended",
        "model_blended_v2.ckpt",
        "MIT",
        "https://github.com/QT-Zhu/AA-RMVSNet/raw/main/checkpoints/model_blended_v2.ckpt",
        "650340b20396f1e6fe3196bad23e3d32800eb864a037d76cc5b1f9415a86b2f9",
    ),
    Official(
        "patchmatchnet",
        "params_000007.ckpt",
        "MIT",
        "https://github.com/FangjinhuaWang/PatchmatchNet/raw/main/checkpoints/params_000007.ckpt",
        "477b056c62355d82649cdd00a01086a34183ac11f2ce0ddabbf84efb0248d8d4",
    ),
)


def folder() -> Path:
    """Where weights are looked for."""
    named = os.environ.get(VARIABLE, "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "triscope" / "weights"


@contextmanager
def to_follow() -> Iterator[None]:
    """Inside, models are built without the files that they once began from.

    A check holds all weights of its model; the files may be on another machine:
    ``with to_follow(): model = PatchCore(settings)``, then ``model.restore(weights)``.
    """
    token = _FOLLOW.set(True)
    try:
        yield
    finally:
        _FOLLOW.reset(token)


def follow() -> bool:
    """Whether weights are put into what is built now, so that no file of them is to be read."""
    return _FOLLOW.get()


def found(file: str) -> Path | None:
    """The path of a file in the weights folder, or None."""
    path = folder() / file
    return path if path.is_file() else None


def has(name: str) -> bool:
    """Whether the official file of that name is on this machine."""
    return any(entry.name == name and found(entry.file) is not None for entry in KNOWN)


def official(name: str) -> Official:
    """The entry of that name; raises WeightsMissing with a suggestion."""
    table = {entry.name: entry for entry in KNOWN}
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise WeightsMissing(
        f"no official weights known for {name!r}.{hint} Known: {', '.join(table)}."
    )


def locate(name: str, *, check: bool = True) -> Path:
    """The official file of that name on this machine, its hash checked where it is known."""
    entry = official(name)
    path = found(entry.file)
    if path is None:
        raise WeightsMissing(
            f"{entry.file} (weights of {name!r}, {entry.licence}) is not in {folder()}. "
            f"Fetch it: {entry.command}  Another folder: set {VARIABLE}."
        )
    if check and entry.sha256 is not None and (given := sha256(path)) != entry.sha256:
        raise WeightsMismatch(
            f"{path} has the SHA-256 {given}, but the official file has {entry.sha256}. "
            f"It is damaged or another file. Fetch it again with: {entry.command}"
        )
    return path


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
