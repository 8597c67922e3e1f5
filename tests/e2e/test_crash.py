# SPDX-License-Identifier: Apache-2.0
"""Crash evidence: from a panic on a board to a core dump in the operator's hands."""

import hashlib
import json
import struct
import time

from conftest import wait_for
from test_device_api import api  # noqa: F401 (a fixture)
from test_rollout import fleet  # noqa: F401 (a fixture)

COREDUMP_AT = 0x391000  # of the production table
SECTOR = 4096


def crashes(fleet):
    return fleet.kedge("crash", "list", "--limit", "100")["crashes"]


def complete(fleet, version, count):
    """The crashes of that version once so many are there with their dumps."""

    def all_there():
        found = [c for c in crashes(fleet) if c["version"] == version]
        return len(found) == count and all(c["dump"] == "complete" for c in found) and found

    return wait_for(f"{count} dumps of {version}", all_there)


def fetch(fleet, crash):
    path = fleet.scratch / f"{crash['device_id']}-{crash['version']}.core"
    got = fleet.kedge("crash", "get", crash["device_id"], crash["sha256"][:10], "--out", path)
    assert got["file"] == str(path)
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_bytes()


def canaries(fleet, version, *behaviour):
    """Roll a bad release out; the devices that got it."""
    fleet.release(version, *behaviour)
    show = fleet.ended(fleet.roll_out(version))
    assert show["state"] == "halted", show
    exposed = [m["device"] for m in show["members"] if m["downloads"] > 0]
    assert 1 <= len(exposed) <= 2
    return exposed


def boots_of(fleet, device):
    return next(b for b in fleet.boards() if b["id"] == device)["boots"]


def test_the_dumps_of_a_bad_release_arrive_once_and_say_which_it_was(fleet):  # noqa: F811
    panicked = canaries(fleet, "1.1.0", "panic_at_boot_ms=100")
    found = complete(fleet, "1.1.0", len(panicked))
    assert {c["device_id"] for c in found} == set(panicked)
    dumps = {}
    for crash in found:
        assert crash["version_from"] == "release"
        assert crash["reporter"] == "1.0.0"  # rolled back, and told what the other one did
        assert crash["reset_reason"] == "panic"
        assert crash["task"] == "main"
        dump = dumps[crash["device_id"]] = fetch(fleet, crash)
        assert len(dump) == crash["size"] > SECTOR
        assert hashlib.sha256(dump).hexdigest() == crash["sha256"]
        length, _, pc = struct.unpack_from("<III", dump)
        assert length == len(dump)
        assert hashlib.sha256(dump[:-32]).digest() == dump[-32:]  # as the panic handler left it
        assert crash["pc"] == f"0x{pc:08x}" == "0x" + crash["backtrace"].split()[0]

    # a watchdog leaves one too, in the same place
    hung = canaries(fleet, "1.2.0", "hang_at_ms=100")
    for crash in complete(fleet, "1.2.0", len(hung)):
        assert crash["reset_reason"] == "task_wdt"
        dumps[crash["device_id"]] = fetch(fleet, crash)

    # restarts do not send anything again
    for device in set(panicked + hung):
        boots = boots_of(fleet, device)
        fleet.sim("cut", device)
        wait_for(f"{device} restarts", lambda: boots_of(fleet, device) > boots)
    wait_for("all back", lambda: fleet.all_on("1.0.0"))
    time.sleep(2)
    assert len(crashes(fleet)) == len(panicked) + len(hung)
    assert fleet.kedge("status")["crashes"] == len(panicked) + len(hung)
    actions = [row["action"] for row in fleet.audit()]
    assert actions.count("crash") == actions.count("crash.dump") == len(panicked) + len(hung)
    row = next(row for row in fleet.audit() if row["action"] == "crash")
    assert row["actor"] == row["subject"] == panicked[0] or row["subject"] in panicked
    assert row["detail"]["version"] == "1.1.0" and row["detail"]["reset_reason"] == "panic"

    # erased on the device: the first sector, which makes it none; the rest lies there as sent
    assert fleet.program.stop() == 0
    for device, dump in dumps.items():
        flash = (fleet.scratch / "flash" / f"{device}.bin").read_bytes()
        left = flash[COREDUMP_AT:COREDUMP_AT + len(dump)]
        assert left[:SECTOR] == b"\xff" * SECTOR
        assert left[SECTOR:] == dump[SECTOR:]


def kill_at_part(fleet, seconds):
    """Kill and restart kedged as soon as a dump is there in part."""
    end = time.monotonic() + seconds
    while next((fleet.data.path / "crashes").glob("*/*.part"), None) is None:
        if time.monotonic() > end:
            return 0
    fleet.kedged.kill()
    time.sleep(0.2)
    fleet.kedged.start(fleet.data.device_port, fleet.data.admin_port)
    return 1


def test_kill_9_while_dumps_arrive_costs_none(fleet):  # noqa: F811
    kills = 0
    for version in (f"1.1.{i}" for i in range(5)):
        fleet.release(version, "panic_at_boot_ms=100")
        number = fleet.roll_out(version)
        for _ in range(60):  # the dumps come when they come
            kills += kill_at_part(fleet, 1)
            show = fleet.show(number)
            exposed = [m for m in show["members"] if m["downloads"] > 0]
            found = [c for c in crashes(fleet) if c["version"] == version]
            if show["state"] == "halted" and len(found) == len(exposed):
                break
        for crash in complete(fleet, version, len(exposed)):
            assert hashlib.sha256(fetch(fleet, crash)).hexdigest() == crash["sha256"]
        if kills > 0:
            break
    assert kills > 0  # else no part was ever seen, in five releases
    assert not list((fleet.data.path / "crashes").glob("*/*.part"))
    actions = [row["action"] for row in fleet.audit()]
    assert actions.count("crash") == actions.count("crash.dump") == len(crashes(fleet))


