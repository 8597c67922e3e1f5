# SPDX-License-Identifier: Apache-2.0
"""kedge device provision: the images that make a chip one certain device."""

import json
import stat
import struct
import subprocess
import time
import zlib

import pytest

from conftest import BIN, VECTORS

READ_STORAGE = BIN.parent / "tests/read_storage"
TABLE = VECTORS / "partition/production.csv"
SERVER = "https://ota.example.com:8443"
FILES = {"device.json", "factory.json", "ca.pem", "device.crt", "device.key"}
PASSWORD = 'correct, horse "7"'
BASE = ["--server", SERVER, "--partitions", TABLE]


@pytest.fixture
def provision(kedge, data_dir):
    """provision(args…) for dev-1, whose key and certificate are there."""
    pki = data_dir.path / "pki"
    for suffix in ("key", "crt"):
        (pki / f"devices/dev-1.{suffix}").write_bytes((pki / f"svc-ingest.{suffix}").read_bytes())

    def run(*args, device="dev-1", base=BASE):
        return kedge("device", "provision", device, *base, *args, data=data_dir.path)

    run.folder = data_dir.path / "provision/dev-1"
    run.data = data_dir
    return run


@pytest.fixture
def password_file(scratch):
    path = scratch / "wifi"
    path.write_text(PASSWORD + "\n")
    return path


