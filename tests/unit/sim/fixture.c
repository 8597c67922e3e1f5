/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void fixture_init(struct fixture *fixture)
{
    static const struct sim_layout layout = {
        .otadata = {0xF000, 0x2000},
        .slots = {{0x20000, 0x1B1000}, {0x1E0000, 0x1B1000}},
        .slot_count = 2,
        .fleet = {0x1D1000, 0xF000},
    };
    *fixture = (struct fixture){.layout = layout};
    fixture->flash = sim_flash_create(&(struct sim_flash_config){.size_bytes = 0x400000});
    fixture->bootloader = (struct sim_bootloader){
        .chip_id = KEDGE_CHIP_ESP32, .chip_rev_full = 300, .rollback = true};
}

void fixture_encrypt(struct fixture *fixture)
{
    sim_flash_destroy(fixture->flash);
    fixture->flash = sim_flash_create(
        &(struct sim_flash_config){.size_bytes = 0x400000, .encrypted = true, .seed = 11});
}

void fixture_deinit(struct fixture *fixture)
{
    sim_flash_destroy(fixture->flash);
}

struct sim_boot_env fixture_env(struct fixture *fixture)
{
    return (struct sim_boot_env){.flash = fixture->flash,
                                 .layout = &fixture->layout,
                                 .bootloader = &fixture->bootloader,
                                 .secure_version = &fixture->secure_version};
}

struct sim_ota fixture_ota(struct fixture *fixture, enum sim_idf idf, int running)
{
    return (struct sim_ota){.env = fixture_env(fixture),
                            .idf = idf,
                            .rollback = fixture->bootloader.rollback,
                            .running = running};
}

void fixture_image(struct fixture *fixture, uint32_t slot, const char *version,
                   uint32_t secure_version)
{
    struct sim_image_spec spec = {.version = version,
                                  .project = "kedge-test",
                                  .chip_id = KEDGE_CHIP_ESP32,
                                  .secure_version = secure_version,
                                  .size_bytes = 8192,
                                  .behaviour = ""};
    struct host_buf image;
    struct kedge_fault fault;
    host_buf_init(&image, 65536);
    assert_int_equal(sim_firmware_build(&spec, &image, &fault), KEDGE_OK);
    sim_flash_program(fixture->flash, fixture->layout.slots[slot].offset, image.data,
                      (uint32_t)image.len);
    host_buf_free(&image);
}

void fixture_corrupt(struct fixture *fixture, uint32_t slot)
{
    uint8_t sector[SIM_FLASH_SECTOR_SIZE];
    uint32_t offset = fixture->layout.slots[slot].offset + SIM_FLASH_SECTOR_SIZE;
    assert_int_equal(sim_flash_read(fixture->flash, offset, sector, sizeof(sector)), KEDGE_OK);
    sector[100] ^= 0x10;
    sim_flash_program(fixture->flash, offset, sector, sizeof(sector));
}

static void put_record(struct fixture *fixture, uint32_t index, struct fixture_record record)
{
    uint8_t sector[SIM_FLASH_SECTOR_SIZE];
    memset(sector, 0xFF, sizeof(sector));
    if (record.seq != 0) {
        kedge_put_le32(sector, record.seq);
        kedge_put_le32(sector + 24, record.state);
        uint32_t crc = kedge_otadata_crc(record.seq);
        kedge_put_le32(sector + 28, record.bad_crc ? crc ^ 1u : crc);
    }
    sim_flash_program(fixture->flash,
                      fixture->layout.otadata.offset + index * SIM_FLASH_SECTOR_SIZE, sector,
                      sizeof(sector));
}

void fixture_erase_record(struct fixture *fixture, uint32_t index)
{
    assert_int_equal(sim_flash_erase(fixture->flash, fixture->layout.otadata.offset +
                                                         index * SIM_FLASH_SECTOR_SIZE),
                     KEDGE_OK);
}

void fixture_otadata(struct fixture *fixture, struct fixture_record first,
                     struct fixture_record second)
{
    const struct fixture_record records[2] = {first, second};
    for (uint32_t i = 0; i < 2; i++) {
        put_record(fixture, i, records[i]);
        if (records[i].seq == FIXTURE_ERASED) {
            fixture_erase_record(fixture, i);
        }
    }
}

static void expect_record(const struct kedge_otadata_record *found, struct fixture_record expected)
{
    if (expected.seq == FIXTURE_ERASED) {
        assert_false(kedge_otadata_crc_ok(found));
        assert_false(kedge_otadata_is_invalid(found));
        return;
    }
    if (expected.seq == 0) {
        assert_int_equal(found->seq, KEDGE_OTADATA_BLANK_SEQ);
        assert_int_equal(found->state, UINT32_MAX);
        return;
    }
    assert_int_equal(found->seq, expected.seq);
    assert_int_equal(found->state, expected.state);
    assert_int_equal(!kedge_otadata_crc_ok(found), expected.bad_crc);
}

void fixture_expect_otadata(const struct fixture *fixture, struct fixture_record first,
                            struct fixture_record second)
{
    struct kedge_otadata_record records[2];
    assert_int_equal(sim_otadata_read(fixture->flash, &fixture->layout, records), KEDGE_OK);
    expect_record(&records[0], first);
    expect_record(&records[1], second);
}

void fixture_expect_boot(struct fixture *fixture, int slot)
{
    struct sim_boot_env env = fixture_env(fixture);
    struct sim_boot boot;
    assert_int_equal(sim_boot_run(&env, &boot), KEDGE_OK);
    assert_int_equal(boot.slot, slot);
}

static void run_child(void (*fn)(struct sim_flash *flash), int err_fd)
{
    struct sim_flash *flash =
        sim_flash_create(&(struct sim_flash_config){.size_bytes = 64 * SIM_FLASH_SECTOR_SIZE});
    signal(SIGABRT, SIG_DFL);
    dup2(err_fd, STDERR_FILENO);
    fn(flash);
    _exit(0);
}

void fixture_expect_abort(void (*fn)(struct sim_flash *flash), const char *text)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run_child(fn, fds[1]);
    }
    close(fds[1]);
    char said[512] = {0};
    size_t len = 0;
    for (ssize_t got = 1; got > 0 && len < sizeof(said) - 1; len += (size_t)got) {
        got = read(fds[0], said + len, sizeof(said) - 1 - len);
        assert_true(got >= 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    close(fds[0]);

    assert_true(len > 0);
    assert_non_null(strstr(said, text));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}
