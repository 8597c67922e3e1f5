/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/log.h"

static unsigned count_files(const struct fixture *f, const char *folder)
{
    char path[128];
    unsigned count = 0;
    (void)snprintf(path, sizeof path, "%s/%s", f->data, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return count;
}

static void assert_nothing_stored(struct fixture *f, unsigned releases)
{
    assert_int_equal(count_files(f, "tmp"), 0);
    assert_int_equal(count_files(f, "releases"), releases);
    assert_int_equal(f->core->release_count, releases);
    assert_int_equal(audit_count(f, "release.add"), releases);
}

static void upload_vector(struct fixture *f, const char *name, size_t chunk, unsigned status)
{
    size_t len;
    uint8_t *data = read_vector(name, &len);
    (void)upload(f, data, len, chunk, status);
    free(data);
}

static void images_of_other_tools_are_taken_in_any_chunking(void **state)
{
    struct fixture *f = *state;
    static const char *const good[] = {
        "image/esp32-1.0.0.bin",
        "image/esp32-nohash.bin",
        "image/esp32c3-2.0.0-rc.1.bin",
        "image/esp32s3-1.2.3-secver2.bin",
        "signature/signed-rsa-a-then-b.bin",
    };

    for (size_t i = 0; i < CASES(good); i++) {
        upload_vector(f, good[i], 1 + i * 977, 201);
        upload_vector(f, good[i], 65536, 200); /* the same again is no news */
    }

    assert_nothing_stored(f, CASES(good));
    (void)admin_get(f, "/api/v1/releases/1.2.3", 200);
    assert_string_equal(json_text(&f->answer, "chip"), "esp32s3");
    assert_int_equal(json_int(&f->answer, "secure_version"), 2);
    assert_string_equal(json_text(&f->answer, "created_by"), "tester");
    fixture_kill(f);
    assert_nothing_stored(f, CASES(good));
}

static void signature_sectors_have_to_hold(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {
        "signature/signed-rsa-a.bin",
        "signature/signed-rsa-abc.bin",
        "signature/signed-ec-a.bin",
        "signature/signed-ec-ab.bin",
    };

    for (size_t i = 0; i < CASES(names); i++) {
        size_t len;
        uint8_t *data = read_vector(names[i], &len);
        data[len - 4096 + 4] ^= 1; /* the digest field of block 0 */
        (void)upload(f, data, len, 4096, 400);
        assert_non_null(strstr(f->answer.body, "signature"));
        data[len - 4096 + 4] ^= 1;
        data[100] ^= 1; /* a byte of the image */
        (void)upload(f, data, len, 4096, 400);
        data[100] ^= 1;
        memset(data + len - 4096, 0xFF, 4096); /* a sector without a block */
        (void)upload(f, data, len, 4096, 400);
        free(data);
    }
    assert_nothing_stored(f, 0);
}

static void what_is_wrong_is_named_with_its_offset(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.0.0", 4096, &len);
    uint8_t *work = host_alloc(len + 8192);
    const struct {
        const char *what;
        size_t at;     /* byte to change */
        uint8_t value; /* to this */
        size_t keep;   /* bytes of the image */
        size_t extra;  /* zero bytes after it */
        const char *expected;
    } cases[] = {
        {"empty", 0, 0xE9, 0, 0, "empty"},
        {"not ESP", 0, 0x7F, len, 0, "offset 0"},
        {"no segments", 1, 0, len, 0, "offset 1"},
        {"no descriptor", 32, 0, len, 0, "offset 32"},
        {"flipped payload", 1000, (uint8_t)(image[1000] ^ 0xFF), len, 0, "offset"},
        {"flipped hash", len - 1, (uint8_t)(image[len - 1] ^ 0xFF), len, 0, "hash"},
        {"truncated head", 0, 0xE9, 20, 0, "too early"},
        {"truncated body", 0, 0xE9, len - 100, 0, "too early"},
        {"without its last byte", 0, 0xE9, len - 1, 0, "too early"},
        {"one byte too many", 0, 0xE9, len, 1, "follow the image"},
        {"a sector of zeros", 0, 0xE9, len, 4096, "follow the image"},
        {"two sectors", 0, 0xE9, len, 8192, "follow the image"},
        {"zeros up to a sector", 0, 0xE9, len, 8192 - len % 4096, "trailing bytes"},
    };

    for (size_t i = 0; i < CASES(cases); i++) {
        memset(work, 0, len + 8192);
        memcpy(work, image, cases[i].keep);
        if (cases[i].keep > 0) {
            work[cases[i].at] = cases[i].value;
        }
        (void)upload(f, work, cases[i].keep + cases[i].extra, 700, 400);
        if (strstr(f->answer.body, cases[i].expected) == NULL) {
            fail_msg("%s: %s does not say \"%s\"", cases[i].what, f->answer.body,
                     cases[i].expected);
        }
    }
    assert_nothing_stored(f, 0);
    free(work);
    free(image);
}

static void a_chip_that_we_do_not_know_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image =
        read_vector("image/esp32-nohash.bin", &len); /* its checksum skips the header */
    image[12] = 0x77;

    (void)upload(f, image, len, len, 400);

    assert_non_null(strstr(f->answer.body, "0x0077 at offset 12"));
    assert_nothing_stored(f, 0);
    free(image);
}

static void every_truncation_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.0.0", 256, &len);

    for (size_t n = 0; n < len; n++) {
        (void)upload(f, image, n, len, 400);
    }

    assert_nothing_stored(f, 0);
    (void)upload(f, image, len, len, 201);
    free(image);
}