def read_storage(image, folder):
    """Files of a LittleFS image into folder; its settings as the firmware reads them."""
    folder.mkdir()
    done = subprocess.run([READ_STORAGE, image, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


def crc(data):
    return zlib.crc32(data, 0xFFFFFFFF)


def read_nvs(data):
    """{namespace: {key: value}} of an NVS image, every CRC and the state of every entry checked."""
    page = data[:4096]
    assert len(data) % 4096 == 0 and set(data[4096:]) == {0xFF}
    assert struct.unpack_from("<IIB", page) == (0xFFFFFFFE, 0, 0xFE)
    assert struct.unpack_from("<I", page, 28)[0] == crc(page[4:28])
    states = [page[32 + i // 4] >> i % 4 * 2 & 3 for i in range(126)]
    used = states.index(3)
    assert states == [2] * used + [3] * (126 - used)
    names, result, at = {}, {}, 0
    while at < used:
        entry = page[64 + 32 * at : 96 + 32 * at]
        index, kind, span, _, checksum = struct.unpack_from("<BBBBI", entry)
        assert checksum == crc(entry[:4] + entry[8:])
        key = entry[8:24].rstrip(b"\0").decode()
        if index == 0:
            names[entry[24]] = key
            result[key] = {}
        elif kind == 0x21:
            size, _, text_crc = struct.unpack_from("<HHI", entry, 24)
            text = page[96 + 32 * at : 96 + 32 * at + size]
            assert text_crc == crc(text) and text[-1] == 0 and span == 1 + (size + 31) // 32
            result[names[index]][key] = text[:-1].decode()
        else:
            assert kind == 0x04 and span == 1
            result[names[index]][key] = struct.unpack_from("<I", entry, 24)[0]
        at += span
    assert at == used
    return result


# ---- what is made ----


def test_the_firmware_takes_the_settings_and_finds_every_file(provision, scratch):
    assert provision().returncode == 0
    settings = read_storage(provision.folder / "storage.bin", scratch / "image")
    broker_port = str(provision.data.broker_port)
    expected = ["dev-1", SERVER, "ota.example.com", broker_port, "ca.pem", "device.crt", "device.key"]
    assert settings == {"device.json": expected, "factory.json": expected}
    assert {p.name for p in (scratch / "image").iterdir()} == FILES


def test_image_and_folder_hold_the_same_files(provision, scratch):
    assert provision().returncode == 0
    read_storage(provision.folder / "storage.bin", scratch / "image")
    pki = provision.data.path / "pki"
    sources = {"ca.pem": pki / "ca.crt", "device.crt": pki / "devices/dev-1.crt",
               "device.key": pki / "devices/dev-1.key"}
    assert {p.name for p in (provision.folder / "storage").iterdir()} == FILES
    for name in FILES:
        in_image = (scratch / "image" / name).read_bytes()
        assert in_image == (provision.folder / "storage" / name).read_bytes()
        if name in sources:
            assert in_image == sources[name].read_bytes()


def test_images_are_as_large_as_their_partitions(provision):
    assert provision().returncode == 0
    assert (provision.folder / "storage.bin").stat().st_size == 0x5F000
    assert (provision.folder / "nvs.bin").stat().st_size == 0xE000


def test_nvs_holds_wifi_and_the_time(provision, password_file):
    before = int(time.time())
    done = provision("--wifi-ssid", "Werk, 2", "--wifi-password-file", password_file)
    assert done.returncode == 0, done.stderr
    nvs = read_nvs((provision.folder / "nvs.bin").read_bytes())
    floor = nvs["kedge"].pop("time_floor")
    assert before <= floor <= time.time()
    assert nvs == {"kedge": {"wifi_ssid": "Werk, 2", "wifi_pass": PASSWORD}}
    assert (provision.folder / "nvs.csv").read_text() == (
        "key,type,encoding,value\nkedge,namespace,,\n"
        'wifi_ssid,data,string,"Werk, 2"\n'
        'wifi_pass,data,string,"correct, horse ""7"""\n'
        f"time_floor,data,u32,{floor}\n"
    )


def test_without_wifi_nvs_holds_the_time_alone(provision):
    assert provision().returncode == 0
    assert list(read_nvs((provision.folder / "nvs.bin").read_bytes())["kedge"]) == ["time_floor"]


def test_a_network_may_be_open_and_a_key_may_be_hex(provision, scratch):
    assert provision("--wifi-ssid", "open").returncode == 0
    nvs = read_nvs((provision.folder / "nvs.bin").read_bytes())["kedge"]
    assert nvs["wifi_ssid"] == "open" and "wifi_pass" not in nvs
    (scratch / "psk").write_text(64 * "a")
    args = ["--wifi-ssid", "hex", "--wifi-password-file", scratch / "psk", "--force"]
    assert provision(*args).returncode == 0
    assert read_nvs((provision.folder / "nvs.bin").read_bytes())["kedge"]["wifi_pass"] == 64 * "a"


def test_everything_is_closed_to_others(provision):
    assert provision().returncode == 0
    for path in [provision.folder, *provision.folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_no_secret_is_printed(provision, password_file, json):
    done = provision("--wifi-ssid", "Werk", "--wifi-password-file", password_file, *json)
    said = done.stdout + done.stderr
    key = (provision.data.path / "pki/devices/dev-1.key").read_text().splitlines()[1]
    assert done.returncode == 0 and "dev-1" in said
    assert PASSWORD not in said and "horse" not in said and key not in said


def test_the_command_line_has_the_tables_offsets(provision, scratch):
    done = provision("--port", "/dev/ttyACM 0", "--out", scratch / "it's")
    assert done.returncode == 0, done.stderr
    command = (f"esptool.py --chip auto -p '/dev/ttyACM 0' write_flash "
               f"0x3a1000 '{scratch}/it'\\''s/storage.bin' 0x12000 '{scratch}/it'\\''s/nvs.bin'")
    assert f"  {command}\n" in done.stdout


def test_json_names_paths_and_offsets(provision):
    done = provision("--broker", "mqtt.example.com:1883", "--json")
    assert done.json["folder"] == str(provision.folder)
    assert (done.json["broker_host"], done.json["broker_port"]) == ("mqtt.example.com", 1883)
    assert done.json["storage"] == {"image": str(provision.folder / "storage.bin"),
                                    "offset": 0x3A1000, "size": 0x5F000, "encrypted": True}
    assert done.json["nvs"] == {"image": str(provision.folder / "nvs.bin"),
                                "offset": 0x12000, "size": 0xE000, "encrypted": False}
    assert done.json["esptool"].startswith("esptool.py --chip auto -p /dev/ttyUSB0 write_flash 0x")


def test_a_binary_table_does_as_well(provision):
    done = provision("--partitions", VECTORS / "partition/production.bin", "--json")
    assert done.returncode == 0, done.stderr
    assert done.json["storage"]["offset"] == 0x3A1000


def test_the_broker_is_on_the_servers_host_unless_said(provision):
    done = provision("--broker", "10.0.0.7", "--json")
    assert (done.json["broker_host"], done.json["broker_port"]) == ("10.0.0.7", 8883)
    done = provision("--json", "--force")
    assert done.json["broker_host"] == "ota.example.com"
    assert done.json["broker_port"] == provision.data.broker_port


def test_a_name_that_the_servers_certificate_has_not_is_warned_of(provision):
    done = provision("--broker", "127.0.0.1")
    assert done.returncode == 0
    assert "pki/server.crt is not for ota.example.com" in done.stderr
    assert "pki/broker.crt" not in done.stderr
    done = provision("--force", base=["--server", "https://localhost", "--partitions", TABLE])
    assert done.returncode == 0 and done.stderr == ""


def test_what_the_image_holds_is_enough_for_the_first_poll(kedge, data_dir, kedged, scratch):
    """A chip knows nothing but these two images."""
    assert kedge("device", "add", "dev-1", data=data_dir.path).returncode == 0
    server = f"https://localhost:{data_dir.device_port}"
    done = kedge("device", "provision", "dev-1", "--server", server, "--partitions", TABLE,
                 "--out", scratch / "out", data=data_dir.path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    folder = scratch / "image"
    settings = read_storage(scratch / "out/storage.bin", folder)
    device, url, _, _, ca, cert, key = settings["device.json"]
    poll = subprocess.run(
        ["curl", "-sS", "--cacert", folder / ca, "--cert", folder / cert, "--key", folder / key,
         "-o", "/dev/null", "-w", "%{http_code}", "-H", f"X-Device-ID: {device}",
         "-H", "X-Current-Version: 1.0.0", f"{url}/ota/firmware.bin"],
        capture_output=True, text=True,
    )
    assert poll.stdout == "304", poll.stderr
    seen = kedge("device", "show", "dev-1", "--json", data=data_dir.path).json
    assert seen["version"] == "1.0.0" and seen["last_seen"]


# ---- what the fleet has in common ----


COMMON = """{
  "schema": 1,
  "poll_interval_s": 600,
  "telemetry_interval_s": 60,
  "log_level": "warn",
  "temperature_offset_c": -1.25
}
"""


@pytest.fixture
def common(scratch):
    """common(text) → the path of a settings file that says so."""

    def write(text=COMMON):
        path = scratch / "fleet.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def with_members(**members):
    return json.dumps({"schema": 1, **members}, indent=0)


def device_json(provision):
    return json.loads((provision.folder / "storage/device.json").read_text())


def test_a_device_gets_the_settings_of_its_fleet_and_no_others(provision, common, scratch):
    """telemetry_interval_s is what the firmware has anyway: said is said."""
    done = provision("--settings", common())
    assert done.returncode == 0 and "fleet.json" not in done.stderr, done.stderr
    assert list(device_json(provision).items()) == [
        ("schema", 1), ("device_id", "dev-1"), ("server_url", SERVER),
        ("broker_host", "ota.example.com"), ("broker_port", provision.data.broker_port),
        ("poll_interval_s", 600), ("telemetry_interval_s", 60), ("log_level", "warn"),
        ("temperature_offset_c", -1.25),
    ]
    read_storage(provision.folder / "storage.bin", scratch / "image")
    factory = (scratch / "image/factory.json").read_bytes()
    assert factory == (scratch / "image/device.json").read_bytes()


def test_without_a_settings_file_the_firmware_chooses(provision):
    assert provision().returncode == 0
    assert list(device_json(provision)) == ["schema", "device_id", "server_url", "broker_host",
                                            "broker_port"]


def test_files_have_the_names_that_the_settings_give_them(provision, common, scratch):
    text = with_members(ca_file="root.pem", key_file="unit.key")
    assert provision("--settings", common(text)).returncode == 0
    settings = read_storage(provision.folder / "storage.bin", scratch / "image")
    assert settings["device.json"][-3:] == ["root.pem", "device.crt", "unit.key"]
    assert {p.name for p in (scratch / "image").iterdir()} == {
        "device.json", "factory.json", "root.pem", "device.crt", "unit.key"}


@pytest.mark.parametrize(
    "members, args, expected",
    [
        ({"broker_host": "mqtt.example.com"}, [], ("mqtt.example.com", 8883)),
        ({"broker_host": "mqtt.example.com", "broker_port": 1883}, [], ("mqtt.example.com", 1883)),
        ({"broker_port": 1883}, [], ("ota.example.com", 1883)),
        ({"broker_port": 1883}, ["--broker", "a"], ("a", 1883)),
        ({"broker_host": "a"}, ["--broker", "a:1883"], ("a", 1883)),
        ({"broker_host": "a", "device_id": "dev-1", "server_url": SERVER}, ["--broker", "a"],
         ("a", 8883)),
    ],
)
def test_the_broker_may_be_named_here_there_or_alike_in_both(provision, common, members, args, expected):
    done = provision("--settings", common(with_members(**members)), *args)
    assert done.returncode == 0, done.stderr
    made = device_json(provision)
    assert (made["broker_host"], made["broker_port"]) == expected


@pytest.mark.parametrize(
    "members, args, expected",
    [
        ({"device_id": "dev-9"}, [], 'device_id: "dev-9" is not what the command line says, '
                                     'expected "dev-1" or no such member'),
        ({"server_url": "https://b"}, [], f'server_url: "https://b" is not what the command line '
                                          f'says, expected "{SERVER}"'),
        ({"broker_host": "b"}, ["--broker", "a"], 'broker_host: "b" is not what'),
        ({"broker_port": 2}, ["--broker", "a:1"], "broker_port: 2 is not what the command line says, expected 1"),
    ],
)
def test_file_and_command_line_may_not_disagree(provision, common, members, args, expected):
    done = provision("--settings", common(with_members(**members)), *args)
    assert done.returncode == 1 and f"fleet.json: {expected}" in done.stderr, done.stderr
    assert not provision.folder.exists()


@pytest.mark.parametrize("members", [
    {"ca_file": "device.key"}, {"ca_file": "a", "key_file": "a"}, {"ca_file": "device.json"},
    {"key_file": "factory.json"}, {"certificate_file": "device.json.new"},
])
def test_two_files_cannot_have_one_name(provision, common, members):
    done = provision("--settings", common(with_members(**members)))
    assert done.returncode == 1 and "is another file's name" in done.stderr, done.stderr
    assert not provision.folder.exists()


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"schema":1,\n"pol_interval_s":60}', [":2: pol_interval_s: unknown member"]),
        ('{"schema":1,\n\n"poll_interval_s":5,\n"broker_port":"x"}',
         [":4: broker_port: not a number, expected a whole number 1..65535",
          ":3: poll_interval_s: out of range, expected a whole number 10..86400"]),
        ("{}", [": schema: missing, expected 1"]),
        ('{"schema":2}', [":1: schema: unknown version, expected 1"]),
        ('{"schema":1,\n"project":"a",\n"project":"a"}', [":3: project: named twice"]),
        ("", [":1: object expected"]),
        (bytes(range(256)), [":1: object expected"]),
        (b'{"schema":1,\n"project":"\xff\x00"}', [":2: character in a string"]),
        (json.dumps({"schema": 1, **{f"m{i}": i for i in range(9)}}),
         [f":1: m{i}: unknown member" for i in range(6)] + [": 3 more"]),
    ],
    ids=["unknown", "out_of_range", "no_schema", "schema_2", "twice", "empty", "garbage", "not_utf8",
         "many"],
)
def test_every_problem_of_a_settings_file_has_its_line(provision, common, text, expected):
    path = common(text)
    done = provision("--settings", path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"{path}{line}" for line in expected]
    assert not provision.folder.exists()


def test_a_settings_file_has_a_limit_and_has_to_be_there(provision, common):
    assert provision("--settings", common(COMMON + (2048 - len(COMMON)) * " ")).returncode == 0
    done = provision("--force", "--settings", common(COMMON + (2049 - len(COMMON)) * " "))
    assert done.returncode == 1
    assert "fleet.json: too large, expected at most 2048 bytes" in done.stderr
    done = provision("--force", "--settings", "nowhere.json")
    assert done.returncode == 3 and "nowhere.json: cannot be read" in done.stderr


# ---- what is refused ----


def test_a_device_that_was_never_added_is_exit_3(provision):
    done = provision(device="dev-2")
    assert done.returncode == 3
    assert "dev-2: has no certificate" in done.stderr and "kedge device add dev-2" in done.stderr


def test_a_folder_that_is_there_is_left_alone_without_force(provision):
    assert provision().returncode == 0
    before = (provision.folder / "nvs.bin").read_bytes()
    done = provision("--wifi-ssid", "other")
    assert done.returncode == 1 and "is already there; --force writes into it" in done.stderr
    assert (provision.folder / "nvs.bin").read_bytes() == before
    assert provision("--wifi-ssid", "other", "--force").returncode == 0
    assert (provision.folder / "nvs.bin").read_bytes() != before


@pytest.mark.parametrize(
    "args, code, expected",
    [
        (["--wifi-password-file", "nowhere"], 2, "expected --wifi-ssid with it"),
        (["--wifi-ssid", "a", "--wifi-password-file", "nowhere"], 3, "nowhere: cannot be read"),
        (["--wifi-ssid", ""], 2, "--wifi-ssid: expected 1 to 32 bytes"),
        (["--wifi-ssid", 33 * "a"], 2, "--wifi-ssid: expected 1 to 32 bytes"),
        (["--wifi-ssid", "a\nb"], 2, "without control characters"),
        (["--server", "http://a"], 2, "expected https://host or https://host:port"),
        (["--server", "https://a/ota"], 2, "expected https://host or https://host:port"),
        (["--broker", "a:0"], 2, "--broker: \"a:0\" is not understood"),
        (["--broker", "mqtts://a"], 2, "--broker: \"mqtts://a\" is not understood"),
        (["--broker", ":1883"], 2, "--broker: \":1883\" is not understood"),
        (["--partitions", "nowhere.csv"], 3, "nowhere.csv: cannot be read"),
        (["--partitions", VECTORS / "partition/bad-flag.csv", "--table-offset", "0x8000"], 1,
         "bad-flag.csv:1: partition flag: syntax error"),
        (["--table-offset", "0xF000"], 1, "expected at least 0x10000"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(provision, args, code, expected):
    done = provision(*args)
    assert done.returncode == code, done.stderr
    assert expected in done.stderr and done.stdout == ""
    assert not provision.folder.exists()


@pytest.mark.parametrize("password", ["short77", 64 * "x", 65 * "a", "umlaut ä 12345", "", "\nsecond line"])
def test_a_password_that_no_network_has_is_refused_and_not_shown(provision, scratch, password):
    (scratch / "bad").write_text(password)
    done = provision("--wifi-ssid", "a", "--wifi-password-file", scratch / "bad")
    assert done.returncode == 1
    assert "bad: not a Wi-Fi password, expected 8 to 63" in done.stderr
    assert password == "" or password not in done.stderr


ROW = "{}, data, {}, {}, {},\n"


@pytest.mark.parametrize(
    "table, expected",
    [
        (ROW.format("nvs", "nvs", "0xF000", "0x3000"), 'no partition "storage" of type data, subtype littlefs'),
        (ROW.format("storage", "littlefs", "0xF000", "64K"), 'no partition "nvs" of type data, subtype nvs'),
        (ROW.format("storage", "spiffs", "0xF000", "64K"), 'no partition "storage"'),
        (ROW.format("nvs", "nvs", "0xF000", "0x3000") + ROW.format("storage", "littlefs", "0x12000", "0xA000"),
         "partition storage: 0xa000 bytes, expected at least 0xb000"),
    ],
)
def test_a_table_without_room_is_refused(provision, scratch, table, expected):
    (scratch / "table.csv").write_text(table)
    done = provision("--partitions", scratch / "table.csv")
    assert done.returncode == 1 and expected in done.stderr, done.stderr
    assert not provision.folder.exists()


def test_a_small_table_that_has_just_room_will_do(provision, scratch):
    rows = ROW.format("nvs", "nvs", "0xF000", "0x3000") + ROW.format("storage", "littlefs", "0x12000", "0xB000")
    (scratch / "table.csv").write_text(rows)
    assert provision("--partitions", scratch / "table.csv").returncode == 0
    read_storage(provision.folder / "storage.bin", scratch / "image")


def test_server_has_to_be_named(provision):
    done = provision(base=["--partitions", TABLE])
    assert done.returncode == 2 and "--server" in done.stderr


def test_what_is_no_device_id_reaches_no_path(provision):
    done = provision(device="../ca")
    assert done.returncode == 2 and "../ca: not a device id" in done.stderr
