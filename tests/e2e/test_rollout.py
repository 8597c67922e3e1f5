# SPDX-License-Identifier: Apache-2.0
"""Whole rollouts: kedged, Mosquitto and virtual boards, all real, over TLS."""

import json
import subprocess
import time

import pytest

from conftest import BIN, Program, wait_for

PROJECT = "e2e"
COUNT = 10


class Fleet:
    """COUNT virtual boards on release 1.0.0, registered and known to the server."""

    def __init__(self, scratch, data_dir, kedge, kedged):
        self.scratch, self.data, self.run_kedge, self.kedged = scratch, data_dir, kedge, kedged
        self.control = scratch / "sim.sock"

    def kedge(self, *args):
        done = self.run_kedge(*args, "--json", data=self.data.path)
        assert done.returncode == 0, done.stderr
        return done.json

    def sim(self, *args):
        done = subprocess.run(
            [BIN / "kedge-sim", "ctl", self.control, *args], capture_output=True, text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def image(self, version, *behaviour, chip="esp32", size=100 * 1024):
        path = self.scratch / f"{version}-{chip}.bin"
        options = [word for item in behaviour for word in ("--behaviour", item)]
        subprocess.run(
            [BIN / "kedge-sim", "image", "--version", version, "--chip", chip, "--project",
             PROJECT, "--size", str(size), "--out", path, *options], check=True, timeout=60,
        )
        return path

    def release(self, version, *behaviour, **kwargs):
        return self.kedge("release", "add", self.image(version, *behaviour, **kwargs))

    def start(self):
        self.kedge("device", "add", *(f"demo-{i:03d}" for i in range(1, COUNT + 1)),
                   "--chip", "esp32")
        self.program = Program(
            "kedge-sim",
            [BIN / "kedge-sim", "run",
             "--server", f"https://127.0.0.1:{self.data.device_port}",
             "--broker", f"127.0.0.1:{self.data.broker_port}",
             "--pki", self.data.path / "pki", "--prefix", "demo-", "--count", str(COUNT),
             "--image", self.image("1.0.0"), "--flash-dir", self.scratch / "flash",
             "--seed", "7", "--control", self.control,
             "--poll-interval", "500ms", "--telemetry-interval", "2s",
             "--trial-deadline", "6s", "--trial-soak", "500ms", "--verdict-deadline", "20s",
             "--backoff-base", "100ms", "--backoff-cap", "1s"],
            self.scratch,
        )
        self.program.start()
        self.release("1.0.0")
        wait_for("all boards on 1.0.0", lambda: self.all_on("1.0.0"))

    def boards(self):
        return self.sim("status")["boards"]

    def all_on(self, version):
        boards = [b for b in self.boards() if b["version"] == version and b["state"] == "idle"]
        heard = [d for d in self.kedge("device", "list")["devices"] if d["version"] == version]
        return len(boards) == COUNT and len(heard) == COUNT

    def roll_out(self, version, *args):
        rollout = self.kedge("rollout", "create", version, "--stages", "20,100", "--soak", "500ms",
                             "--silence", "60s", *args)
        return str(rollout["id"])

    def show(self, number):
        return self.kedge("rollout", "show", number)

    def ended(self, number, seconds=90):
        return wait_for("the rollout ends",
                        lambda: (s := self.show(number))["state"] != "running" and s, seconds)

    def audit(self):
        rows, after = [], 0
        while True:
            page = self.kedge("audit", "--since-id", str(after), "--limit", "500")["audit"]
            if not page:
                return rows
            rows += page
            after = max(row["id"] for row in page)


@pytest.fixture
def fleet(scratch, data_dir, kedge, mosquitto, kedged):
    with open(data_dir.path / "kedged.conf", "a", encoding="ascii") as conf:
        conf.write("\npoll-interval = 1s\n")
    kedged.stop()
    kedged.start(data_dir.device_port, data_dir.admin_port)
    fleet = Fleet(scratch, data_dir, kedge, kedged)
    fleet.start()
    yield fleet
    assert fleet.program.stop() == 0, fleet.program.text()[-4000:]
    assert "Sanitizer" not in fleet.program.text(), fleet.program.text()[-4000:]
    assert "runtime error" not in fleet.program.text(), fleet.program.text()[-4000:]


def test_a_good_release_reaches_all_and_a_bad_one_only_the_canary(fleet):
    fleet.release("1.1.0")
    show = fleet.ended(fleet.roll_out("1.1.0"))
    assert show["state"] == "complete"
    assert [m["state"] for m in show["members"]] == ["updated"] * COUNT
    assert [m["downloads"] for m in show["members"]] == [1] * COUNT
    wait_for("all on 1.1.0", lambda: fleet.all_on("1.1.0"))

    fleet.release("1.2.0", "panic_at_boot_ms=100")
    show = fleet.ended(fleet.roll_out("1.2.0"))
    assert show["state"] == "halted"
    exposed = [m for m in show["members"] if m["downloads"] > 0]
    assert 1 <= len(exposed) <= 2
    assert all(m["stage"] == 0 for m in exposed)
    wait_for("all back on 1.1.0", lambda: fleet.all_on("1.1.0"))
    number = str(show["id"])
    wait_for("all exposed reported",
             lambda: fleet.show(number)["counts"]["failed"] == len(exposed))
    assert {m["cause"] for m in fleet.show(number)["members"] if m["state"] == "failed"} == {
        "panic"}
    assert not any(b["bricked"] for b in fleet.boards())
    # and the failed devices do not download it again
    before = fleet.show(number)["bytes_sent"]
    time.sleep(3)
    assert fleet.show(number)["bytes_sent"] == before


def test_kill_9_in_the_middle_loses_nothing_and_updates_nobody_twice(fleet):
    fleet.release("1.1.0")
    number = fleet.roll_out("1.1.0", "--pace", "2")
    for kill_at in (1, 4, 7):
        wait_for(f"{kill_at} updated",
                 lambda: fleet.show(number)["counts"]["updated"] >= kill_at)
        fleet.kedged.kill()
        time.sleep(0.5)
        fleet.kedged.start(fleet.data.device_port, fleet.data.admin_port)
    show = fleet.ended(number, 120)
    assert show["state"] == "complete"
    assert show["counts"]["updated"] == COUNT
    wait_for("all on 1.1.0", lambda: fleet.all_on("1.1.0"))

    # Nobody was updated twice: one switch to the new image each, and one report of each kind.
    for board in fleet.boards():
        assert board["boots"] == 2, board
    rows = fleet.audit()
    assert [row["id"] for row in rows] == list(range(rows[0]["id"], rows[0]["id"] + len(rows)))
    for i in range(1, COUNT + 1):
        mine = [row for row in rows if row["subject"] == f"demo-{i:03d}" or
                row["actor"] == f"demo-{i:03d}"]
        text = json.dumps(mine)
        assert text.count('"committed"') == 1, text
        assert text.count('"verified"') == 1, text


def test_power_cuts_during_a_rollout_stop_nobody(fleet):
    fleet.release("1.1.0")
    number = fleet.roll_out("1.1.0")
    for i in range(1, COUNT + 1):
        fleet.sim("cut-at-op", f"demo-{i:03d}", str(3 + 9 * i))
    show = fleet.ended(number, 120)
    assert show["state"] == "complete", show
    wait_for("all on 1.1.0", lambda: fleet.all_on("1.1.0"))
    boards = fleet.boards()
    assert not any(b["bricked"] for b in boards)
    assert sum(b["resets"]["poweron"] for b in boards) > COUNT  # some cuts did strike


def test_a_device_that_goes_silent_halts_the_rollout(fleet):
    fleet.release("1.1.0", size=600 * 1024)
    rollout = fleet.kedge("rollout", "create", "1.1.0", "--stages", "10,100", "--soak", "500ms",
                          "--silence", "4s")
    number = str(rollout["id"])
    victim = wait_for(
        "a device is offered it",
        lambda: [m["device"] for m in fleet.show(number)["members"] if m["state"] != "pending"])[0]
    fleet.sim("power", victim, "off")
    show = fleet.ended(number)
    assert show["state"] == "halted"
    member = next(m for m in show["members"] if m["device"] == victim)
    assert (member["state"], member["cause"]) == ("failed", "silence")
    # it comes back, and the truth replaces the suspicion
    fleet.sim("power", victim, "on")
    wait_for("it answers again",
             lambda: next(b for b in fleet.boards() if b["id"] == victim)["state"] == "idle")
