# SPDX-License-Identifier: Apache-2.0
"""The verbs of kedge that talk to kedged, against the real one."""

import json
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BIN, ROOT, VECTORS

IMAGE = VECTORS / "image/esp32-1.0.0.bin"


@pytest.fixture
def online(kedge, kedged, data_dir):
    """kedge(args…) on the running kedged's data folder."""
    return lambda *args: kedge(*args, data=data_dir.path)


def curl(data_dir, device, *args):
    pki = data_dir.path / "pki"
    return subprocess.run(
        ["curl", "-sS", "--max-time", "10", "--cacert", pki / "ca.crt",
         "--cert", pki / f"devices/{device}.crt", "--key", pki / f"devices/{device}.key", *args],
        capture_output=True, text=True,
    )


def poll(data_dir, device, version, *headers):
    """One poll of the device; the HTTP status."""
    done = curl(
        data_dir, device, "-o", "/dev/null", "-w", "%{http_code}",
        "-H", f"X-Device-ID: {device}", "-H", f"X-Current-Version: {version}",
        *(word for header in headers for word in ("-H", header)),
        f"https://localhost:{data_dir.device_port}/ota/firmware.bin",
    )
    return done.stdout


def test_status_shows_that_kedged_answers(online):
    assert online("status").returncode == 0
    done = online("status", "--json")
    assert done.json["devices"]["total"] == 0 and done.json["releases"] == 0


# ---- devices ----


def test_added_devices_are_listed_and_their_certificates_are_let_in(online, data_dir):
    done = online("device", "add", "dev-1", "plant.a_2", "--chip", "esp32", "--json")
    assert done.returncode == 0, done.stderr
    assert [d["id"] for d in done.json] == ["dev-1", "plant.a_2"]
    for device in done.json:
        assert poll(data_dir, device["id"], "1.0.0") == "304"
        shown = online("device", "show", device["id"], "--json").json
        assert shown["cert_sha256"] == device["cert_sha256"] and shown["chip"] == "esp32"
    listed = online("device", "list", "--json").json["devices"]
    assert sorted(d["id"] for d in listed) == ["dev-1", "plant.a_2"]
    lines = online("device", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["DEVICE", "dev-1", "plant.a_2"]


def test_json_lists_devices_by_id_like_the_table(online):
    ids = ["m-2", "m-10", "a", "Z", "m.1"]
    assert online("device", "add", *ids).returncode == 0
    listed = online("device", "list", "--json").json["devices"]
    assert [d["id"] for d in listed] == sorted(ids)
    lines = online("device", "list").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == sorted(ids)


def test_device_keys_are_closed_and_last_10_years(online, data_dir):
    assert online("device", "add", "dev-1").returncode == 0
    key, cert = (data_dir.path / f"pki/devices/dev-1.{x}" for x in ("key", "crt"))
    assert key.stat().st_mode & 0o777 == 0o600
    day = 86400
    for seconds, code in ((3650 * day - day, 0), (3650 * day + day, 1)):
        done = subprocess.run(
            ["openssl", "x509", "-checkend", str(seconds), "-noout", "-in", cert],
            capture_output=True,
        )
        assert done.returncode == code


def test_adding_a_device_twice_is_refused_and_changes_nothing(online, data_dir):
    assert online("device", "add", "dev-1").returncode == 0
    before = (data_dir.path / "pki/devices/dev-1.key").read_bytes()
    done = online("device", "add", "dev-1")
    assert done.returncode == 1 and "dev-1: registered already" in done.stderr
    assert (data_dir.path / "pki/devices/dev-1.key").read_bytes() == before


def test_service_accounts_are_not_devices_for_kedged_either(online, data_dir):
    done = online("device", "add", "svc-ingest")
    assert done.returncode == 2 and "svc-" in done.stderr
    token = (data_dir.path / "admin.token").read_text().strip()
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "10", "--cacert", data_dir.path / "pki/ca.crt",
         "-H", f"Authorization: Bearer {token}", "--data", '{"id":"svc-ingest"}',
         "-w", "%{http_code}", f"https://127.0.0.1:{data_dir.admin_port}/api/v1/devices"],
        capture_output=True, text=True,
    )
    assert done.stdout.endswith("400") and "service accounts" in done.stdout, done
    assert online("device", "list", "--json").json["devices"] == []


