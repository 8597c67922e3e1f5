/* SPDX-License-Identifier: Apache-2.0 */
#include "sdkconfig_rules.h"

/* The least offset at which ESP-IDF's own examples put the table when Secure Boot V2 and flash
 * encryption are both in the bootloader. */
#define TABLE_OFFSET_MIN 0xD000u
#define FLASH_SIZE_MIN   0x400000u
#define MIB              0x100000u

/* ---- what one option does not tell ---- */

static bool panic_halts(const struct cli_sdk_config *config)
{
    return !cli_sdk_is_on(config, "ESP_SYSTEM_PANIC_PRINT_REBOOT") &&
           !cli_sdk_is_on(config, "ESP_SYSTEM_PANIC_SILENT_REBOOT");
}

static bool idle_of_second_core_unwatched(const struct cli_sdk_config *config)
{
    return !cli_sdk_is_on(config, "FREERTOS_UNICORE") &&
           !cli_sdk_is_on(config, "ESP_TASK_WDT_CHECK_IDLE_TASK_CPU1");
}

static bool interrupts_of_second_core_unwatched(const struct cli_sdk_config *config)
{
    return !cli_sdk_is_on(config, "FREERTOS_UNICORE") &&
           !cli_sdk_is_on(config, "ESP_INT_WDT_CHECK_CPU1");
}

static bool table_offset_is_small(const struct cli_sdk_config *config)
{
    uint64_t offset;
    return cli_sdk_number(config, "PARTITION_TABLE_OFFSET", &offset) != KEDGE_OK ||
           offset < TABLE_OFFSET_MIN;
}

uint32_t cli_sdk_flash_size(const struct cli_sdk_config *config)
{
    static const struct {
        const char *option;
        uint32_t size;
    } rows[] = {{"ESPTOOLPY_FLASHSIZE_1MB", MIB},       {"ESPTOOLPY_FLASHSIZE_2MB", 2 * MIB},
                {"ESPTOOLPY_FLASHSIZE_4MB", 4 * MIB},   {"ESPTOOLPY_FLASHSIZE_8MB", 8 * MIB},
                {"ESPTOOLPY_FLASHSIZE_16MB", 16 * MIB}, {"ESPTOOLPY_FLASHSIZE_32MB", 32 * MIB},
                {"ESPTOOLPY_FLASHSIZE_64MB", 64 * MIB}, {"ESPTOOLPY_FLASHSIZE_128MB", 128 * MIB}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (cli_sdk_is_on(config, rows[i].option)) {
            return rows[i].size;
        }
    }
    return 0;
}

static bool flash_is_small(const struct cli_sdk_config *config)
{
    uint32_t size = cli_sdk_flash_size(config);
    return size != 0 && size < FLASH_SIZE_MIN;
}

static bool version_is_over(const struct cli_sdk_config *config)
{
    uint64_t bits = config->target == CLI_SDK_ESP32 ? 32 : 16;
    uint64_t field = bits;
    uint64_t version;
    if (cli_sdk_number(config, "BOOTLOADER_APP_SEC_VER_SIZE_EFUSE_FIELD", &field) == KEDGE_OK &&
        field < bits) {
        bits = field;
    }
    return cli_sdk_number(config, "BOOTLOADER_APP_SECURE_VERSION", &version) != KEDGE_OK ||
           version > bits;
}

/* ESP32_REV_MIN_FULL is in a complete sdkconfig only. */
static bool secure_boot_is_v1(const struct cli_sdk_config *config)
{
    uint64_t revision;
    bool is_rev_3 =
        cli_sdk_is_on(config, "ESP32_REV_MIN_3") || cli_sdk_is_on(config, "ESP32_REV_MIN_3_1") ||
        (cli_sdk_number(config, "ESP32_REV_MIN_FULL", &revision) == KEDGE_OK && revision >= 300);
    return !is_rev_3 || cli_sdk_is_on(config, "SECURE_BOOT_V1_ENABLED");
}

static bool c3_revision_is_old(const struct cli_sdk_config *config)
{
    return cli_sdk_is_on(config, "ESP32C3_REV_MIN_0") ||
           cli_sdk_is_on(config, "ESP32C3_REV_MIN_1") || cli_sdk_is_on(config, "ESP32C3_REV_MIN_2");
}

static bool download_mode_is_open(const struct cli_sdk_config *config)
{
    return !cli_sdk_is_on(config, "SECURE_DISABLE_ROM_DL_MODE") &&
           !cli_sdk_is_on(config, "SECURE_ENABLE_SECURE_ROM_DL_MODE");
}

