# SPDX-License-Identifier: Apache-2.0
"""The verbs of kedge that need no server."""

import os
import pwd
import re
import stat
import subprocess

import pytest

from conftest import VECTORS

VERBS = """init; device add; device provision; device list; device show; device revoke; release add;
release list; release show; rollout create; rollout list; rollout show; rollout watch; rollout pause;
rollout resume; rollout abort; audit; status; image info; partition check;
partition gen; sdkconfig check""".replace("\n", " ").split(";")


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)


def verify(data, cert, purpose, *more):
    pki = data.path / "pki"
    return openssl("verify", "-CAfile", pki / "ca.crt", "-purpose", purpose, *more, pki / cert)


# ---- help and usage ----


def test_the_overview_lists_every_verb_and_the_exit_codes(kedge):
    done = kedge("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert f"  {verb.strip()} " in done.stdout
    for code in "0123":
        assert re.search(rf"^  {code}  ", done.stdout, re.M)


@pytest.mark.parametrize("verb", [v.strip() for v in VERBS])
def test_every_verb_explains_its_options(kedge, verb):
    done = kedge(*verb.split(), "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"Usage: kedge {verb}")
    for option in ("--data DIR", "--json", "--help"):
        assert option in done.stdout


@pytest.mark.parametrize(
    "args, expected",
    [
        ([], "Usage: kedge VERB"),
        (["fly"], "fly: unknown verb"),
        (["device"], "device needs one of:"),
        (["device", "fly"], "device needs one of:"),
        (["device", "add"], "missing argument, expected: kedge device add ID..."),
        (["image", "info", "a", "b"], "unexpected argument"),
        (["status", "--colour"], "--colour: unknown option"),
        (["audit", "--limit", "0"], "--limit: \"0\" is out of range"),
        (["rollout", "show", "first"], "first: not a rollout"),
        (["rollout", "create", "1.0.0", "--stages", "10,,100"], "is not understood, expected up to 8 rising"),
        (["rollout", "create", "1.0.0", "--stages", "0"], "is not understood, expected up to 8 rising"),
        (["rollout", "create", "1.0.0", "--soak", "30"], "--soak: \"30\" is not understood"),
        (["device", "add", "a/b"], "a/b: not a device id"),
        (["device", "add", "svc-ingest"], "svc-ingest: ids that start with svc-"),
        (["device", "add", "a", "--chip", "z80"], "--chip: \"z80\" is not known"),
        (["init", "--host", "a b"], "\"a b\" is neither a DNS name nor an IP address"),
        (["init", "--host", "-x.example"], "is neither a DNS name nor an IP address"),
        (["init", "--admin-port", "65536"], "--admin-port: \"65536\" is out of range"),
        (["init", "--project", "a\nb"], "--project: control characters"),
        (["partition", "check", "x", "--secure", "v3"], "--secure: \"v3\" is not understood"),
    ],
)
def test_a_wrong_command_line_is_exit_2_and_says_what_was_expected(kedge, args, expected):
    done = kedge(*args)
    assert done.returncode == 2
    assert expected in done.stderr


# ---- init ----


def test_init_closes_keys_and_opens_certificates(data_dir):
    modes = {
        str(p.relative_to(data_dir.path)): stat.S_IMODE(p.stat().st_mode)
        for p in data_dir.path.rglob("*")
    }
    for name in ("ca", "server", "broker", "svc-ingest"):
        assert modes[f"pki/{name}.key"] == 0o600
        assert modes[f"pki/{name}.crt"] == 0o644
    assert modes["admin.token"] == 0o600
    assert modes["pki/devices"] == 0o700
    assert re.fullmatch(r"[0-9a-f]{64}\n", (data_dir.path / "admin.token").read_text())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts mosquitto as another user")
def test_init_by_root_gives_the_broker_its_own_files(data_dir):
    broker = pwd.getpwnam("mosquitto").pw_uid
    assert (data_dir.path / "pki/broker.key").stat().st_uid == broker
    assert (data_dir.path / "mosquitto").stat().st_uid == broker
    assert (data_dir.path / "pki/server.key").stat().st_uid == 0


def test_every_certificate_verifies_for_its_own_purpose_only(data_dir):
    for name in ("server", "broker"):
        for host in ("-verify_hostname=localhost", "-verify_ip=127.0.0.1"):
            option, value = host.split("=")
            done = verify(data_dir, f"{name}.crt", "sslserver", option, value)
            assert done.returncode == 0, done.stderr
        assert verify(data_dir, f"{name}.crt", "sslclient").returncode != 0
    assert verify(data_dir, "svc-ingest.crt", "sslclient").returncode == 0
    assert verify(data_dir, "svc-ingest.crt", "sslserver").returncode != 0


def test_keys_are_p256_and_the_ca_signs_no_further_ca(data_dir):
    for name in ("ca", "server", "broker", "svc-ingest"):
        text = openssl("x509", "-noout", "-text", "-in", data_dir.path / f"pki/{name}.crt").stdout
        assert "NIST CURVE: P-256" in text
        assert ("CA:TRUE, pathlen:0" in text) == (name == "ca")


def test_the_ca_lasts_20_years_and_services_5(data_dir):
    day = 86400
    for name, years in (("ca", 20), ("server", 5), ("broker", 5), ("svc-ingest", 5)):
        cert = data_dir.path / f"pki/{name}.crt"
        lasts = years * 365 * day
        assert openssl("x509", "-checkend", lasts - day, "-in", cert).returncode == 0
        assert openssl("x509", "-checkend", lasts + day, "-in", cert).returncode == 1


def test_the_ca_can_name_the_hosts_it_was_made_for_and_no_others(kedge, scratch):
    path = scratch / "named"
    done = kedge("init", "--data", path, "--host", "ota.fleet.example,192.0.2.7")
    assert done.returncode == 0, done.stderr
    server, ca = path / "pki/server.crt", path / "pki/ca.crt"
    base = ["verify", "-CAfile", ca, "-purpose", "sslserver"]
    assert openssl(*base, "-verify_hostname", "ota.fleet.example", server).returncode == 0
    assert openssl(*base, "-verify_ip", "192.0.2.7", server).returncode == 0
    assert openssl(*base, "-verify_hostname", "elsewhere.example", server).returncode != 0
    for name, good in (("new.fleet.example", True), ("bank.example", False)):
        made = openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", scratch / "k", "-out", scratch / "c", "-subj", "/CN=x",
            "-addext", f"subjectAltName=DNS:{name}", "-addext", "extendedKeyUsage=serverAuth",
            "-CA", ca, "-CAkey", path / "pki/ca.key",
        )
        assert made.returncode == 0, made.stderr
        done = openssl("verify", "-CAfile", ca, scratch / "c")
        assert (done.returncode == 0) == good, done.stdout + done.stderr
        assert good or "permitted subtree violation" in done.stderr


def test_a_host_opens_the_ports_and_none_keeps_them_on_loopback(kedge, scratch, data_dir):
    assert "listen-device = 127.0.0.1:" in (data_dir.path / "kedged.conf").read_text()
    path = scratch / "open"
    assert kedge("init", "--data", path, "--host", "ota.fleet.example").returncode == 0
    assert "listen-device = 0.0.0.0:8443" in (path / "kedged.conf").read_text()
    assert "listen-admin = 127.0.0.1:8444" in (path / "kedged.conf").read_text()


def test_init_never_touches_an_existing_folder(kedge, data_dir):
    before = (data_dir.path / "pki/ca.crt").read_bytes()
    done = kedge("init", "--data", data_dir.path)
    assert done.returncode == 1
    assert "is already there and is not overwritten" in done.stderr
    assert (data_dir.path / "pki/ca.crt").read_bytes() == before


def test_an_init_that_fails_leaves_nothing(kedge, scratch):
    (scratch / "file").write_text("")
    done = kedge("init", "--data", scratch / "file" / "data")
    assert done.returncode != 0
    assert "file: cannot be made" in done.stderr
    assert [p.name for p in scratch.iterdir()] == ["file"]


def test_no_placeholder_is_left_in_a_configuration(data_dir):
    for name in ("kedged.conf", "mosquitto.conf", "mosquitto.acl"):
        assert "@" not in (data_dir.path / name).read_text()


def test_mosquitto_starts_from_the_folder_and_wants_a_certificate(data_dir, mosquitto):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{data_dir.broker_port}", "-CAfile",
         data_dir.path / "pki/ca.crt", "-verify_return_error", "-tls1_2"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )
    assert "Verify return code: 0 (ok)" in done.stdout
    assert "alert" in done.stderr  # refused: no client certificate
    assert mosquitto.process.poll() is None


