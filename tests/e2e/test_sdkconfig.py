# SPDX-License-Identifier: Apache-2.0
"""kedge sdkconfig check, and what we ship for it to check."""

import json
import re

import pytest

from conftest import ROOT, VECTORS

FIRMWARE = ROOT / "firmware"
TABLE = FIRMWARE / "partitions.csv"
CHIPS = ["esp32", "esp32s3", "esp32c3"]
FILES = sorted(FIRMWARE.glob("sdkconfig.defaults*"))


def layers(profile, chip):
    """The files that ESP-IDF reads for SDKCONFIG_DEFAULTS="sdkconfig.defaults;….<profile>"."""
    names = ["sdkconfig.defaults", f"sdkconfig.defaults.{profile}"]
    names = [n for name in names for n in (name, f"{name}.{chip}")]
    return [FIRMWARE / n for n in names if (FIRMWARE / n).exists()]


def check(kedge, *args):
    """Exit code and the answer as JSON."""
    done = kedge("sdkconfig", "check", "--json", *args)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def subjects(answer):
    return {fault["subject"] for fault in answer["faults"]}


def write(folder, name, *lines):
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder / name


# ---- ESP-IDF's default, and ours ----


@pytest.mark.parametrize("chip, count", [("esp32", 15), ("esp32s3", 14), ("esp32c3", 14)])
def test_the_default_of_esp_idf_has_at_least_eight_faults_each_with_its_fix(kedge, chip, count):
    code, answer = check(kedge, VECTORS / f"sdkconfig/default-{chip}-v5.5.5")
    assert code == 1 and answer["target"] == chip and answer["profile"] == "prod"
    assert len(answer["faults"]) == count >= 8
    for fault in answer["faults"]:
        assert all(re.fullmatch(r"CONFIG_\w+=\S+", line) for line in fault["fix"]) and fault["fix"]
        assert fault["why"] and "\n" not in fault["why"]
        assert fault["severity"] in ("brick", "open", "weak")
    assert {
        "CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE",
        "CONFIG_ESP_TASK_WDT_PANIC",
        "CONFIG_PARTITION_TABLE_OFFSET",
        "CONFIG_SECURE_BOOT",
        "CONFIG_SECURE_FLASH_ENC_ENABLED",
        "CONFIG_MBEDTLS_HAVE_TIME_DATE",
    } <= subjects(answer)


@pytest.mark.parametrize("chip", CHIPS)
def test_what_esp_idf_makes_of_our_production_files_has_none(kedge, chip):
    code, answer = check(
        kedge, "--partitions", TABLE, VECTORS / f"sdkconfig/prod-{chip}-v5.5.5")
    assert code == 0 and answer["faults"] == [] and answer["partitions"] == str(TABLE)


@pytest.mark.parametrize("chip", CHIPS)
def test_every_value_of_our_production_files_is_in_what_esp_idf_makes_of_them(chip):
    """Else the vector is of other files than these: make it anew."""
    made = (VECTORS / f"sdkconfig/prod-{chip}-v5.5.5").read_text().splitlines()
    wanted = {}
    for path in layers("prod", chip):
        wanted.update(re.findall(r"^(CONFIG_\w+)=(.*)$", path.read_text(), re.M))
    assert len(wanted) > 40
    for name, value in wanted.items():
        assert (f"# {name} is not set" if value == "n" else f"{name}={value}") in made


@pytest.mark.parametrize(
    "profile, chip", [(p, c) for p in ("prod", "dev") for c in CHIPS] + [("qemu", "esp32c3")])
def test_our_files_have_none(kedge, profile, chip):
    asked = "prod" if profile == "prod" else "dev"
    code, answer = check(
        kedge, "--target", chip, "--profile", asked, *layers(profile, chip))
    assert code == 0 and answer["faults"] == []
    assert answer["partitions"] == str(TABLE)  # found beside the first file


