"""How do I test my client with unittest: an outage, a lost answer, and eight hours, in about a second?

python examples/outage_with_unittest.py
"""

import json
import unittest
import urllib.error
import urllib.request

from imagestore_sim.testing import Lab


def storages(url, session):
    """Stands for your own client: the status of each storage."""
    headers = {"Authorization": f"OAuth {session}"}
    request = urllib.request.Request(f"{url}/zstack/v1/backup-storage?fields=name,status", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return {one["name"]: one["status"] for one in json.load(answer)["inventories"]}


class MyClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(hosts=1, clock="paused", ping_interval=300))

    def setUp(self):
        self.session = self.lab.log_in()

    def tearDown(self):
        self.lab.reset()

    def test_it_sees_an_outage(self):
        host = self.lab.host("imagestore-1")
        host.stop()
        self.lab.wait_for_status("imagestore-1", "Disconnected", within="15m")
        self.assertEqual({"imagestore-1": "Disconnected"}, storages(self.lab.url, self.session))
        host.start()
        self.lab.wait_for_status("imagestore-1", "Connected", within="15m")

    def test_it_does_not_get_an_answer(self):
        lost = self.lab.break_node("answer_lost", when={"api": "QueryBackupStorage", "first": 1})
        with self.assertRaises(OSError):
            storages(self.lab.url, self.session)
        self.assertEqual(1, lost.hits)
        self.assertEqual({"imagestore-1": "Connected"}, storages(self.lab.url, self.session))
        self.lab.assert_requested({"api": "QueryBackupStorage"}, times=2)

    def test_its_session_runs_out_in_eight_hours(self):
        self.lab.clock.step("8h")
        with self.assertRaises(urllib.error.HTTPError):
            storages(self.lab.url, self.session)


if __name__ == "__main__":
    unittest.main()
