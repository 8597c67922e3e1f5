# SPDX-License-Identifier: Apache-2.0
"""Telemetry from a device's certificate through a real Mosquitto into kedged and out of `kedge`."""

import json
import subprocess
import time

import pytest

from conftest import Program, wait_for


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
        content = ["-m", payload] if payload else ["-n"]
        subprocess.run(self.client("mosquitto_pub", device, "-t", topic, *content, *options),
                       check=True, timeout=20)

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


def test_malformed_oversized_foreign_and_repeated_messages_are_dropped_and_counted(link):
    topic = "devices/dev-1/telemetry"
    before = link.ingest()
    for payload in ("", "{", "[1,2]", "{}", message(1, uptime=-1), message(1, rssi="loud")):
        link.publish("dev-1", topic, payload)
    link.publish("dev-1", topic, message(1, note="x" * 2048))
    link.publish("dev-1", "devices/dev-1/status", "asleep")
    link.publish("dev-1", topic, message(1, device="dev-2"))
    for _ in range(3):
        link.publish("dev-1", topic, message(9))
    # The broker's ACL keeps this one: kedged must not even see it.
    link.publish("dev-1", "devices/dev-2/telemetry", message(10, device="dev-2"))
    link.publish("dev-2", "devices/dev-2/telemetry", message(11, device="dev-2"))
    wait_for("the last is stored", lambda: link.kedge("telemetry", "dev-2")["telemetry"])

    after = link.ingest()
    counted = {name: after[name] - before[name]
               for name in ("received", "acknowledged", "stored", "malformed", "foreign",
                            "duplicates")}
    assert counted == {"received": 13, "acknowledged": 13, "stored": 2, "malformed": 8,
                       "foreign": 1, "duplicates": 2}
    assert [r["seq"] for r in link.kedge("telemetry", "dev-1")["telemetry"]] == [9]
    assert [r["seq"] for r in link.kedge("telemetry", "dev-2")["telemetry"]] == [11]


def test_a_retained_status_and_a_last_will_show_in_the_device(data_dir, kedge, kedged, request,
                                                              scratch):
    """Published before kedged has ever been at the broker: only a retained message is there."""
    link = Link(data_dir, kedge, kedged)
    link.kedge("device", "add", "dev-1", "dev-2")
    kedged.stop()
    request.getfixturevalue("mosquitto")
    link.publish("dev-1", "devices/dev-1/status", "online", "-r")
    link.publish("dev-2", "devices/dev-2/status", "online", "-r")
    link.publish("dev-2", "devices/dev-2/status", "offline", "-r")
    link.restart_kedged()

    def shows(device, state):
        return link.kedge("device", "show", device)["link"] == state

    wait_for("dev-1 is online", lambda: shows("dev-1", "online"))
    wait_for("dev-2 is offline", lambda: shows("dev-2", "offline"))
    device = Program("device", link.client(
        "mosquitto_sub", "dev-1", "-d", "-t", "devices/dev-1/cmd", "--will-topic",
        "devices/dev-1/status", "--will-payload", "offline", "--will-retain"), scratch)
    device.argv[:0] = ["stdbuf", "-oL"]
    device.start()
    wait_for("it has subscribed", lambda: "SUBACK" in device.text())
    assert shows("dev-1", "online")
    device.kill()
    wait_for("the broker tells its last will", lambda: shows("dev-1", "offline"))


def test_kill_9_while_messages_arrive_loses_none(link):
    count, look_at, kill_at = 500, 150, 300
    publisher = subprocess.Popen(
        link.client("mosquitto_pub", "dev-1", "-t", "devices/dev-1/telemetry", "-l"),
        stdin=subprocess.PIPE, text=True)
    try:
        for seq in range(count):
            publisher.stdin.write(message(seq) + "\n")
            publisher.stdin.flush()
            if seq == look_at:
                wait_for("some are stored", lambda: link.ingest()["stored"] > 0)
            if seq == kill_at:
                link.kedged.kill()
            time.sleep(0.002)
        publisher.stdin.close()
        assert publisher.wait(timeout=30) == 0
    finally:
        publisher.kill()
        publisher.wait()
    link.restart_kedged()

    def stored():
        return [r["seq"] for r in link.kedge("telemetry", "dev-1", "--limit", "1000")["telemetry"]]

    wait_for("all are stored", lambda: len(stored()) >= count, 30)
    assert sorted(stored()) == list(range(count))
    assert link.ingest()["stored"] >= count - kill_at - 1  # those came to the second kedged
