# SPDX-License-Identifier: Apache-2.0
"""Fixtures that start the real programs. Everything is stopped by its pid."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("KEDGE_BIN", ROOT / "build/test/bin"))
VECTORS = ROOT / "tests/vectors"


def free_ports(count):
    """Ports that nobody has now; all are held until the last is known."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_for_port(port, process, log, timeout=15):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text()}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing answers on port {port}:\n{log.read_text()}")


def wait_for(what, condition, seconds=60):
    """What condition() returns once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Program:
    """A started program with its log file."""

    def __init__(self, name, argv, folder):
        self.name, self.argv = name, [str(a) for a in argv]
        self.log = folder / f"{name}.log"
        self.process = None

    def start(self, *ports):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        for port in ports:
            wait_for_port(port, self.process, self.log)

    def kill(self):
        """Like a power cut: SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} ignored SIGTERM:\n{self.log.read_text()}")
        return self.process.returncode

    def text(self):
        return self.log.read_text()


@pytest.fixture
def scratch():
    """A folder that user mosquitto can reach (pytest's own are closed to it)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kedge-e2e-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def kedge(scratch):
    """kedge(args…, data=None): runs it; .json is its output parsed when --json was given."""

    def run(*args, data=None, **kwargs):
        env = dict(os.environ, USER="e2e")
        env.pop("KEDGE_DATA", None)
        if data is not None:
            env["KEDGE_DATA"] = str(data)
        done = subprocess.run(
            [BIN / "kedge", *map(str, args)],
            capture_output=True, text=True, env=env, cwd=scratch, timeout=60, **kwargs,
        )
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        done.json = json.loads(done.stdout) if "--json" in args and done.stdout else None
        return done

    return run


@pytest.fixture
def data_dir(scratch, kedge):
    """A fresh data folder on free ports; .device_port, .admin_port, .broker_port."""
    device, admin, broker = free_ports(3)
    path = scratch / "data"
    done = kedge(
        "init", "--data", path, "--device-port", device, "--admin-port", admin,
        "--broker-port", broker,
    )
    assert done.returncode == 0, done.stderr
    return types.SimpleNamespace(
        path=path, device_port=device, admin_port=admin, broker_port=broker
    )


@pytest.fixture
def mosquitto(data_dir, scratch):
    """The broker of data_dir, running."""
    binary = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    program = Program(
        "mosquitto", [binary, "-c", data_dir.path / "mosquitto.conf"], scratch
    )
    program.start(data_dir.broker_port)
    yield program
    program.stop()


@pytest.fixture
def kedged(data_dir, scratch):
    """kedged of data_dir, running; its exit code and sanitizer output are checked at the end."""
    program = Program("kedged", [BIN / "kedged", "--data", data_dir.path], scratch)
    program.start(data_dir.device_port, data_dir.admin_port)
    yield program
    killed = program.process.poll() == -9
    assert program.stop() == 0 or killed, program.text()
    assert "Sanitizer" not in program.text() and "runtime error" not in program.text()
