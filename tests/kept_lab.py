"""A lab that the tests of a module share: a reset before each takes less than half the time of a start."""

from __future__ import annotations

from typing import Any

import pytest

from imagestore_sim.clock import Clock
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client


class KeptLab:
    """Keeps at most one running lab, on the event loop that the tests of a module share."""

    def __init__(self, clock: Clock | None) -> None:
        """`clock` is that of an event loop in virtual time; None on one in real time."""
        self._clock = clock
        self._lab: Lab | None = None

    async def lab(self, settings: Settings) -> Lab:
        """Return a lab as it is at its start: the kept one, reset, if only its database is not that of the settings.

        A reset when the next test needs it spares those after which no test, or one with other settings, follows.
        """
        kept = self._lab
        if kept is not None and kept.settings == settings.model_copy(update={"database": kept.settings.database}):
            await self._reset(kept)
            return kept
        await self.stop()
        lab = Lab(settings, clock=self._clock)
        await lab.start()
        self._lab = lab
        return lab

    async def _reset(self, lab: Lab) -> None:
        """Bring the lab back to its start; stop it if that fails."""
        try:
            await lab.node.changes.reset(wait=True)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the lab; the next test gets another."""
        lab, self._lab = self._lab, None
        if lab is not None:
            await lab.stop()


def reset_fixtures() -> tuple[Any, Any]:
    """Return `imagestore_lab` and `imagestore_client` for a module whose tests share a lab, reset before each."""

    @pytest.fixture
    def imagestore_lab(reset_lab: Lab) -> Lab:
        return reset_lab

    @pytest.fixture
    def imagestore_client(reset_client: Client) -> Client:
        return reset_client

    return imagestore_lab, imagestore_client