# --- a client of its own, such as an attacker has ---------------------------------------------


class Dump:
    def __init__(self, size=10000):
        self.bytes = bytes((i * 7 + i // 251) % 256 for i in range(size))
        self.sha256 = hashlib.sha256(self.bytes).hexdigest()

    def announce(self, api, device="plain-1", **changes):  # noqa: F811
        body = {"size": len(self.bytes), "sha256": self.sha256, "reset_reason": "panic",
                "firmware": "1.0.0", **changes}
        return api("/crash", "-d", json.dumps(body), device=device)

    def send(self, api, first, last, device="plain-1", total=None, data=None):  # noqa: F811
        data = self.bytes[first:last + 1] if data is None else data
        path = api.pki.parent / "piece"
        path.write_bytes(data)
        return api("/crash/dump", "-H", "Content-Type: application/octet-stream",
                   "-H", f"X-Crash-SHA256: {self.sha256}",
                   "-H", f"Content-Range: bytes {first}-{last}/{total or len(self.bytes)}",
                   "--data-binary", f"@{path}", device=device)


def test_an_upload_goes_on_after_kill_9(api, kedged, data_dir):  # noqa: F811
    dump = Dump()
    status, headers, _ = dump.announce(api)
    assert (status, headers["x-crash-offset"]) == (201, "0")
    status, headers, _ = dump.send(api, 0, 4095)
    assert (status, headers["x-crash-offset"]) == (200, "4096")
    kedged.kill()
    kedged.start(data_dir.device_port, data_dir.admin_port)

    status, headers, _ = dump.announce(api)
    assert (status, headers["x-crash-offset"]) == (200, "4096")
    status, headers, _ = dump.send(api, 0, 4095)  # its answer was lost: said again
    assert (status, headers["x-crash-offset"]) == (409, "4096")
    dump.send(api, 4096, 8191)
    status, headers, body = dump.send(api, 8192, 9999)
    assert (status, headers["x-crash-offset"]) == (200, "10000")
    assert json.loads(body) == {"offset": 10000}
    out = data_dir.path / "core"
    crash = api.kedge("crash", "get", "plain-1", dump.sha256[:8], "--out", out)
    assert out.read_bytes() == dump.bytes
    assert crash["version_from"] == "reporter"


def test_nobody_appends_to_another_device_s_dump(api, data_dir):  # noqa: F811
    dump = Dump()
    dump.announce(api)
    status, _, body = dump.send(api, 0, 4095, device="plain-2")
    assert status == 404 and b"announce" in body
    assert api("/crash", "-d", "{}", "-H", "X-Device-ID: plain-1", device="plain-2")[0] == 403
    api.kedge("device", "revoke", "plain-3")
    assert dump.announce(api, device="plain-3")[0] == 403
    # the same dump announced by another device is that device's own
    assert dump.announce(api, device="plain-2")[0] == 201
    dump.send(api, 0, 99, device="plain-2")
    _, headers, _ = dump.announce(api)
    assert headers["x-crash-offset"] == "0"


def test_limits_are_refused(api, data_dir):  # noqa: F811
    dump = Dump()
    status, headers, _ = dump.announce(api, size=1024 * 1024 + 1)
    assert status == 413 and "x-crash-offset" not in headers
    assert dump.announce(api, task="x" * 17)[0] == 400
    assert dump.announce(api, elf_sha256="../../x")[0] == 400
    assert dump.announce(api)[0] == 201
    assert dump.send(api, 0, 20000, total=20001, data=b"x" * 20001)[0] == 413
    assert dump.send(api, 0, 99999, total=100000, data=b"x" * 100000)[0] == 413
    assert dump.send(api, 9990, 10009, total=10010, data=b"x" * 20)[0] == 400
    assert dump.send(api, 5, 4)[0] == 400
    # what does not have the hash is dropped, and begins again
    dump.send(api, 0, 4095, data=b"x" * 4096)
    dump.send(api, 4096, 8191)
    status, headers, _ = dump.send(api, 8192, 9999)
    assert (status, headers["x-crash-offset"]) == (409, "0")
    assert not list((data_dir.path / "crashes").glob("*/*"))


def test_the_cli_says_what_is_wrong_and_what_to_do_next(api, kedge, data_dir):  # noqa: F811
    dump = Dump()
    run = lambda *args: kedge(*args, data=data_dir.path)  # noqa: E731
    assert "no crashes" in run("crash", "list").stdout
    dump.announce(api, elf_sha256="abcdef012", task="main", pc="400d1a2c")
    listed = run("crash", "list", "--device", "plain-1").stdout
    assert "partial" in listed and "0x400d1a2c" in listed and dump.sha256[:12] in listed
    assert run("crash", "list", "--device", "nobody").returncode == 3
    assert run("crash", "get", "plain-1", "abc").returncode == 2
    assert run("crash", "get", "plain-1", "zzzz").returncode == 3
    done = run("crash", "get", "plain-1", dump.sha256)
    assert done.returncode == 3 and "partial" in done.stderr
    dump.send(api, 0, 9999)
    done = run("crash", "get", "plain-1", dump.sha256[:4])
    assert done.returncode == 0, done.stderr
    name = f"plain-1-{dump.sha256[:12]}.coredump"
    assert f"idf.py coredump-info -c {name}" in done.stdout
    assert f"esp-coredump info_corefile --core {name} --core-format raw build/app.elf" in done.stdout
    assert "abcdef012" in done.stdout
