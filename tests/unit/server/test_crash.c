/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kedge/crypto.h"

#define SIZE  10000u
#define PIECE 4096u

/* A dump of printable bytes, so that it can travel as the fixture's text bodies. */
struct dump {
    char bytes[SIZE + 1];
    char sha256[65];
};

static struct dump make_dump(unsigned seed)
{
    struct dump dump;
    uint8_t digest[KEDGE_SHA256_SIZE];
    for (unsigned i = 0; i < SIZE; i++) {
        dump.bytes[i] = (char)('!' + (i * 31u + i / 90u) % 90u);
    }
    for (unsigned i = 0; i < 4; i++, seed /= 10u) {
        dump.bytes[i] = (char)('0' + seed % 10u);
    }
    dump.bytes[SIZE] = '\0';
    kedge_sha256_of(dump.bytes, SIZE, digest);
    kedge_hex_encode(digest, sizeof digest, dump.sha256);
    return dump;
}

static const struct answer *announce_more(struct fixture *f, const char *id,
                                          const struct dump *dump, const char *more,
                                          unsigned status)
{
    char body[KEDGE_MESSAGE_MAX];
    (void)snprintf(body, sizeof body,
                   "{\"size\":%u,\"sha256\":\"%s\",\"reset_reason\":\"panic\","
                   "\"firmware\":\"1.0.0\",\"task\":\"main\",\"pc\":\"400d1a2c\"%s}",
                   SIZE, dump->sha256, more);
    return device_post(f, id, "/crash", body, status);
}

static unsigned announce(struct fixture *f, const char *id, const struct dump *dump,
                         unsigned status)
{
    const struct answer *answer = announce_more(f, id, dump, "", status);
    return (unsigned)strtoul(header(answer, "X-Crash-Offset"), NULL, 10);
}

static const struct answer *send_raw(struct fixture *f, const char *id, const char *sha256,
                                     const char *range, const char *body, unsigned status)
{
    struct srv_peer peer = {.cert_state = SRV_CERT_OK, .address = "10.0.0.1:4711"};
    char headers[256];
    (void)snprintf(peer.cn, sizeof peer.cn, "%s", id);
    (void)snprintf(headers, sizeof headers, "X-Crash-SHA256: %s\nContent-Range: %s", sha256, range);
    return device_request(f, SRV_POST, &peer, "/crash/dump", headers, body, status);
}

static unsigned send_piece(struct fixture *f, const char *id, const struct dump *dump,
                           unsigned first, unsigned len, unsigned status)
{
    char range[64];
    char body[SIZE + 1];
    (void)snprintf(range, sizeof range, "bytes %u-%u/%u", first, first + len - 1u, SIZE);
    (void)snprintf(body, sizeof body, "%.*s", (int)len, dump->bytes + first);
    const struct answer *answer = send_raw(f, id, dump->sha256, range, body, status);
    return (unsigned)strtoul(header(answer, "X-Crash-Offset"), NULL, 10);
}

static void deliver(struct fixture *f, const char *id, const struct dump *dump)
{
    unsigned at = announce(f, id, dump, 201);
    while (at < SIZE) {
        at = send_piece(f, id, dump, at, SIZE - at < PIECE ? SIZE - at : PIECE, 200);
    }
}

