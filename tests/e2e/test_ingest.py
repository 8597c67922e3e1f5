# SPDX-License-Identifier: Apache-2.0
"""Telemetry from a device's certificate through a real Mosquitto into kedged and out of `kedge`."""

import json
import subprocess
import time

import pytest

from conftest import Program


def wait_for(what, condition, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Link:
    """dev-1 and dev-2 at the broker, and kedged behind it."""

    def __init__(self, data_dir, kedge, kedged):
        self.data, self.run_kedge, self.kedged = data_dir, kedge, kedged

    def kedge(self, *args):
        done = self.run_kedge(*args, "--json", data=self.data.path)
        assert done.returncode == 0, done.stderr
        return done.json

    def client(self, program, device, *options):
        pki = self.data.path / "pki"
        return [program, "-h", "127.0.0.1", "-p", str(self.data.broker_port), "-q", "1",
                "--cafile", pki / "ca.crt", "--cert", pki / f"devices/{device}.crt",
                "--key", pki / f"devices/{device}.key", *options]

    def publish(self, device, topic, payload, *options):
        subprocess.run(self.client("mosquitto_pub", device, "-t", topic, "-s", *options),
                       input=payload.encode(), check=True, timeout=20)

    def ingest(self):
        return self.kedge("status")["ingest"]

    def restart_kedged(self):
        self.kedged.start(self.data.device_port, self.data.admin_port)

    def wait_until_connected(self):
        wait_for("kedged is at the broker", lambda: self.ingest()["connected"])


@pytest.fixture
def link(data_dir, kedge, mosquitto, kedged):
    link = Link(data_dir, kedge, kedged)
    link.kedge("device", "add", "dev-1", "dev-2", "--chip", "esp32")
    link.wait_until_connected()
    return link


def message(seq, device="dev-1", **more):
    return json.dumps({"device_id": device, "firmware": "1.0.0", "uptime": 60, "free_heap": 81920,
                       "rssi": -61, "reset_reason": "panic", "boot_id": 7, "seq": seq, **more})


def test_good_telemetry_is_stored_and_shown(link, kedge):
    empty = kedge("telemetry", "dev-1", data=link.data.path)
    assert empty.returncode == 0 and "no telemetry" in empty.stdout
    for seq in (1, 2, 3):
        link.publish("dev-1", "devices/dev-1/telemetry",
                     message(seq, uptime=seq * 60, ts=int(time.time()) - 10 + seq))
    wait_for("3 are stored", lambda: link.ingest()["stored"] == 3)

    rows = link.kedge("telemetry", "dev-1")["telemetry"]
    assert [row["seq"] for row in rows] == [3, 2, 1]  # newest first
    assert [row["uptime_s"] for row in rows] == [180, 120, 60]
    assert {(r["firmware"], r["free_heap"], r["rssi"], r["reset_reason"]) for r in rows} == {
        ("1.0.0", 81920, -61, "panic")}
    assert [r["seq"] for r in link.kedge("telemetry", "dev-1", "--limit", "1")["telemetry"]] == [3]
    assert link.kedge("telemetry", "dev-2")["telemetry"] == []

    text = kedge("telemetry", "dev-1", "--limit", "2", data=link.data.path).stdout.splitlines()
    assert [" ".join(line.split()) for line in text[:1]] == [
        "TIME FIRMWARE UPTIME (S) FREE HEAP RSSI (DBM) RESET"]
    assert len(text) == 3
    assert text[1].split()[2:] == ["1.0.0", "180", "80.0", "KiB", "-61", "panic"]
    shown = link.kedge("device", "show", "dev-1")
    assert shown["telemetry"]["free_heap"] == 81920
