"""The state of a search as its file holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imagestore_sim.explore.folder import FolderProblem, damaged, write_whole
from imagestore_sim.validation_errors import first_problem
from imagestore_sim.whole_files import read_bytes

Number = Annotated[int, Field(ge=0, le=2**63)]


class SavedBranches(BaseModel):
    """Which branches searches have taken (`branches.Branches.state`)."""

    model_config = ConfigDict(frozen=True, strict=True)

    by: str
    sources: dict[str, str]


class SavedSearch(BaseModel):
    """What a search resumes from."""

    model_config = ConfigDict(frozen=True)

    next: Number = 0
    """The seed from which a search of all stories goes on."""
    next_of: dict[str, Number] = {}
    """Those of searches of some stories, by the word for these."""
    covered: list[tuple[str, str]] = []
    """What was met: its kind, and which."""
    told: dict[str, str] = {}
    """The names of findings by what they show; '' for another one's."""
    branches: SavedBranches | None = None

    @classmethod
    def read(cls, file: Path) -> SavedSearch:
        """Return what a file holds; what a first search begins with if there is none. Raise FolderProblem."""
        try:
            if file.is_fifo():
                raise damaged(file, "is a pipe")
            return cls.model_validate_json(read_bytes(file))
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise FolderProblem(f"{file}: {error.strerror}") from None
        except ValidationError as error:
            first = first_problem(error)
            raise damaged(file, f"{first.field}: {first.text}" if first.place else first.text) from None

    def write(self, file: Path) -> None:
        """Write it. Raise FolderProblem."""
        write_whole(file, self.model_dump_json(indent=2, exclude_none=True).encode())