static const char *path_of(const struct fixture *f, const char *id, const struct dump *dump,
                           const char *suffix)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/crashes/%s/%s%s", f->data, id, dump->sha256, suffix);
    return path;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void a_dump_arrives_in_pieces_and_is_there_for_the_operator(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    char path[64];
    add_devices(f, "dev", 1);

    assert_int_equal(announce(f, "dev01", &dump, 201), 0);
    assert_int_equal(send_piece(f, "dev01", &dump, 0, PIECE, 200), PIECE);
    const struct answer *list = admin_get(f, "/api/v1/crashes?device=dev01", 200);
    assert_string_equal(json_text(list, "crashes.0.dump"), "partial");
    assert_int_equal(json_int(list, "crashes.0.stored"), PIECE);
    int64_t id = json_int(list, "crashes.0.id");
    (void)snprintf(path, sizeof path, "/api/v1/crashes/%lld/dump", (long long)id);
    (void)admin_get(f, path, 404);
    assert_int_equal(send_piece(f, "dev01", &dump, PIECE, PIECE, 200), 2 * PIECE);
    assert_int_equal(send_piece(f, "dev01", &dump, 2 * PIECE, SIZE - 2 * PIECE, 200), SIZE);

    list = admin_get(f, "/api/v1/crashes", 200);
    assert_string_equal(json_text(list, "crashes.0.dump"), "complete");
    assert_string_equal(json_text(list, "crashes.0.device_id"), "dev01");
    assert_string_equal(json_text(list, "crashes.0.pc"), "0x400d1a2c");
    assert_string_equal(json_text(list, "crashes.0.reset_reason"), "panic");
    assert_string_equal(json_text(list, "crashes.0.version"), "1.0.0");
    assert_string_equal(json_text(list, "crashes.0.version_from"), "reporter");
    const struct answer *bytes = admin_get(f, path, 200);
    assert_int_equal(bytes->body_len, SIZE);
    assert_memory_equal(bytes->body, dump.bytes, SIZE);
    assert_int_equal(audit_count(f, "crash"), 1);
    assert_int_equal(audit_count(f, "crash.dump"), 1);
}

static void what_is_said_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    add_devices(f, "dev", 1);
    (void)announce(f, "dev01", &dump, 201);
    (void)send_piece(f, "dev01", &dump, 0, PIECE, 200);

    assert_int_equal(announce(f, "dev01", &dump, 200), PIECE);
    assert_int_equal(send_piece(f, "dev01", &dump, 0, PIECE, 409), PIECE);
    (void)send_piece(f, "dev01", &dump, PIECE, SIZE - PIECE, 200);
    assert_int_equal(send_piece(f, "dev01", &dump, PIECE, PIECE, 200), SIZE);
    assert_int_equal(announce(f, "dev01", &dump, 200), SIZE);
    assert_int_equal(audit_count(f, "crash"), 1);
    assert_int_equal(audit_count(f, "crash.dump"), 1);
}

static void a_piece_in_the_wrong_place_is_told_the_right_one(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    add_devices(f, "dev", 1);
    (void)announce(f, "dev01", &dump, 201);

    assert_int_equal(send_piece(f, "dev01", &dump, PIECE, PIECE, 409), 0);
    (void)send_piece(f, "dev01", &dump, 0, PIECE, 200);
    assert_int_equal(send_piece(f, "dev01", &dump, 100, PIECE, 409), PIECE);
    assert_int_equal(send_piece(f, "dev01", &dump, 2 * PIECE, 100, 409), PIECE);
}

static void hostile_pieces_are_refused(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    static const struct {
        const char *range;
        unsigned status;
    } cases[] = {
        {"", 400},
        {"bytes", 400},
        {"bytes 0-4", 400},
        {"bytes 0-4/", 400},
        {"bytes 0-4/*", 400},
        {"bytes */10000", 400},
        {"bytes 4-0/10000", 400},
        {"bytes 0-4/10000x", 400},
        {"bytes 0-4/4", 400},
        {"bytes -1-4/10000", 400},
        {"bytes 0x0-4/10000", 400},
        {"bytes 0-5/10000", 400}, /* the body has 5 bytes */
        {"bytes 0-4/10001", 400}, /* another size */
        {"bytes 0-4/1048577", 400},
        {"bytes 9998-10002/10003", 400},
        {"bytes 0-999999999999999999999/10000", 400},
        {"bytes 18446744073709551612-18446744073709551615/10000", 400},
        {"items 0-4/10000", 400},
        {"bytes 0-4/10000", 200},
    };
    add_devices(f, "dev", 2);
    (void)announce(f, "dev01", &dump, 201);

    for (size_t i = 0; i < CASES(cases); i++) {
        (void)send_raw(f, "dev01", dump.sha256, cases[i].range, "12345", cases[i].status);
    }
    (void)send_raw(f, "dev01", "", "bytes 5-9/10000", "12345", 400);
    (void)send_raw(f, "dev01", "../../../../etc/passwd", "bytes 5-9/10000", "12345", 400);
    (void)send_raw(f, "dev02", dump.sha256, "bytes 5-9/10000", "12345", 404); /* not its crash */
    (void)send_raw(f, "dev01", make_dump(2).sha256, "bytes 0-4/10000", "12345", 404);
    assert_int_equal(announce(f, "dev01", &dump, 200), 5);
    assert_false(exists(path_of(f, "dev02", &dump, ".part")));
}

