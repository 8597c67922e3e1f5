# SPDX-License-Identifier: Apache-2.0
"""kedged as a process: what it leaves on the disk, how it starts and how it ends."""

import signal
import socket
import ssl
import subprocess
import time

import pytest

from conftest import BIN, VECTORS, Program

IMAGE = VECTORS / "image/esp32-1.0.0.bin"


def test_what_kedged_writes_is_closed_to_other_users(data_dir, kedge, request):
    def paths():
        return set(data_dir.path.rglob("*"))

    made_by_init = paths()
    request.getfixturevalue("kedged")
    assert kedge("release", "add", IMAGE, data=data_dir.path).returncode == 0
    found = {str(p.relative_to(data_dir.path)): p for p in paths() - made_by_init}
    assert {"kedge.db", "releases", "tmp"} <= found.keys()
    assert any(name.startswith("releases/") for name in found)
    for name, path in found.items():
        expected = 0o700 if path.is_dir() else 0o600
        assert path.stat().st_mode & 0o777 == expected, (name, oct(path.stat().st_mode))
    assert data_dir.path.stat().st_mode & 0o777 == 0o755


class Reader:
    """A device that has asked for the image and takes its time."""

    def __init__(self, data_dir, device):
        pki = data_dir.path / "pki"
        context = ssl.create_default_context(cafile=pki / "ca.crt")
        context.load_cert_chain(pki / f"devices/{device}.crt", pki / f"devices/{device}.key")
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # kedged cannot write it all
        raw.settimeout(20)
        raw.connect(("127.0.0.1", data_dir.device_port))
        self.tls = context.wrap_socket(raw, server_hostname="localhost")
        self.tls.sendall(b"GET /ota/firmware.bin HTTP/1.1\r\nHost: x\r\n"
                         b"X-Current-Version: 0.9.0\r\n\r\n")
        head, _, self.body = self.read(64).partition(b"\r\n\r\n")
        while not self.body:
            more = self.read(1024)
            head, _, self.body = (head + more).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head

    def read(self, size):
        """The next bytes; b"" when the connection has ended, tidily or not."""
        try:
            return self.tls.recv(size)
        except (ssl.SSLError, ConnectionError):
            return b""

    def drain(self):
        while more := self.read(65536):
            self.body += more
        self.tls.close()
        return len(self.body)


@pytest.fixture
def large(data_dir, kedge, kedged, scratch):
    """An image that does not fit into socket buffers (4 MiB), rolled out to dev-1; its size."""
    size = 12 << 20
    with open(data_dir.path / "kedged.conf", "a", encoding="ascii") as conf:
        conf.write("\nslot-size = 16M\n")
    assert kedged.stop() == 0
    kedged.log.write_text("")  # what the tests find in it is of their own run
    kedged.start(data_dir.device_port, data_dir.admin_port)
    path = scratch / "large.bin"
    subprocess.run([BIN / "kedge-sim", "image", "--version", "1.1.0", "--chip", "esp32",
                    "--project", "e2e", "--size", str(size), "--out", path], check=True)
    for args in (["device", "add", "dev-1", "--chip", "esp32"],
                 ["release", "add", VECTORS / "image/esp32-nohash.bin"],
                 ["release", "add", path],
                 ["rollout", "create", "1.1.0", "--stages", "100"]):
        done = kedge(*args, data=data_dir.path)
        assert done.returncode == 0, done.stderr
    return path.stat().st_size


def end(kedged, began):
    """Exit code and seconds since began."""
    code = kedged.process.wait(timeout=15)
    return code, time.monotonic() - began


def test_sigterm_ends_an_idle_kedged_at_once(kedged):
    began = time.monotonic()
    kedged.process.send_signal(signal.SIGTERM)
    code, seconds = end(kedged, began)
    assert code == 0 and seconds < 3, kedged.text()
    assert "stopping signal=15" in kedged.text() and "stopped status=0" in kedged.text()


def test_sigterm_lets_an_open_download_end(data_dir, kedged, large):
    reader = Reader(data_dir, "dev-1")
    began = time.monotonic()
    kedged.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert kedged.process.poll() is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", data_dir.device_port), timeout=5)
    assert reader.drain() == large
    code, seconds = end(kedged, began)
    assert code == 0 and seconds < 5, kedged.text()


def test_sigterm_gives_a_client_that_does_not_read_5_seconds(data_dir, kedged, large):
    reader = Reader(data_dir, "dev-1")
    began = time.monotonic()
    kedged.process.send_signal(signal.SIGTERM)
    code, seconds = end(kedged, began)
    assert code == 0 and 4.5 < seconds < 8, (code, seconds, kedged.text())
    assert reader.drain() < large


def test_a_second_sigterm_does_not_wait(data_dir, kedged, large):
    reader = Reader(data_dir, "dev-1")
    began = time.monotonic()
    kedged.process.send_signal(signal.SIGTERM)
    while "stopping" not in kedged.text():
        time.sleep(0.02)
    kedged.process.send_signal(signal.SIGTERM)
    code, seconds = end(kedged, began)
    assert code == 0 and seconds < 3, kedged.text()
    assert reader.drain() < large


def test_systemd_is_told_when_kedged_serves(data_dir, kedge, scratch, monkeypatch):
    path = scratch / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(15)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        program = Program("kedged", [BIN / "kedged", "--data", data_dir.path], scratch)
        program.start()
        try:
            assert notify.recv(100) == b"READY=1"
            # ready means that both listeners answer, without waiting for them
            for port in (data_dir.device_port, data_dir.admin_port):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            assert kedge("status", data=data_dir.path).returncode == 0
        finally:
            assert program.stop() == 0, program.text()
    assert "notify_failed" not in program.text()


def test_a_notify_socket_that_nobody_reads_is_no_reason_not_to_serve(data_dir, kedge, scratch,
                                                                     monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(scratch / "nobody.sock"))
    program = Program("kedged", [BIN / "kedged", "--data", data_dir.path], scratch)
    program.start(data_dir.device_port, data_dir.admin_port)
    try:
        assert kedge("status", data=data_dir.path).returncode == 0
        assert "notify_failed" in program.text()
    finally:
        assert program.stop() == 0, program.text()