def test_a_certificate_left_by_a_broken_off_run_is_used(online, data_dir, kedged, scratch):
    assert online("device", "add", "dev-1").returncode == 0
    for suffix in ("key", "crt"):  # as if registering dev-2 had been cut off after its files
        shutil.copy(data_dir.path / f"pki/devices/dev-1.{suffix}",
                    data_dir.path / f"pki/devices/dev-2.{suffix}")
    done = online("device", "add", "dev-2", "--json")
    assert done.returncode == 0
    assert done.json[0]["cert_sha256"] == online("device", "show", "dev-1", "--json").json["cert_sha256"]


def test_a_revoked_device_is_refused_at_its_next_poll(online, data_dir):
    assert online("device", "add", "dev-1").returncode == 0
    assert poll(data_dir, "dev-1", "1.0.0") == "304"
    done = online("device", "revoke", "dev-1")
    assert done.returncode == 0 and "dev-1: revoked" in done.stdout
    assert poll(data_dir, "dev-1", "1.0.0") == "403"
    assert "revoked" in online("device", "show", "dev-1").stdout


@pytest.mark.parametrize(
    "args",
    [["device", "show", "nobody"], ["device", "revoke", "nobody"], ["release", "show", "9.9.9"],
     ["rollout", "show", "7"], ["rollout", "watch", "7"], ["rollout", "pause", "7"],
     ["rollout", "create", "9.9.9"], ["telemetry", "nobody"]],
)
def test_what_does_not_exist_is_exit_3_and_named(online, args):
    done = online(*args)
    assert done.returncode == 3
    assert args[-1] in done.stderr


# ---- releases ----


def test_a_release_is_added_listed_and_shown(online):
    done = online("release", "add", IMAGE, "--notes", "first of all", "--json")
    assert done.returncode == 0, done.stderr
    release = done.json
    assert (release["version"], release["chip"], release["notes"]) == (
        "1.0.0", "esp32", "first of all",
    )
    assert release["created_by"] == "e2e"
    assert online("release", "list", "--json").json["releases"][0]["sha256"] == release["sha256"]
    assert online("release", "show", "1.0.0", "--json").json == release
    assert "first of all" in online("release", "show", release["sha256"]).stdout
    again = online("release", "add", IMAGE)
    assert again.returncode == 0 and "kedged has it already" in again.stdout


def test_bad_images_are_refused_with_the_reason_and_nothing_is_stored(online, scratch):
    good = IMAGE.read_bytes()
    bad = {"empty": b"", "text": b"#!/bin/sh\n" * 100, "short": good[:-5],
           "flipped": good[:400] + bytes([good[400] ^ 1]) + good[401:]}
    for name, data in bad.items():
        (scratch / name).write_bytes(data)
        done = online("release", "add", scratch / name)
        assert done.returncode == 1, name
        assert done.stderr.startswith("kedge: ") and len(done.stderr) > 20, done.stderr
    (scratch / "huge").write_bytes(good + b"\xff" * (2 << 20))
    assert online("release", "add", scratch / "huge").returncode == 1
    assert online("release", "list", "--json").json["releases"] == []
    assert online("release", "add", scratch / "missing").returncode == 3


# ---- rollouts ----


@pytest.fixture
def rollout(online):
    """One device on 0.9.0, and a rollout of 1.0.0 to it; its id."""
    assert online("device", "add", "dev-1", "--chip", "esp32").returncode == 0
    assert online("release", "add", VECTORS / "image/esp32-nohash.bin").returncode == 0
    assert online("release", "add", IMAGE).returncode == 0
    done = online("rollout", "create", "1.0.0", "--soak", "0s", "--silence", "2s", "--json")
    assert done.returncode == 0, done.stderr
    return str(done.json["id"])