static void limits_hold(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    char body[KEDGE_MESSAGE_MAX];
    char range[64];
    static char long_piece[SRV_CRASH_PIECE_MAX + 2];
    add_devices(f, "dev", 1);

    (void)snprintf(body, sizeof body,
                   "{\"size\":1048577,\"sha256\":\"%s\",\"reset_reason\":\"panic\","
                   "\"firmware\":\"1\"}",
                   dump.sha256);
    assert_string_equal(header(device_post(f, "dev01", "/crash", body, 413), "X-Crash-Offset"), "");
    (void)device_post(f, "dev01", "/crash", "{}", 400);
    (void)device_post(f, "dev01", "/crash", "", 400);
    (void)snprintf(body, sizeof body,
                   "{\"size\":1048576,\"sha256\":\"%s\",\"reset_reason\":\"panic\","
                   "\"firmware\":\"1\"}",
                   dump.sha256);
    (void)device_post(f, "dev01", "/crash", body, 201);
    (void)announce(f, "dev01", &dump, 422); /* the same hash, another size */
    memset(long_piece, 'x', sizeof long_piece - 1);
    (void)snprintf(range, sizeof range, "bytes 0-%zu/1048576", sizeof long_piece - 2);
    (void)send_raw(f, "dev01", dump.sha256, range, long_piece, 413);
    assert_int_equal(audit_count(f, "crash"), 1);
}

static void a_whole_that_is_not_what_was_announced_begins_again(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    struct dump other = make_dump(2);
    add_devices(f, "dev", 1);
    memcpy(other.sha256, dump.sha256, sizeof other.sha256);
    (void)announce(f, "dev01", &dump, 201);
    (void)send_piece(f, "dev01", &other, 0, PIECE, 200);

    assert_int_equal(send_piece(f, "dev01", &dump, PIECE, SIZE - PIECE, 409), 0);
    assert_false(exists(path_of(f, "dev01", &dump, ".part")));
    assert_false(exists(path_of(f, "dev01", &dump, "")));
    assert_int_equal(json_int(admin_get(f, "/api/v1/status", 200), "crash_mismatches"), 1);
    assert_int_equal(send_piece(f, "dev01", &dump, 0, SIZE, 200), SIZE);
}

static void a_kill_costs_nothing_that_was_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    add_devices(f, "dev", 1);
    (void)announce(f, "dev01", &dump, 201);
    fixture_kill(f);
    assert_int_equal(announce(f, "dev01", &dump, 200), 0);
    (void)send_piece(f, "dev01", &dump, 0, PIECE, 200);
    fixture_kill(f);

    assert_int_equal(send_piece(f, "dev01", &dump, PIECE, SIZE - PIECE, 200), SIZE);
    fixture_kill(f);
    assert_int_equal(announce(f, "dev01", &dump, 200), SIZE);
    assert_string_equal(json_text(admin_get(f, "/api/v1/crashes", 200), "crashes.0.dump"),
                        "complete");
}