static void only_our_project_with_a_usable_version_is_taken(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "", 4096, &len);
    (void)upload(f, image, len, len, 400);
    assert_non_null(strstr(f->answer.body, "version at offset 48 is empty"));
    free(image);
    image = make_image(KEDGE_CHIP_ESP32, "1.0\xC3\xA9", 4096, &len);
    (void)upload(f, image, len, len, 400);
    free(image);

    upload_vector(f, "image/esp32c3-full-length-strings.bin", 4096, 400);
    assert_non_null(strstr(f->answer.body, "project name at offset 80"));
    assert_nothing_stored(f, 0);
    f->config.project = NULL; /* any */
    upload_vector(f, "image/esp32c3-full-length-strings.bin", 4096, 201);
    assert_int_equal(strlen(json_text(&f->answer, "version")), 32);
}

static void a_release_never_changes(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.0.0", 8192, &len);
    add_release(f, "1.0.0", NULL);

    (void)upload(f, image, len, len, 409);

    assert_non_null(strstr(f->answer.body, "other bytes"));
    assert_nothing_stored(f, 1);
    free(image);
}

static void an_image_larger_than_a_slot_is_refused_before_and_during_the_upload(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.0.0", 8192, &len);
    struct srv_peer peer = {.address = "127.0.0.1:9"};
    struct srv_request request = {
        .method = SRV_POST, .has_content_length = true, .content_length = len, .peer = &peer};
    struct srv_response response;
    f->config.slot_size = len - 1;

    (void)upload(f, image, len, 1024, 413);
    srv_response_init(&response);
    assert_null(srv_release_upload.begin(f->core, &request, &response));
    assert_int_equal(response.status, 413);
    srv_response_free(&response);
    assert_nothing_stored(f, 0);
    f->config.slot_size = len;
    (void)upload(f, image, len, 1024, 201);
    free(image);
}

static void a_full_disk_is_507_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct rlimit old;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.0.0", 1024u * 1024, &len);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = 300 * 1024, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);

    (void)upload(f, image, len, 65536, 507);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_non_null(strstr(f->answer.body, "free some space"));
    assert_nothing_stored(f, 0);
    (void)upload(f, image, len, 65536, 201);
    free(image);
}

static void a_database_that_cannot_grow_refuses_and_keeps_its_word(void **state)
{
    struct fixture *f = *state;
    struct rlimit old;
    add_devices(f, "dev", 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);

    struct srv_device_row row = {.id = "dev02"};
    struct srv_actor actor = {.name = "tester", .address = ""};
    struct srv_refusal refusal;
    host_log_init("test", HOST_LOG_ERROR);
    bool added = srv_device_add(f->core, &actor, &row, &refusal);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(added);
    assert_int_equal(refusal.status, 503); /* EFBIG is an I/O error to SQLite, ENOSPC is not */
    assert_null(srv_device_find(f->core, "dev02"));
    assert_false(srv_store_in_transaction(f->core->store));
    assert_true(srv_device_add(f->core, &actor, &row, &refusal));
    fixture_kill(f);
    assert_non_null(srv_device_find(f->core, "dev02"));
    assert_int_equal(audit_count(f, "device.add"), 2);
}

static void an_upload_that_breaks_off_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint8_t *image = make_image(KEDGE_CHIP_ESP32, "1.0.0", 4096, &len);
    struct srv_peer peer = {.address = "127.0.0.1:9"};
    struct srv_request request = {.method = SRV_POST, .peer = &peer};
    struct srv_response response;
    srv_response_init(&response);
    void *begun = srv_release_upload.begin(f->core, &request, &response);
    assert_non_null(begun);
    assert_int_equal(
        srv_release_upload.write(begun, (struct kedge_cspan){.data = image, .len = 1000}),
        KEDGE_OK);
    assert_int_equal(count_files(f, "tmp"), 1);

    srv_release_upload.abort(begun);

    srv_response_free(&response);
    assert_nothing_stored(f, 0);
    free(image);
}

static void leftovers_of_a_killed_upload_are_removed_at_start(void **state)
{
    struct fixture *f = *state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/tmp/upload-abc", f->data);
    assert_int_equal(host_fs_write_atomic(path, "x", 1, 0600), KEDGE_OK);

    fixture_kill(f);

    assert_nothing_stored(f, 0);
}

#define UPLOAD_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPLOAD_TEST(images_of_other_tools_are_taken_in_any_chunking),
        UPLOAD_TEST(signature_sectors_have_to_hold),
        UPLOAD_TEST(what_is_wrong_is_named_with_its_offset),
        UPLOAD_TEST(a_chip_that_we_do_not_know_is_refused),
        UPLOAD_TEST(every_truncation_is_refused),
        UPLOAD_TEST(only_our_project_with_a_usable_version_is_taken),
        UPLOAD_TEST(a_release_never_changes),
        UPLOAD_TEST(an_image_larger_than_a_slot_is_refused_before_and_during_the_upload),
        UPLOAD_TEST(a_full_disk_is_507_and_leaves_nothing),
        UPLOAD_TEST(a_database_that_cannot_grow_refuses_and_keeps_its_word),
        UPLOAD_TEST(an_upload_that_breaks_off_leaves_nothing),
        UPLOAD_TEST(leftovers_of_a_killed_upload_are_removed_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