def test_a_rollout_is_paused_resumed_and_aborted(online, data_dir, rollout):
    def state():
        return online("rollout", "show", rollout, "--json").json["state"]

    assert state() == "running"
    assert online("rollout", "pause", rollout).returncode == 0 and state() == "paused"
    assert poll(data_dir, "dev-1", "0.9.0") == "304"
    assert online("rollout", "resume", rollout).returncode == 0 and state() == "running"
    assert poll(data_dir, "dev-1", "0.9.0") == "200"
    assert online("rollout", "abort", rollout).returncode == 0 and state() == "aborted"
    done = online("rollout", "resume", rollout)
    assert done.returncode == 1 and "aborted" in done.stderr


def test_the_rollout_screen_shows_plan_stages_and_counts(online, rollout):
    text = online("rollout", "show", rollout).stdout
    assert text.startswith(f"rollout {rollout}: 1.0.0 on esp32, running\n")
    assert "stage 1 of 3, 10 % of the fleet" in text
    for line in ("halts at        1", "silence         2 s", "UP TO %"):
        assert line in text


def test_watch_ends_with_1_when_silence_halts_the_rollout(online, data_dir, rollout):
    assert poll(data_dir, "dev-1", "0.9.0") == "200"  # takes the image and is never heard again
    done = online("rollout", "watch", rollout)
    assert done.returncode == 1
    assert "halted" in done.stdout.splitlines()[-1]
    text = online("rollout", "show", rollout).stdout
    assert "FAILED" in text and "silence" in text and "time to halt" in text


