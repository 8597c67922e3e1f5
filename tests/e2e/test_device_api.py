# SPDX-License-Identifier: Apache-2.0
"""The device API as a plain client sees it: curl with a certificate, as in docs/device-api.md."""

import hashlib
import json
import socket
import ssl
import subprocess

import pytest

from conftest import BIN, VECTORS

IMAGE = VECTORS / "image/esp32-1.0.0.bin"
SHA256 = hashlib.sha256(IMAGE.read_bytes()).hexdigest()


@pytest.fixture
def api(data_dir, kedge, kedged, scratch):
    """api(path, *curl options) -> (status, headers, body) as device plain-1."""

    def run(*args):
        done = kedge(*args, "--json", data=data_dir.path)
        assert done.returncode == 0, done.stderr
        return done.json

    run("device", "add", "plain-1", "plain-2", "plain-3", "--chip", "esp32")
    pki = data_dir.path / "pki"

    def curl(path, *options, device="plain-1", cert=None, key=None):
        headers = scratch / "headers"
        body = scratch / "body"
        body.unlink(missing_ok=True)
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "20", "--cacert", pki / "ca.crt",
             "--cert", cert or pki / f"devices/{device}.crt",
             "--key", key or pki / f"devices/{device}.key",
             "-D", headers, "-o", body, "-w", "%{http_code}", *options,
             f"https://127.0.0.1:{data_dir.device_port}{path}"],
            capture_output=True, text=True,
        )
        if done.returncode != 0:
            return done.returncode, {}, done.stderr.encode()
        lines = headers.read_bytes().decode().split("\r\n\r\n")[-2].split("\r\n")[1:]
        found = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(done.stdout), found, body.read_bytes() if body.exists() else b""

    curl.kedge = run
    curl.pki = pki
    curl.port = data_dir.device_port
    return curl


def poll(api, version="0.9.0", *options, **kwargs):
    return api("/ota/firmware.bin", "-H", "X-Device-ID: " + kwargs.get("device", "plain-1"),
               "-H", f"X-Current-Version: {version}", *options, **kwargs)


@pytest.fixture
def offered(api):
    """The same, with a release that plain-1 is to get."""
    api.kedge("release", "add", VECTORS / "image/esp32-nohash.bin")  # 0.9.0: what it runs
    api.kedge("release", "add", IMAGE)
    assert poll(api)[0] == 304
    for device in ("plain-2", "plain-3"):
        assert poll(api, device=device)[0] == 304
    api.kedge("rollout", "create", "1.0.0", "--stages", "100", "--soak", "0ms", "--silence", "10m")
    return api


def audit_text(api):
    return json.dumps(api.kedge("audit", "--limit", "200"))


def test_304_200_206_416_as_stock_esp_https_ota_expects(offered):
    file = IMAGE.read_bytes()
    status, headers, body = poll(offered)
    assert (status, body) == (200, file)
    assert headers["x-firmware-version"] == "1.0.0"
    assert headers["x-firmware-sha256"] == SHA256
    assert headers["etag"] == f'"{headers["x-firmware-sha256"]}"'
    assert headers["content-length"] == str(len(file))
    assert headers["accept-ranges"] == "bytes"
    etag = headers["etag"]

    status, headers, body = poll(offered, "0.9.0", "-H", "Range: bytes=100-")
    assert (status, body) == (206, file[100:])
    assert headers["content-range"] == f"bytes 100-{len(file) - 1}/{len(file)}"
    assert poll(offered, "0.9.0", "-H", "Range: bytes=10-19")[2] == file[10:20]
    status, _, body = poll(offered, "0.9.0", "-H", "Range: bytes=100-", "-H", f"If-Range: {etag}")
    assert (status, body) == (206, file[100:])
    status, _, body = poll(offered, "0.9.0", "-H", "Range: bytes=100-", "-H", 'If-Range: "other"')
    assert (status, body) == (200, file)
    status, headers, _ = poll(offered, "0.9.0", "-H", f"Range: bytes={len(file)}-")
    assert (status, headers["content-range"]) == (416, f"bytes */{len(file)}")
    status, headers, body = poll(offered, "1.0.0")
    assert (status, body) == (304, b"")
    assert int(headers["x-poll-after"]) > 0


def test_head_shows_the_offer_without_taking_it(offered):
    status, headers, body = poll(offered, "0.9.0", "-I")
    assert status == 200 and body.endswith(b"\r\n\r\n")  # curl -I writes the head, and no more
    assert headers["x-firmware-version"] == "1.0.0"
    assert headers["x-firmware-sha256"] == SHA256
    assert headers["content-length"] == str(IMAGE.stat().st_size)
    assert poll(offered, "1.0.0", "-I")[0] == 304
    show = offered.kedge("rollout", "show", "1")
    assert (show["exposed"], show["downloads"]) == (0, 0)
    assert {m["state"] for m in show["members"]} == {"pending"}
    assert "member.offered" not in audit_text(offered)
    assert poll(offered)[0] == 200
    show = offered.kedge("rollout", "show", "1")
    assert (show["exposed"], show["downloads"]) == (1, 1)


def test_newer_and_unknown_versions_are_left_alone_and_recorded(offered):
    assert poll(offered, "2.0.0", device="plain-2")[0] == 304
    assert poll(offered, "built-by-hand", device="plain-3")[0] == 304
    devices = {d["id"]: d for d in offered.kedge("device", "list")["devices"]}
    assert devices["plain-2"]["version"] == "2.0.0"
    assert devices["plain-3"]["version"] == "built-by-hand"