@pytest.mark.parametrize("chip", CHIPS)
def test_an_empty_file_has_the_faults_of_esp_idfs_default(kedge, scratch, chip):
    """The defaults that kedge knows are those that ESP-IDF's tool gave."""
    for profile in ("prod", "dev"):
        _, ours = check(kedge, "--target", chip, "--profile", profile, write(scratch, "empty"))
        _, real = check(
            kedge, "--profile", profile, VECTORS / f"sdkconfig/default-{chip}-v5.5.5")
        assert subjects(ours) == subjects(real)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_option_that_we_set_has_its_reason_above_it(path):
    reason = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert len(line) <= 100
        if line.startswith("CONFIG_"):
            assert reason, f"{path.name}:{number}"
        else:
            reason = line.startswith("# ") and not line.startswith("# ----")


def test_our_table_is_the_bytes_that_esp_idf_makes(kedge, scratch):
    rules = ["--secure", "v2", "--offset", "0xE000", "--flash-size", "4M"]
    done = kedge("partition", "check", TABLE, *rules)
    assert done.returncode == 0 and "ok, 8 partitions" in done.stdout
    assert kedge("partition", "gen", TABLE, "--out", scratch / "t.bin", *rules).returncode == 0
    expected = (VECTORS / "partition/production.bin").read_bytes()
    assert (scratch / "t.bin").read_bytes() == expected


# ---- files ----


def test_a_later_file_overrides_an_earlier_one_and_is_named(kedge, scratch):
    first = write(scratch, "first", "# base", "CONFIG_ESP_TASK_WDT_PANIC=y")
    second = write(scratch, "second", "", "# CONFIG_ESP_TASK_WDT_PANIC is not set")
    done = kedge("sdkconfig", "check", "--target", "esp32", first, second)
    assert f"CONFIG_ESP_TASK_WDT_PANIC is not set ({second}:2)" in done.stdout
    done = kedge("sdkconfig", "check", "--target", "esp32", second, first)
    assert "CONFIG_ESP_TASK_WDT_PANIC" not in done.stdout


def test_a_choice_names_who_was_chosen_instead(kedge, scratch):
    path = write(scratch, "x", "CONFIG_ESP_SYSTEM_PANIC_GDBSTUB=y")
    done = kedge("sdkconfig", "check", "--target", "esp32c3", path)
    expected = (f"CONFIG_ESP_SYSTEM_PANIC_PRINT_REBOOT is not set: "
                f"CONFIG_ESP_SYSTEM_PANIC_GDBSTUB is ({path}:1)")
    assert expected in done.stdout


@pytest.mark.parametrize(
    "line, new, fix",
    [
        ("CONFIG_SECURE_BOOT_ENABLED=y", "CONFIG_SECURE_BOOT_V1_ENABLED",
         ["CONFIG_SECURE_BOOT=y", "CONFIG_SECURE_BOOT_V2_ENABLED=y"]),
        ("CONFIG_FLASH_ENCRYPTION_ENABLED=y", "CONFIG_SECURE_FLASH_ENC_ENABLED",
         ["CONFIG_SECURE_FLASH_ENC_ENABLED=y"]),
        ("CONFIG_TASK_WDT_PANIC=y", "CONFIG_ESP_TASK_WDT_PANIC", ["CONFIG_ESP_TASK_WDT_PANIC=y"]),
    ],
)
def test_an_old_name_is_said_with_the_new_one(kedge, scratch, line, new, fix):
    path = write(scratch, "x", line)
    _, answer = check(kedge, "--target", "esp32", path)
    [fault] = [f for f in answer["faults"] if f["subject"] == line.partition("=")[0]]
    assert fault["found"] == f"is an old name of {new}" and fault["severity"] == "weak"
    assert fault["fix"] == fix and fault["file"] == str(path) and fault["line"] == 1