static void write_file(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* Killed with the last piece on the disk: before the hash was looked at, and before the row. */
static void what_a_kill_left_undone_is_done_at_the_next_request(void **state)
{
    static const char *const suffixes[] = {".part", ""};
    struct fixture *f = *state;
    add_devices(f, "dev", 1);
    for (unsigned i = 0; i < 2; i++) {
        struct dump dump = make_dump(i);
        char part[512];
        (void)announce(f, "dev01", &dump, 201);
        (void)send_piece(f, "dev01", &dump, 0, PIECE, 200);
        (void)snprintf(part, sizeof part, "%s", path_of(f, "dev01", &dump, ".part"));
        write_file(part, dump.bytes, SIZE);
        assert_int_equal(rename(part, path_of(f, "dev01", &dump, suffixes[i])), 0);
        fixture_kill(f);

        assert_int_equal(announce(f, "dev01", &dump, 200), SIZE);
        assert_true(exists(path_of(f, "dev01", &dump, "")));
        assert_false(exists(path_of(f, "dev01", &dump, ".part")));
        assert_int_equal(audit_count(f, "crash.dump"), i + 1u);
    }
}

static void files_that_no_row_speaks_of_are_removed_at_start(void **state)
{
    struct fixture *f = *state;
    struct dump kept = make_dump(1);
    struct dump half = make_dump(2);
    struct dump stray = make_dump(3);
    char path[512];
    add_devices(f, "dev", 1);
    deliver(f, "dev01", &kept);
    (void)announce(f, "dev01", &half, 201);
    (void)send_piece(f, "dev01", &half, 0, PIECE, 200);
    write_file(path_of(f, "dev01", &stray, ".part"), "x", 1);
    write_file(path_of(f, "dev01", &kept, ".part"), "x", 1);
    (void)snprintf(path, sizeof path, "%s/crashes/dev01/README", f->data);
    write_file(path, "x", 1);

    fixture_restart(f);

    assert_true(exists(path_of(f, "dev01", &kept, "")));
    assert_true(exists(path_of(f, "dev01", &half, ".part")));
    assert_false(exists(path_of(f, "dev01", &kept, ".part")));
    assert_false(exists(path_of(f, "dev01", &stray, ".part")));
    assert_false(exists(path));
}

static void the_oldest_whole_dump_makes_way_and_its_row_stays(void **state)
{
    struct fixture *f = *state;
    struct dump dumps[SRV_CRASH_DUMPS + 1];
    add_devices(f, "dev", 2);
    (void)announce(f, "dev02", &(struct dump){.sha256 = "0"}, 400);
    dumps[0] = make_dump(0);
    (void)announce(f, "dev01", &dumps[0], 201); /* the oldest, but not all of it is here */
    (void)send_piece(f, "dev01", &dumps[0], 0, PIECE, 200);
    for (unsigned i = 1; i <= SRV_CRASH_DUMPS; i++) {
        dumps[i] = make_dump(i);
        deliver(f, "dev01", &dumps[i]);
    }

    assert_true(exists(path_of(f, "dev01", &dumps[0], ".part")));
    assert_false(exists(path_of(f, "dev01", &dumps[1], "")));
    assert_true(exists(path_of(f, "dev01", &dumps[2], "")));
    const struct answer *list = admin_get(f, "/api/v1/crashes?device=dev01", 200);
    assert_string_equal(json_text(list, "crashes.7.dump"), "removed");
    assert_string_equal(json_text(list, "crashes.8.dump"), "partial");
    (void)admin_get(f, "/api/v1/crashes/2/dump", 404);
    /* The device may forget what was here once; what never was here whole it may bring again. */
    assert_int_equal(announce(f, "dev01", &dumps[1], 200), SIZE);
    assert_int_equal(announce(f, "dev01", &dumps[0], 200), PIECE);
}

static void a_part_that_made_way_is_taken_again(void **state)
{
    struct fixture *f = *state;
    struct dump first = make_dump(0);
    add_devices(f, "dev", 1);
    (void)announce(f, "dev01", &first, 201);
    (void)send_piece(f, "dev01", &first, 0, PIECE, 200);
    for (unsigned i = 1; i <= SRV_CRASH_DUMPS; i++) {
        struct dump dump = make_dump(i);
        (void)announce(f, "dev01", &dump, 201); /* none is ever whole: the oldest goes */
    }
    assert_false(exists(path_of(f, "dev01", &first, ".part")));
    (void)send_piece(f, "dev01", &first, PIECE, PIECE, 404);

    assert_int_equal(announce(f, "dev01", &first, 200), 0);
    assert_int_equal(send_piece(f, "dev01", &first, 0, SIZE, 200), SIZE);
}

static void a_boot_loop_is_heard_sixteen_times_an_hour_and_fills_no_table(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 2);
    for (unsigned i = 0; i < SRV_CRASH_PER_HOUR; i++) {
        struct dump dump = make_dump(i);
        (void)announce(f, "dev01", &dump, 201);
    }
    struct dump more = make_dump(200);
    const struct answer *answer = announce_more(f, "dev01", &more, "", 429);
    assert_string_equal(header(answer, "Retry-After"), "3600");
    (void)announce(f, "dev02", &more, 201);

    fixture_pass(f, 3600000);
    for (unsigned i = 0; i < SRV_CRASH_ROWS; i++) {
        struct dump dump = make_dump(100 + i);
        fixture_pass(f, 600000);
        (void)announce(f, "dev01", &dump, 201);
    }
    cJSON *json = cJSON_Parse(admin_get(f, "/api/v1/crashes?device=dev01&limit=1000", 200)->body);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "crashes")), SRV_CRASH_ROWS);
    cJSON_Delete(json);
}