def test_watch_ends_with_0_when_the_rollout_is_complete(online, data_dir, rollout):
    assert poll(data_dir, "dev-1", "0.9.0") == "200"
    report = json.dumps({
        "attempt": 1, "seq": 1, "from": "0.9.0", "to": "1.0.0", "state": "committed",
        "cause": "none", "detail": 0,
        "sha256": online("release", "show", "1.0.0", "--json").json["sha256"],
    })
    done = curl(data_dir, "dev-1", "-f", "--data", report,
                "-H", "Content-Type: application/json",
                f"https://localhost:{data_dir.device_port}/ota/report")
    assert done.returncode == 0, done.stderr
    assert poll(data_dir, "dev-1", "1.0.0") == "304"
    done = online("rollout", "watch", rollout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 updated" in done.stdout


def test_a_plan_that_kedged_refuses_is_exit_1_with_its_reason(online, rollout):
    assert online("rollout", "abort", rollout).returncode == 0
    done = online("rollout", "create", "1.0.0", "--stages", "50,10,100")
    assert done.returncode == 1 and "stages" in done.stderr


def test_devices_that_cannot_roll_back_are_kept_out_until_the_operator_allows_it(
        online, data_dir):
    caps = "X-Boot-Caps: none"
    assert online("device", "add", "dev-1", "dev-2", "--chip", "esp32").returncode == 0
    assert online("release", "add", VECTORS / "image/esp32-nohash.bin").returncode == 0
    assert online("release", "add", IMAGE).returncode == 0
    assert poll(data_dir, "dev-1", "0.9.0", caps) == "304"
    done = online("rollout", "create", "1.0.0", "--stages", "100", "--soak", "0s")
    assert done.returncode == 0
    assert "warning: 1 of 2 devices cannot roll back and are kept out" in done.stdout
    assert poll(data_dir, "dev-1", "0.9.0", caps) == "304"
    assert poll(data_dir, "dev-2", "0.9.0") == "200"

    shown = online("rollout", "show", "1").stdout
    assert "KEPT OUT" in shown and "no_rollback" in shown
    listed = online("device", "list").stdout
    assert [line for line in listed.splitlines() if "dev-1" in line and "no_rollback" in line]

    assert online("rollout", "abort", "1").returncode == 0
    done = online("rollout", "create", "1.0.0", "--stages", "100", "--allow-no-rollback")
    assert "a bad image stays on them" in done.stdout
    assert poll(data_dir, "dev-1", "0.9.0", caps) == "200"
    assert "KEPT OUT" not in online("rollout", "show", "2").stdout


def test_a_release_below_the_floor_of_devices_is_rolled_out_with_a_warning(online, data_dir):
    assert online("device", "add", "dev-1", "--chip", "esp32").returncode == 0
    assert online("release", "add", VECTORS / "image/esp32-nohash.bin").returncode == 0
    release = online("release", "add", IMAGE, "--json").json
    above = release["secure_version"] + 1
    assert poll(data_dir, "dev-1", "0.9.0", f"X-Secure-Version: {above}") == "304"
    done = online("rollout", "create", "1.0.0")
    assert done.returncode == 0
    assert "warning: 1 of 1 devices cannot take 1.0.0" in done.stdout
    assert poll(data_dir, "dev-1", "0.9.0", f"X-Secure-Version: {above}") == "304"


# ---- audit, token, server ----


def test_the_audit_names_actor_and_action_and_goes_on_after_an_id(online):
    assert online("device", "add", "dev-1").returncode == 0
    rows = online("audit", "--json").json["audit"]
    added = [r for r in rows if r["action"] == "device.add"]
    assert len(added) == 1 and added[0]["actor"] == "e2e" and added[0]["subject"] == "dev-1"
    assert "device.add" in online("audit").stdout
    assert online("audit", "--since-id", rows[-1]["id"], "--json").json["audit"] == []
    assert len(online("audit", "--limit", "1", "--json").json["audit"]) == 1


def test_a_wrong_token_is_refused_with_the_way_out(online, data_dir):
    (data_dir.path / "admin.token").write_text("00" * 32 + "\n")
    done = online("status")
    assert done.returncode == 1
    assert "does not take the token" in done.stderr and "--data" in done.stderr


def test_another_folders_kedged_is_recognised_by_its_certificate(kedge, kedged, data_dir, scratch):
    other = scratch / "other"
    assert kedge("init", "--data", other, "--admin-port", data_dir.admin_port).returncode == 0
    done = kedge("status", data=other)
    assert done.returncode == 1
    assert "is not the kedged of this data folder" in done.stderr


def test_a_second_kedged_on_the_folder_is_refused(kedged, data_dir):
    done = subprocess.run([BIN / "kedged", "--data", data_dir.path, "--listen-device",
                           "127.0.0.1:0", "--listen-admin", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert str(kedged.process.pid) in done.stderr


def test_kedged_ingests_from_the_broker_of_the_folder(online, mosquitto, data_dir):
    assert online("device", "add", "dev-1").returncode == 0
    deadline = time.monotonic() + 20
    while not online("status", "--json").json["ingest"]["connected"]:
        assert time.monotonic() < deadline, mosquitto.text()
        time.sleep(0.1)


# ---- tools/run ----


def test_run_starts_both_prints_the_next_commands_and_stops_them(kedge, data_dir, scratch):
    env = {"PATH": "/usr/bin:/bin:/usr/sbin", "BIN": str(BIN), "DATA": str(data_dir.path)}
    log = scratch / "run.log"
    with open(log, "wb") as out:
        process = subprocess.Popen([ROOT / "tools/run"], env=env, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 30
        while "Next, in another terminal:" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        text = log.read_text()
        for verb in ("device add", "release add", "rollout create"):
            assert f"kedge {verb}" in text
        assert kedge("status", data=data_dir.path).returncode == 0
        taken = subprocess.run([ROOT / "tools/run"], env=env, capture_output=True, text=True)
        assert taken.returncode == 1
        assert f"port {data_dir.broker_port} (MQTT broker) is taken" in taken.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    assert process.returncode == 0
    done = kedge("status", data=data_dir.path)
    assert done.returncode == 1 and "not answering" in done.stderr