def test_faults_are_grouped_worst_first_and_the_last_line_sums_up(kedge):
    done = kedge("sdkconfig", "check", VECTORS / "sdkconfig/default-esp32c3-v5.5.5")
    lines = done.stdout.splitlines()
    heads = [line.partition(":")[0] for line in lines if line and line[0] != " "]
    assert heads == ["brick", "open", "weak", "esp32c3, profile prod"]
    assert "14 faults (5 brick, 6 open, 3 weak)" in lines[-1]
    assert sum(line.startswith("    why  ") for line in lines) == 14
    assert sum(line.startswith("    fix  ") for line in lines) == 14


@pytest.mark.parametrize(
    "text, expected",
    [
        (b"\nhello\n", ":2: not an option, expected CONFIG_NAME=value, or # for a comment"),
        (b"CONFIG_X=15 # why\n", ":1: a comment behind the value, expected the comment on a line"),
        (b"CONFIG_X=yes\n", ":1: not a value, expected y, n, a number or a string in quotes"),
        (b"\x7fELF\x01\x00", ":1: a control character, expected text"),
        (b"CONFIG_X=\"" + b"a" * 5000 + b"\"", ":1: a line of over 4096 characters"),
        (b"#" * 1048577, ": too large, expected at most 1048576 bytes"),
        (b"CONFIG_X=\n" * 32769, ":32769: too many options, expected at most 32768"),
    ],
    ids=["text", "comment", "value", "binary", "long-line", "large", "many"],
)
def test_a_line_that_is_none_is_named_and_nothing_is_judged(kedge, scratch, text, expected):
    (scratch / "bad").write_bytes(text)
    done = kedge("sdkconfig", "check", "--target", "esp32", scratch / "bad")
    assert done.returncode == 1 and done.stdout == ""
    assert f"{scratch / 'bad'}{expected}" in done.stderr


def test_every_bad_line_is_named_up_to_twenty(kedge, scratch):
    path = write(scratch, "bad", *["no option"] * 50)
    done = kedge("sdkconfig", "check", "--target", "esp32", path)
    assert len(done.stderr.splitlines()) == 20


@pytest.mark.parametrize(
    "args, lines, code, expected",
    [
        ([], [], 2, "--target: no FILE has CONFIG_IDF_TARGET, expected esp32, esp32s3 or esp32c3"),
        (["--target", "esp8266"], [], 2, "--target: \"esp8266\" is not known, expected esp32,"),
        ([], ["CONFIG_IDF_TARGET=\"esp32p4\""], 1, "CONFIG_IDF_TARGET is not known, expected"),
        (["--target", "esp32"], ["CONFIG_IDF_TARGET=\"esp32c3\""], 2,
         "--target: esp32, but CONFIG_IDF_TARGET is another chip"),
        (["--target", "esp32", "--profile", "test"], [], 2, "expected prod or dev"),
        (["--target", "esp32", "--partitions", "no-such.csv"], [], 3, "no-such.csv: cannot be read"),
    ],
)
def test_what_it_is_for_has_to_be_clear(kedge, scratch, args, lines, code, expected):
    done = kedge("sdkconfig", "check", *args, write(scratch, "x", *lines))
    assert done.returncode == code and done.stdout == "" and expected in done.stderr


def test_a_missing_file_is_exit_3(kedge):
    done = kedge("sdkconfig", "check", "--target", "esp32", "no-such-file")
    assert done.returncode == 3 and "no-such-file: cannot be read" in done.stderr


# ---- the partition table ----


def with_table(kedge, scratch, text, *options):
    """Faults of our production files with that table instead."""
    (scratch / "table.csv").write_text(text)
    extra = write(scratch, "extra", *options)
    _, answer = check(kedge, "--target", "esp32c3", "--partitions", scratch / "table.csv",
                      *layers("prod", "esp32c3"), extra)
    return {(f["subject"], f["found"], f["severity"]) for f in answer["faults"]}


