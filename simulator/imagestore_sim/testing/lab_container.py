"""A lab in a container, by Testcontainers for Python (the extra `testcontainers`).

with LabContainer("imagestore-sim", hosts=1, clock="paused") as container:
container.lab.host("imagestore-1").stop()
container.lab.wait_for_status("imagestore-1", "Disconnected", within="2m")
"""

from __future__ import annotations

from typing import Any, Self

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy
from typing_extensions import override

from imagestore_sim.settings import REAL, token_of
from imagestore_sim.testing.blocking_lab import Lab
from imagestore_sim.testing.kit_settings import settings_of_kit
from imagestore_sim.testing.lab_command import INSIDE, PORT, TOKEN_VARIABLE, options_of

IMAGE = "imagestore-sim"


class LabContainer(DockerContainer):
    """A container of a lab's image."""

    def __init__(self, image: str = IMAGE, *, clock: str = REAL, **settings: Any) -> None:
        """Prepare one; `settings` are options of `imagestore-sim lab` (`hosts=3, seed=1`). Raise ValueError."""
        super().__init__(image)
        self._clock = clock
        self._token = settings.get("lab_token")
        self._lab: Lab | None = None
        read = settings_of_kit(clock, settings, ("image",))
        self.with_command([*INSIDE, *options_of(read)])
        self.with_exposed_ports(PORT)
        self.waiting_for(LogMessageWaitStrategy("^ready "))
        if (token := token_of(read)) is not None:
            self.with_env(TOKEN_VARIABLE, token)

    @property
    def url(self) -> str:
        """The URL of the management node, as this machine reaches it."""
        return f"http://{self.get_container_host_ip()}:{self.get_exposed_port(PORT)}"

    @property
    def lab(self) -> Lab:
        """The lab in it, with the words of the kit. Raise RuntimeError before the start."""
        if self._lab is None:
            raise RuntimeError("the container does not run: start it, or use `with`")
        return self._lab

    @override
    def start(self) -> Self:
        super().start()
        self._lab = Lab(url=self.url, clock=self._clock, lab_token=self._token).start()
        return self

    @override
    def stop(self, force: bool = True, delete_volume: bool = True) -> None:
        self._lab = None
        super().stop(force, delete_volume)