# ---- data folder and server that are not there ----


def test_a_folder_that_is_none_is_named_with_the_way_out(kedge, scratch):
    done = kedge("status", data=scratch / "nowhere")
    assert done.returncode == 1
    assert "is not a Kedge data folder" in done.stderr and "kedge init --data" in done.stderr


def test_a_kedged_that_does_not_run_is_said_with_its_address(kedge, data_dir):
    for args in (["status"], ["device", "list"], ["device", "add", "dev-1"]):
        done = kedge(*args, data=data_dir.path)
        assert done.returncode == 1
        assert f"kedged is not answering at https://127.0.0.1:{data_dir.admin_port}" in done.stderr
        assert "make run" in done.stderr
    assert list((data_dir.path / "pki/devices").iterdir()) == []


# ---- image info ----

IMAGES = {
    "esp32-1.0.0.bin": ("esp32", "1.0.0", 0, True),
    "esp32s3-1.2.3-secver2.bin": ("esp32s3", "1.2.3", 2, True),
    "esp32c3-2.0.0-rc.1.bin": ("esp32c3", "2.0.0-rc.1", 0, True),
    "esp32-nohash.bin": ("esp32", "0.9.0", 0, False),
    "esp32c3-full-length-strings.bin": ("esp32c3", 32 * "v", 0, True),
}