@pytest.mark.parametrize("name, severity", [
    ("otadata", "brick"), ("nvs_keys", "brick"), ("ota_0", "brick"), ("ota_1", "brick"),
    ("fleet", "brick"), ("coredump", "weak"),
])
def test_a_partition_that_is_missing_is_named(kedge, scratch, name, severity):
    rows = [line for line in TABLE.read_text().splitlines() if not line.startswith(f"{name},")]
    faults = with_table(kedge, scratch, "\n".join(rows))
    assert (f"partition {name}", "is missing", severity) in faults


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("0xE000,", "0xE000, encrypted", ("partition nvs", "has the flag encrypted", "brick")),
        ("0xF000,   encrypted", "0xF000,", ("partition fleet", "is not encrypted", "open")),
        ("0x5F000,  encrypted", "0x5F000,", ("partition storage", "is not encrypted", "open")),
        ("0x10000,  encrypted", "0x10000,", ("partition coredump", "is not encrypted", "open")),
        ("littlefs,", "spiffs,", ("partition storage", "has the flag encrypted", "brick")),
        ("0x1E0000, 0x1B1000", "0x1E0000, 0x1B0000",
         ("partition ota_1", "is 0x1b0000 bytes, ota_0 0x1b1000", "weak")),
        ("storage,   data, littlefs, 0x3A1000, 0x5F000,  encrypted",
         "old, app, factory, 0x3B0000, 0x50000,", ("partition old", "is in the table", "open")),
        ("0xF000,   0x2000", "0x9000,   0x2000",
         ("partition table", "partition offset 0x9000: regions overlap, expected at least 0xf000",
          "brick")),
        ("0x5F000,", "0x6F000,",
         ("partition table",
          "partition end, past the flash 0x410000: too large, expected at most 0x400000", "brick")),
    ],
)
def test_a_partition_that_is_wrong_is_named(kedge, scratch, old, new, expected):
    text = TABLE.read_text()
    assert old in text
    assert with_table(kedge, scratch, text.replace(old, new)) == {expected}


def test_what_the_options_do_not_need_the_table_need_not_have(kedge, scratch):
    rows = [r for r in TABLE.read_text().splitlines()
            if not r.startswith(("nvs_keys,", "coredump,"))]
    (scratch / "table.csv").write_text("\n".join(rows).replace("encrypted", ""))
    _, answer = check(
        kedge, "--target", "esp32", "--profile", "dev", "--partitions", scratch / "table.csv",
        *layers("dev", "esp32"), write(scratch, "x", "CONFIG_ESP_COREDUMP_ENABLE_TO_UART=y"))
    assert subjects(answer) == {"CONFIG_ESP_COREDUMP_ENABLE_TO_FLASH"}


def test_a_table_is_looked_for_only_beside_the_file(kedge, scratch):
    (scratch / "inner").mkdir()
    (scratch / "up.csv").write_text("broken")
    custom = "CONFIG_PARTITION_TABLE_CUSTOM=y"
    for name in ("../up.csv", str(scratch / "up.csv"), "not-there.csv", ""):
        path = write(scratch / "inner", "x", custom,
                     f'CONFIG_PARTITION_TABLE_CUSTOM_FILENAME="{name}"')
        _, answer = check(kedge, "--target", "esp32", path)
        assert answer["partitions"] is None
    (scratch / "inner/partitions.csv").write_text("broken")
    _, answer = check(kedge, "--target", "esp32", write(scratch / "inner", "x", custom))
    assert answer["partitions"] == str(scratch / "inner/partitions.csv")
    assert "partition table" in subjects(answer)


# ---- docs ----


def test_the_page_has_every_rule(kedge):
    """docs/sdkconfig.md names each option of the table of rules."""
    rules = (ROOT / "cli/sdkconfig_rules.c").read_text()
    page = (ROOT / "docs/sdkconfig.md").read_text()
    options = set(re.findall(r'\.option = "(\w+)"', rules))
    assert len(options) > 40
    assert [o for o in sorted(options) if f"`{o}`" not in page] == []
