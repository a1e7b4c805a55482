"""The page of metrics of a node, read with Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from imagestore_sim.testing import Client

PREFIX = "imagestore_sim_"


class Scrape:
    """The parsed metrics of a node."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(self, name: str, /, **labels: str) -> float | None:
        """Return the value of the sample with that name and exactly those labels, None if there is none."""
        samples = (sample for family in self.families.values() for sample in family.samples)
        found = [one.value for one in samples if (one.name, one.labels) == (PREFIX + name, labels)]
        assert len(found) <= 1
        return found[0] if found else None


async def scrape(client: Client) -> Scrape:
    answer = await client.request("GET", f"{client.url}/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.text)