@pytest.mark.parametrize("name", sorted(p.name for p in (VECTORS / "image").glob("*.bin")))
def test_image_info_shows_what_the_vector_says(kedge, name):
    chip, version, secure_version, has_hash = IMAGES[name]
    done = kedge("image", "info", "--json", VECTORS / "image" / name)
    assert done.returncode == 0, done.stderr
    assert done.json["chip"] == chip and done.json["version"] == version
    assert done.json["secure_version"] == secure_version and done.json["has_hash"] == has_hash
    assert done.json["size"] == (VECTORS / "image" / name).stat().st_size
    text = kedge("image", "info", VECTORS / "image" / name).stdout
    assert f"  version         {version}\n" in text


@pytest.mark.parametrize(
    "name, keys",
    [
        ("signed-rsa-a.bin", ["rsa-a"]),
        ("signed-rsa-a-short.bin", ["rsa-a"]),
        ("signed-rsa-a-then-b.bin", ["rsa-a", "rsa-b"]),
        ("signed-rsa-abc.bin", ["rsa-a", "rsa-b", "rsa-c"]),
        ("signed-ec-a.bin", ["ec-a"]),
        ("signed-ec-ab.bin", ["ec-a", "ec-b"]),
        ("unsigned-padded.bin", []),
    ],
)
def test_image_info_verifies_every_signature(kedge, name, keys):
    done = kedge("image", "info", "--json", VECTORS / "signature" / name)
    assert done.returncode == 0, done.stderr
    digests = [(VECTORS / f"signature/{key}.digest.bin").read_bytes().hex() for key in keys]
    assert [s["key_digest"] for s in done.json["signatures"]] == digests
    assert all(s["valid"] for s in done.json["signatures"])


def test_a_signed_image_that_was_changed_is_refused(kedge, scratch):
    data = bytearray((VECTORS / "signature/signed-ec-a.bin").read_bytes())
    data[-4096 + 40] ^= 1  # in the signature block
    (scratch / "changed.bin").write_bytes(data)
    done = kedge("image", "info", scratch / "changed.bin")
    assert done.returncode == 1
    assert "changed.bin: offset 0x10" in done.stderr


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda d: d[:-1], "input ends too early"),
        (lambda d: b"", "input ends too early"),
        (lambda d: b"#!/bin/sh\n" + d, "offset 0x0: image magic 0x23: wrong magic number"),
        (lambda d: d[:200] + bytes([d[200] ^ 1]) + d[201:], "does not match"),
    ],
)
def test_a_bad_image_is_refused_with_its_offset(kedge, scratch, change, expected):
    good = (VECTORS / "image/esp32-1.0.0.bin").read_bytes()
    (scratch / "bad.bin").write_bytes(change(good))
    done = kedge("image", "info", scratch / "bad.bin")
    assert done.returncode == 1 and done.stdout == ""
    assert "bad.bin: offset 0x" in done.stderr and expected in done.stderr