static void the_version_that_crashed_is_the_release_with_that_build(void **state)
{
    struct fixture *f = *state;
    char elf[65], more[128];
    add_devices(f, "dev", 1);
    add_release(f, "1.0.0", NULL);
    add_release(f, "1.1.0-bad", NULL);
    (void)snprintf(elf, sizeof elf, "%s", f->core->releases[1]->row.elf_sha256);
    assert_string_not_equal(elf, f->core->releases[0]->row.elf_sha256);

    static const struct {
        int digits;
        const char *version, *from;
    } cases[] = {{9, "1.1.0-bad", "release"},
                 {64, "1.1.0-bad", "release"},
                 {7, "1.0.0", "reporter"},
                 {0, "1.0.0", "reporter"}};
    for (unsigned i = 0; i < CASES(cases); i++) {
        struct dump dump = make_dump(i);
        (void)snprintf(more, sizeof more, ",\"elf_sha256\":\"%.*s\"", cases[i].digits, elf);
        (void)announce_more(f, "dev01", &dump, more, 201);
        const struct answer *list = admin_get(f, "/api/v1/crashes?limit=1", 200);
        assert_string_equal(json_text(list, "crashes.0.version"), cases[i].version);
        assert_string_equal(json_text(list, "crashes.0.version_from"), cases[i].from);
        assert_string_equal(json_text(list, "crashes.0.reporter"), "1.0.0");
    }
}

static void an_operator_who_asks_for_what_is_not_there_hears_it(void **state)
{
    struct fixture *f = *state;
    add_devices(f, "dev", 1);

    (void)admin_get(f, "/api/v1/crashes?device=nobody", 404);
    (void)admin_get(f, "/api/v1/crashes?limit=0x7FFFFFFF", 400);
    (void)admin_get(f, "/api/v1/crashes/1/dump", 404);
    (void)admin_get(f, "/api/v1/crashes/x/dump", 404);
    (void)admin_get(f, "/api/v1/crashes/0/dump", 404);
    cJSON *json = cJSON_Parse(admin_get(f, "/api/v1/crashes?device=dev01", 200)->body);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "crashes")), 0);
    cJSON_Delete(json);
}

static void who_is_not_registered_or_revoked_brings_nothing(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    add_devices(f, "dev", 1);
    (void)announce(f, "dev01", &dump, 201);
    (void)announce(f, "stranger", &dump, 403);
    (void)admin_post(f, "/api/v1/devices/dev01/revoke", "", 200);

    (void)announce(f, "dev01", &dump, 403);
    (void)send_piece(f, "dev01", &dump, 0, PIECE, 403);
}

static void a_server_that_stops_asks_to_come_again(void **state)
{
    struct fixture *f = *state;
    struct dump dump = make_dump(1);
    add_devices(f, "dev", 1);
    f->core->closing = true;
    assert_string_equal(header(announce_more(f, "dev01", &dump, "", 503), "Retry-After"), "30");
    (void)send_piece(f, "dev01", &dump, 0, PIECE, 503);
    f->core->closing = false;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dump_arrives_in_pieces_and_is_there_for_the_operator),
        TEST(what_is_said_again_changes_nothing),
        TEST(a_piece_in_the_wrong_place_is_told_the_right_one),
        TEST(hostile_pieces_are_refused),
        TEST(limits_hold),
        TEST(a_whole_that_is_not_what_was_announced_begins_again),
        TEST(a_kill_costs_nothing_that_was_acknowledged),
        TEST(what_a_kill_left_undone_is_done_at_the_next_request),
        TEST(files_that_no_row_speaks_of_are_removed_at_start),
        TEST(the_oldest_whole_dump_makes_way_and_its_row_stays),
        TEST(a_part_that_made_way_is_taken_again),
        TEST(a_boot_loop_is_heard_sixteen_times_an_hour_and_fills_no_table),
        TEST(the_version_that_crashed_is_the_release_with_that_build),
        TEST(an_operator_who_asks_for_what_is_not_there_hears_it),
        TEST(who_is_not_registered_or_revoked_brings_nothing),
        TEST(a_server_that_stops_asks_to_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