/* 5.1 knows no scheme but flash encryption; in a complete file of it nothing is said. */
static bool nvs_scheme_depends_on_version(const struct cli_sdk_config *config)
{
    return !config->is_complete && !cli_sdk_is_on(config, "NVS_SEC_KEY_PROTECT_USING_FLASH_ENC") &&
           !cli_sdk_is_on(config, "NVS_SEC_KEY_PROTECT_USING_HMAC");
}

static bool nvs_hmac_has_no_key(const struct cli_sdk_config *config)
{
    uint64_t block;
    return cli_sdk_is_on(config, "NVS_SEC_KEY_PROTECT_USING_HMAC") &&
           cli_sdk_number(config, "NVS_SEC_HMAC_EFUSE_KEY_ID", &block) != KEDGE_OK;
}

/* ---- the table ---- */

#define S3_C3 (CLI_SDK_ESP32S3 | CLI_SDK_ESP32C3)

/* docs/sdkconfig.md has a row for each. */
const struct cli_sdk_rule cli_sdk_rules[] = {
    /* brick */
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "BOOTLOADER_APP_ROLLBACK_ENABLE",
     .fix = "CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE=y",
     .why = "a bad image stays for good; the bootloader needs it from the first flashing on"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "PARTITION_TABLE_CUSTOM",
     .fix = "CONFIG_PARTITION_TABLE_CUSTOM=y\n"
            "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"partitions.csv\"",
     .why = "none of ESP-IDF's own tables has two slots, the journal and the core dump"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_TEST,
     .prod_only = true,
     .option = "PARTITION_TABLE_OFFSET",
     .is_wrong = table_offset_is_small,
     .fix = "CONFIG_PARTITION_TABLE_OFFSET=0xE000",
     .why = "the bootloader with Secure Boot V2 and flash encryption is larger than that, and no "
            "update can move the table"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "PARTITION_TABLE_MD5",
     .fix = "CONFIG_PARTITION_TABLE_MD5=y",
     .why = "Secure Boot does not sign the table; without its MD5 a torn one is believed"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_TEST,
     .option = "ESPTOOLPY_FLASHSIZE_4MB",
     .is_wrong = flash_is_small,
     .fix = "CONFIG_ESPTOOLPY_FLASHSIZE_4MB=y",
     .without_table = true,
     .why = "two slots, journal and storage do not fit"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "ESP_TASK_WDT_EN",
     .fix = "CONFIG_ESP_TASK_WDT_EN=y\nCONFIG_ESP_TASK_WDT_INIT=y",
     .why = "an image that hangs never resets, so it is never rolled back"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .when = "ESP_TASK_WDT_EN",
     .option = "ESP_TASK_WDT_INIT",
     .fix = "CONFIG_ESP_TASK_WDT_INIT=y",
     .why = "the task watchdog is not started: an image that hangs early never resets"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "ESP_TASK_WDT_PANIC",
     .fix = "CONFIG_ESP_TASK_WDT_PANIC=y",
     .why = "the task watchdog only prints: an image that hangs never resets"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "ESP_TASK_WDT_CHECK_IDLE_TASK_CPU0",
     .fix = "CONFIG_ESP_TASK_WDT_CHECK_IDLE_TASK_CPU0=y",
     .why = "a task that never blocks is not seen"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_TEST,
     .targets = CLI_SDK_DUAL_CORE,
     .option = "ESP_TASK_WDT_CHECK_IDLE_TASK_CPU1",
     .is_wrong = idle_of_second_core_unwatched,
     .fix = "CONFIG_ESP_TASK_WDT_CHECK_IDLE_TASK_CPU1=y",
     .why = "a task that never blocks on the second core is not seen"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "ESP_INT_WDT",
     .fix = "CONFIG_ESP_INT_WDT=y",
     .why = "an interrupt handler that hangs never resets"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_TEST,
     .targets = CLI_SDK_DUAL_CORE,
     .when = "ESP_INT_WDT",
     .option = "ESP_INT_WDT_CHECK_CPU1",
     .is_wrong = interrupts_of_second_core_unwatched,
     .fix = "CONFIG_ESP_INT_WDT_CHECK_CPU1=y",
     .why = "an interrupt handler that hangs on the second core never resets"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "BOOTLOADER_WDT_ENABLE",
     .fix = "CONFIG_BOOTLOADER_WDT_ENABLE=y",
     .why = "a hang between reset and app_main never resets"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_TEST,
     .option = "ESP_SYSTEM_PANIC_PRINT_REBOOT",
     .is_wrong = panic_halts,
     .fix = "CONFIG_ESP_SYSTEM_PANIC_PRINT_REBOOT=y",
     .why = "a panic halts, or waits for a debugger, instead of going back to the good image"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "ESP_BROWNOUT_DET",
     .fix = "CONFIG_ESP_BROWNOUT_DET=y",
     .why = "flash is written while the supply is too low for it"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST_NOT,
     .option = "SPI_FLASH_DANGEROUS_WRITE_ALLOWED",
     .fix = "CONFIG_SPI_FLASH_DANGEROUS_WRITE_ABORTS=y",
     .why = "a stray write can reach the bootloader and the partition table"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST_NOT,
     .option = "BOOTLOADER_SKIP_VALIDATE_ALWAYS",
     .fix = "CONFIG_BOOTLOADER_SKIP_VALIDATE_ALWAYS=n",
     .why = "an image that has gone bad is started instead of the other one"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST_NOT,
     .option = "BOOTLOADER_SKIP_VALIDATE_ON_POWER_ON",
     .fix = "CONFIG_BOOTLOADER_SKIP_VALIDATE_ON_POWER_ON=n",
     .why = "after power-on an image that has gone bad is started instead of the other one"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST_NOT,
     .option = "BOOTLOADER_SKIP_VALIDATE_IN_DEEP_SLEEP",
     .fix = "CONFIG_BOOTLOADER_SKIP_VALIDATE_IN_DEEP_SLEEP=n",
     .why = "a wake-up starts an image unchecked, its signature included"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST,
     .option = "ESP_HTTP_CLIENT_ENABLE_HTTPS",
     .fix = "CONFIG_ESP_HTTP_CLIENT_ENABLE_HTTPS=y",
     .why = "kedged speaks only TLS: the device would never get another update"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_TEST,
     .prod_only = true,
     .when = "BOOTLOADER_APP_ANTI_ROLLBACK",
     .option = "BOOTLOADER_APP_SECURE_VERSION",
     .is_wrong = version_is_over,
     .fix = "CONFIG_BOOTLOADER_APP_SECURE_VERSION=0",
     .why = "more than the chip has eFuse bits (ESP32 32, S3 and C3 16): such an image boots, but "
            "its confirmation fails"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .targets = S3_C3,
     .option = "SECURE_BOOT_ENABLE_AGGRESSIVE_KEY_REVOKE",
     .fix = "CONFIG_SECURE_BOOT_ENABLE_AGGRESSIVE_KEY_REVOKE=n",
     .why = "one failed check revokes a key for good, and with the last key goes the device"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_TEST,
     .prod_only = true,
     .targets = S3_C3,
     .when = "NVS_ENCRYPTION",
     .option = "NVS_SEC_KEY_PROTECT_USING_FLASH_ENC",
     .is_wrong = nvs_scheme_depends_on_version,
     .fix = "CONFIG_NVS_SEC_KEY_PROTECT_USING_FLASH_ENC=y",
     .why = "ESP-IDF 6 takes the HMAC peripheral unless told: NVS of devices in the field would "
            "not open"},
    {.severity = CLI_SDK_BRICK,
     .kind = CLI_SDK_TEST,
     .prod_only = true,
     .when = "NVS_ENCRYPTION",
     .option = "NVS_SEC_HMAC_EFUSE_KEY_ID",
     .is_wrong = nvs_hmac_has_no_key,
     .fix = "CONFIG_NVS_SEC_KEY_PROTECT_USING_FLASH_ENC=y",
     .why = "no eFuse block is named for the HMAC key: NVS does not open"},
    /* open */
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST,
     .prod_only = true,
     .option = "BOOTLOADER_APP_ANTI_ROLLBACK",
     .fix = "CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK=y",
     .why = "an old release with a known hole can be put back; needed from the first flashing on"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "BOOTLOADER_EFUSE_SECURE_VERSION_EMULATE",
     .fix = "CONFIG_BOOTLOADER_EFUSE_SECURE_VERSION_EMULATE=n",
     .why = "anti-rollback is kept in flash, where it can be erased, not in eFuses"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST,
     .prod_only = true,
     .option = "SECURE_BOOT",
     .fix = "CONFIG_SECURE_BOOT=y\nCONFIG_SECURE_BOOT_V2_ENABLED=y\n"
            "CONFIG_SECURE_SIGNED_APPS_RSA_SCHEME=y\nCONFIG_SECURE_BOOT_BUILD_SIGNED_BINARIES=n",
     .why = "the device runs any image"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_TEST,
     .prod_only = true,
     .targets = CLI_SDK_ESP32,
     .option = "ESP32_REV_MIN_3",
     .is_wrong = secure_boot_is_v1,
     .fix = "CONFIG_ESP32_REV_MIN_3=y\nCONFIG_SECURE_BOOT_V2_ENABLED=y",
     .why = "below revision 3.0 CONFIG_SECURE_BOOT means Secure Boot V1, another signature"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_TEST,
     .prod_only = true,
     .targets = CLI_SDK_ESP32C3,
     .option = "ESP32C3_REV_MIN_3",
     .is_wrong = c3_revision_is_old,
     .fix = "CONFIG_ESP32C3_REV_MIN_3=y",
     .why = "below revision 0.3 the chip has no Secure Boot, and ESP-IDF drops the option"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_SIGNED_APPS_ECDSA_SCHEME",
     .fix = "CONFIG_SECURE_SIGNED_APPS_RSA_SCHEME=y",
     .why = "that is the scheme of Secure Boot V1"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_SIGNED_APPS_ECDSA_V2_SCHEME",
     .fix = "CONFIG_SECURE_SIGNED_APPS_RSA_SCHEME=y",
     .why = "the ROM of this chip verifies RSA-3072 only"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .when = "SECURE_BOOT",
     .option = "SECURE_BOOT_BUILD_SIGNED_BINARIES",
     .fix = "CONFIG_SECURE_BOOT_BUILD_SIGNED_BINARIES=n",
     .why = "the signing key lies on the build host; sign afterwards, where the key is"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_BOOT_INSECURE",
     .fix = "CONFIG_SECURE_BOOT_INSECURE=n",
     .why = "lets options in that undo Secure Boot"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_BOOT_ALLOW_JTAG",
     .fix = "CONFIG_SECURE_BOOT_ALLOW_JTAG=n",
     .why = "JTAG reads and writes all memory"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .targets = CLI_SDK_ESP32,
     .option = "SECURE_BOOT_ALLOW_ROM_BASIC",
     .fix = "CONFIG_SECURE_BOOT_ALLOW_ROM_BASIC=n",
     .why = "the ROM's BASIC interpreter reads and writes all memory"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_BOOT_ALLOW_SHORT_APP_PARTITION",
     .fix = "CONFIG_SECURE_BOOT_ALLOW_SHORT_APP_PARTITION=n",
     .why = "the image is not padded to 64 KiB: bytes behind it are mapped without being signed"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .targets = S3_C3,
     .option = "SECURE_BOOT_ALLOW_UNUSED_DIGEST_SLOTS",
     .fix = "CONFIG_SECURE_BOOT_ALLOW_UNUSED_DIGEST_SLOTS=n",
     .why = "whoever runs code once can burn a signing key of their own"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_BOOT_V2_ALLOW_EFUSE_RD_DIS",
     .fix = "CONFIG_SECURE_BOOT_V2_ALLOW_EFUSE_RD_DIS=n",
     .why = "whoever runs code once can make the key digest unreadable"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST,
     .prod_only = true,
     .option = "SECURE_FLASH_ENC_ENABLED",
     .fix = "CONFIG_SECURE_FLASH_ENC_ENABLED=y\nCONFIG_SECURE_FLASH_ENCRYPTION_MODE_RELEASE=y",
     .why = "whoever has the board reads keys and code out of its flash"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST,
     .prod_only = true,
     .when = "SECURE_FLASH_ENC_ENABLED",
     .option = "SECURE_FLASH_ENCRYPTION_MODE_RELEASE",
     .fix = "CONFIG_SECURE_FLASH_ENCRYPTION_MODE_RELEASE=y",
     .why = "development mode: plain text can be written over the UART"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST,
     .prod_only = true,
     .when = "SECURE_FLASH_ENC_ENABLED",
     .option = "SECURE_FLASH_CHECK_ENC_EN_IN_APP",
     .fix = "CONFIG_SECURE_FLASH_CHECK_ENC_EN_IN_APP=y",
     .why = "the app does not notice a device that was never encrypted"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_FLASH_UART_BOOTLOADER_ALLOW_ENC",
     .fix = "CONFIG_SECURE_FLASH_ENCRYPTION_MODE_RELEASE=y",
     .why = "the UART bootloader encrypts what it is given"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_FLASH_UART_BOOTLOADER_ALLOW_DEC",
     .fix = "CONFIG_SECURE_FLASH_ENCRYPTION_MODE_RELEASE=y",
     .why = "the UART bootloader decrypts what it reads"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "SECURE_FLASH_UART_BOOTLOADER_ALLOW_CACHE",
     .fix = "CONFIG_SECURE_FLASH_ENCRYPTION_MODE_RELEASE=y",
     .why = "the UART bootloader reads flash through the cache, decrypted"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST,
     .prod_only = true,
     .targets = CLI_SDK_ESP32,
     .option = "SECURE_DISABLE_ROM_DL_MODE",
     .fix = "CONFIG_SECURE_DISABLE_ROM_DL_MODE=y",
     .why = "ROM download mode stays open: it has no secure variant on ESP32"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_TEST,
     .prod_only = true,
     .targets = S3_C3,
     .option = "SECURE_ENABLE_SECURE_ROM_DL_MODE",
     .is_wrong = download_mode_is_open,
     .fix = "CONFIG_SECURE_ENABLE_SECURE_ROM_DL_MODE=y",
     .why = "ROM download mode stays open: it reads flash and runs code from RAM"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST,
     .prod_only = true,
     .option = "NVS_ENCRYPTION",
     .fix = "CONFIG_NVS_ENCRYPTION=y\nCONFIG_NVS_SEC_KEY_PROTECT_USING_FLASH_ENC=y",
     .why = "flash encryption does not cover NVS: Wi-Fi passwords are plain text in flash"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .prod_only = true,
     .option = "EFUSE_VIRTUAL",
     .fix = "CONFIG_EFUSE_VIRTUAL=n",
     .why = "eFuses are simulated in RAM: nothing of the above is ever burnt"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .option = "ESP_SYSTEM_GDBSTUB_RUNTIME",
     .fix = "CONFIG_ESP_SYSTEM_GDBSTUB_RUNTIME=n",
     .why = "whoever has the console stops the device and reads its memory"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST,
     .option = "MBEDTLS_HAVE_TIME_DATE",
     .fix = "CONFIG_MBEDTLS_HAVE_TIME_DATE=y",
     .why = "certificates are taken whatever their dates say, expired ones too"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .option = "ESP_TLS_INSECURE",
     .fix = "CONFIG_ESP_TLS_INSECURE=n",
     .why = "connections without a check of the server become possible"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .option = "ESP_TLS_SKIP_SERVER_CERT_VERIFY",
     .fix = "CONFIG_ESP_TLS_SKIP_SERVER_CERT_VERIFY=n",
     .why = "anybody can be the server"},
    {.severity = CLI_SDK_OPEN,
     .kind = CLI_SDK_MUST_NOT,
     .option = "ESP_HTTPS_OTA_ALLOW_HTTP",
     .fix = "CONFIG_ESP_HTTPS_OTA_ALLOW_HTTP=n",
     .why = "images are taken over plain HTTP"},
    /* weak */
    {.severity = CLI_SDK_WEAK,
     .kind = CLI_SDK_MUST,
     .option = "ESP_COREDUMP_ENABLE_TO_FLASH",
     .fix = "CONFIG_ESP_COREDUMP_ENABLE_TO_FLASH=y",
     .why = "a crash in the field leaves nothing to look at"},
    {.severity = CLI_SDK_WEAK,
     .kind = CLI_SDK_MUST,
     .option = "FREERTOS_WATCHPOINT_END_OF_STACK",
     .fix = "CONFIG_FREERTOS_WATCHPOINT_END_OF_STACK=y",
     .why = "a stack that overflows is noticed at the next task switch, if at all"},
    {.severity = CLI_SDK_WEAK,
     .kind = CLI_SDK_MUST_NOT,
     .option = "FREERTOS_CHECK_STACKOVERFLOW_NONE",
     .fix = "CONFIG_FREERTOS_CHECK_STACKOVERFLOW_CANARY=y",
     .why = "a stack that overflows is not noticed at task switches"},
    {.severity = CLI_SDK_WEAK,
     .kind = CLI_SDK_MUST_NOT,
     .option = "COMPILER_STACK_CHECK_MODE_NONE",
     .fix = "CONFIG_COMPILER_STACK_CHECK_MODE_STRONG=y",
     .why = "a buffer that overflows on the stack goes on as something else"},
    {0},
};