@pytest.mark.parametrize("verb", ["image info", "partition check", "partition gen"])
def test_a_missing_file_is_exit_3(kedge, verb):
    done = kedge(*verb.split(), "no-such-file")
    assert done.returncode == 3
    assert "no-such-file: cannot be read: No such file or directory" in done.stderr


# ---- partition tables ----


def rules(name):
    if name.startswith("production"):
        return ["--secure", "v2", "--offset", "0xE000", "--flash-size", "4M"]
    return ["--flash-size", "4M"]


TABLES = sorted(p.name for p in (VECTORS / "partition").iterdir())
GOOD = [n for n in TABLES if not n.startswith("bad-")]
BAD = {
    "bad-below-table.csv": "1: partition offset 0x8000: regions overlap, expected at least 0x9000",
    "bad-duplicate-name.csv": "2: partition name: duplicate",
    "bad-flag.csv": "1: partition flag: syntax error",
    "bad-otadata-size.csv": "1: otadata size 0x1000: value out of range, expected 0x2000",
    "bad-overlap.csv": "2: partition offset 0xe000: regions overlap, expected at least 0xf000",
    "bad-subtype.csv": "1: partition subtype: syntax error",
    "bad-too-big.csv": "3: partition end, past the flash 0x410000: too large, expected at most",
    "bad-unaligned-app.csv": "2: partition offset 0x21000: not aligned, expected a multiple of",
}


@pytest.mark.parametrize("name", GOOD)
def test_partition_check_accepts_what_the_tool_accepts(kedge, name):
    done = kedge("partition", "check", VECTORS / "partition" / name, *rules(name))
    assert done.returncode == 0, done.stderr
    assert ": ok, " in done.stdout


@pytest.mark.parametrize("name", [n for n in TABLES if n.startswith("bad-")])
def test_partition_check_names_file_line_and_rule(kedge, name):
    path = VECTORS / "partition" / name
    done = kedge("partition", "check", path, *rules(name))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"{path}:{BAD[name]}")


@pytest.mark.parametrize("name", [n for n in GOOD if n.endswith(".csv")])
def test_partition_gen_writes_the_tools_bytes(kedge, scratch, name):
    out = scratch / "table.bin"
    done = kedge("partition", "gen", VECTORS / "partition" / name, "--out", out, *rules(name))
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == (VECTORS / "partition" / f"{name.split('.')[0]}.bin").read_bytes()


RESOLVED = [n for n in GOOD if n.endswith(".resolved.csv")]


@pytest.mark.parametrize("name", [n.replace(".resolved.csv", ".bin") for n in RESOLVED])
def test_partition_gen_prints_the_tools_csv(kedge, name):
    done = kedge("partition", "gen", VECTORS / "partition" / name, *rules(name))
    assert done.returncode == 0, done.stderr
    expected = VECTORS / "partition" / name.replace(".bin", ".resolved.csv")
    assert done.stdout == expected.read_text()


def test_a_table_too_large_for_the_flash_is_refused(kedge):
    done = kedge("partition", "check", VECTORS / "partition/seed.csv", "--flash-size", "2M")
    assert done.returncode == 1
    assert "past the flash" in done.stderr


def test_a_damaged_binary_table_is_refused_by_its_md5(kedge, scratch):
    data = bytearray((VECTORS / "partition/seed.bin").read_bytes())
    data[8] ^= 0x10  # a size
    (scratch / "damaged.bin").write_bytes(data)
    done = kedge("partition", "check", scratch / "damaged.bin")
    assert done.returncode == 1
    assert "MD5 of the table: hash does not match" in done.stderr