def test_who_may_not_is_told_why_with_403_and_audited(api, scratch, kedge):
    status, _, body = poll(api, device="plain-2", cert=api.pki / "devices/plain-1.crt",
                           key=api.pki / "devices/plain-1.key")
    assert status == 403 and b"X-Device-ID" in body
    api.kedge("device", "revoke", "plain-3")
    status, _, body = poll(api, device="plain-3")
    assert status == 403 and b"revoked" in body

    other = scratch / "other"
    assert kedge("init", "--data", other).returncode == 0
    foreign = other / "pki/svc-ingest"
    status, _, body = poll(api, device="plain-1", cert=f"{foreign}.crt", key=f"{foreign}.key")
    assert status == 403, body
    unknown = api.pki / "svc-ingest"
    status, _, body = api("/ota/firmware.bin", "-H", "X-Current-Version: 1.0.0",
                          cert=f"{unknown}.crt", key=f"{unknown}.key")
    assert status == 403, body
    text = audit_text(api)
    for word in ("plain-1", "plain-3", "svc-ingest"):
        assert word in text
    assert poll(api)[0] == 304  # and it still serves


def test_no_certificate_no_handshake(api):
    context = ssl.create_default_context(cafile=api.pki / "ca.crt")
    context.check_hostname = False
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", api.port), timeout=10) as raw:
            with context.wrap_socket(raw) as tls:
                tls.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                if not tls.recv(100):
                    raise ConnectionError("closed")
    assert api("/health")[0] == 200


@pytest.mark.parametrize("header", [
    "X-Current-Version:", "X-Current-Version: " + "9" * 33, "X-Slot-Size: many",
    "X-Secure-Version: -1", "X-App-SHA256: zz", "Range: bytes=9-3", "X-Chip: pentium",
])
def test_malformed_headers_are_400_and_named(offered, header):
    options = [] if header.startswith("X-Current-Version") else ["-H", "X-Current-Version: 0.9.0"]
    status, _, body = offered("/ota/firmware.bin", *options, "-H",
                              header.replace(":", ";", 1) if header.endswith(":") else header)
    assert status == 400, (header, body)
    assert header.split(":")[0].lower() in body.decode().lower(), body


@pytest.mark.parametrize("body", [
    "", "{", "[]", "{}", '{"attempt":1}', "x" * 3000,
    '{"attempt":-1,"seq":1,"from":"a","to":"b","sha256":"00","state":"committed","cause":"none"}',
], ids=["empty", "open", "array", "no-members", "few-members", "large", "out-of-range"])
def test_malformed_reports_are_400(api, body):
    status, _, answer = api("/ota/report", "-X", "POST", "--data-binary", body)
    assert status in (400, 413), answer


def test_a_report_is_taken_once(offered):
    poll(offered)
    sha = poll(offered)[1]["x-firmware-sha256"]
    report = json.dumps({"attempt": 5, "seq": 1, "from": "0.9.0", "to": "1.0.0", "sha256": sha,
                         "state": "committed", "cause": "none", "detail": 0})
    for _ in range(3):
        assert offered("/ota/report", "-X", "POST", "--data-binary", report)[0] == 200
    assert audit_text(offered).count('"committed"') == 1
    members = offered.kedge("rollout", "show", "1")["members"]
    assert next(m for m in members if m["device"] == "plain-1")["state"] == "updated"


def test_bad_images_are_refused_at_upload_and_leave_nothing(api, scratch, kedge, data_dir):
    good = (VECTORS / "image/esp32-1.0.0.bin").read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    bad = {
        "empty": b"", "text": b"hello" * 100, "truncated": good[:-40], "flipped": bytes(flipped),
        "trailing": good + b"x" * 10, "too-large": good + b"\0" * (3 << 20),
    }
    for name, content in bad.items():
        path = scratch / f"{name}.bin"
        path.write_bytes(content)
        done = kedge("release", "add", path, "--json", data=data_dir.path)
        assert done.returncode == 1, (name, done.stdout)
        assert len(done.stderr) > 20, name
    assert api.kedge("release", "list")["releases"] == []
    assert list((data_dir.path / "releases").iterdir()) == []
    assert list((data_dir.path / "tmp").iterdir()) == []


def test_a_second_kedged_on_the_same_folder_is_refused(data_dir, kedged):
    done = subprocess.run(
        [BIN / "kedged", "--data", data_dir.path, "--listen-device", "127.0.0.1:0",
         "--listen-admin", "127.0.0.1:0"], capture_output=True, text=True, timeout=30,
    )
    assert done.returncode != 0
    assert str(kedged.process.pid) in done.stderr, done.stderr


def test_a_full_disk_refuses_the_upload_and_nothing_else(data_dir, kedge, kedged, scratch):
    """A file-size limit stands in for the full disk: write fails the same way, with EFBIG."""
    kedged.stop()
    image = scratch / "large.bin"
    subprocess.run([BIN / "kedge-sim", "image", "--version", "9.0.0", "--chip", "esp32",
                    "--project", "e2e", "--size", str(1500 * 1024), "--out", image], check=True)
    kedged.argv = ["prlimit", f"--fsize={1024 * 1024}", *kedged.argv]
    kedged.start(data_dir.device_port, data_dir.admin_port)
    done = kedge("release", "add", image, data=data_dir.path)
    assert done.returncode == 1
    assert "space" in done.stderr or "disk" in done.stderr or "large" in done.stderr, done.stderr
    assert list((data_dir.path / "tmp").iterdir()) == []
    assert list((data_dir.path / "releases").iterdir()) == []
    done = kedge("release", "add", VECTORS / "image/esp32-1.0.0.bin", data=data_dir.path)
    assert done.returncode == 0, done.stderr
