/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "store/store.h"

/* What every backend of store.h has to do. Only open, reopen and drop below know which one it is.
 */

struct suite {
    char folder[64];
    char path[80];
    struct srv_store *store;
};

static int open_empty(void **state)
{
    struct suite *s = calloc(1, sizeof *s);
    host_log_init("test", HOST_LOG_ERROR);
    (void)snprintf(s->folder, sizeof s->folder, "/tmp/kedge-store-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    (void)snprintf(s->path, sizeof s->path, "%s/kedge.db", s->folder);
    assert_int_equal(srv_store_open(s->path, &s->store), KEDGE_OK);
    *state = s;
    return 0;
}

static int drop(void **state)
{
    struct suite *s = *state;
    char path[96];
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    srv_store_close(s->store);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s%s", s->path, suffixes[i]);
        (void)unlink(path);
    }
    (void)rmdir(s->folder);
    free(s);
    return 0;
}

static void reopen(struct suite *s)
{
    srv_store_close(s->store);
    assert_int_equal(srv_store_open(s->path, &s->store), KEDGE_OK);
}

/* --- rows with something in every field ----------------------------------------------------------
 */

static struct srv_release_row release_row(char digit, const char *version)
{
    struct srv_release_row row = {
        .secure_version = 2, .size = 0x1B1000, .created_at = 1770000000123};
    memset(row.sha256, digit, 64);
    memset(row.elf_sha256, 'e', 64);
    (void)snprintf(row.project, sizeof row.project, "kedge-demo");
    (void)snprintf(row.chip, sizeof row.chip, "esp32s3");
    (void)snprintf(row.version, sizeof row.version, "%s", version);
    (void)snprintf(row.notes, sizeof row.notes, "it's \"quoted\"; DROP TABLE releases;--");
    (void)snprintf(row.created_by, sizeof row.created_by, "tester");
    return row;
}

static struct srv_device_row device_row(const char *id)
{
    struct srv_device_row row = {.created_at = 1,
                                 .revoked_at = 2,
                                 .first_seen = 3,
                                 .last_seen = 4,
                                 .version_since = 5,
                                 .slot_size = UINT32_MAX,
                                 .secure_version = 7,
                                 .link_since = 8,
                                 .telemetry_at = 9,
                                 .telemetry = {.uptime_s = 10,
                                               .free_heap_bytes = 11,
                                               .min_free_heap_bytes = 12,
                                               .largest_block_bytes = 13,
                                               .rssi_dbm = -71,
                                               .reset_reason = KEDGE_RESET_TASK_WDT,
                                               .has_temperature = true,
                                               .temperature_mc = -12500,
                                               .boot_count = 14}};
    (void)snprintf(row.id, sizeof row.id, "%s", id);
    (void)snprintf(row.chip, sizeof row.chip, "esp32");
    memset(row.cert_sha256, 'c', 64);
    (void)snprintf(row.version, sizeof row.version, "1.2.3");
    memset(row.elf_sha256, 'd', 64);
    (void)snprintf(row.boot_caps, sizeof row.boot_caps, "rollback,pending");
    (void)snprintf(row.link, sizeof row.link, "online");
    return row;
}

static struct srv_rollout_row rollout_row(int64_t release_id)
{
    struct srv_rollout_row row = {.release_id = release_id,
                                  .plan = {.stage_count = 3,
                                           .percent = {1, 50, 100},
                                           .max_failures = 3,
                                           .pace = 4,
                                           .soak_ms = 90ull * 24 * 3600 * 1000,
                                           .silence_ms = 6},
                                  .force = true,
                                  .allow_no_rollback = true,
                                  .state = FLEET_ROLLOUT_PAUSED,
                                  .stage = 1,
                                  .created_at = 7,
                                  .progress_at = 8,
                                  .halted_at = 9,
                                  .ended_at = 10};
    (void)snprintf(row.halt_reason, sizeof row.halt_reason, "{\"failed\":1}");
    (void)snprintf(row.created_by, sizeof row.created_by, "tester");
    return row;
}

static struct srv_member_row member_row(int64_t rollout_id, const char *device, uint32_t position)
{
    struct srv_member_row row = {.rollout_id = rollout_id,
                                 .position = position,
                                 .stage = 2,
                                 .state = FLEET_MEMBER_INSTALLING,
                                 .attempt = UINT32_MAX,
                                 .offered_at = 1,
                                 .heard_at = 2,
                                 .changed_at = 3,
                                 .downloads = 4,
                                 .bytes_sent = 1ull << 40,
                                 .acknowledged = true};
    (void)snprintf(row.device_id, sizeof row.device_id, "%s", device);
    (void)snprintf(row.cause, sizeof row.cause, "superseded");
    return row;
}

static struct srv_telemetry_row telemetry_row(const char *device, int64_t ts, uint32_t boot_id,
                                              uint32_t seq)
{
    struct srv_telemetry_row row = {.ts = ts, .boot_id = boot_id, .seq = seq};
    row.values = device_row("x").telemetry;
    row.values.uptime_s = seq;
    (void)snprintf(row.device_id, sizeof row.device_id, "%s", device);
    (void)snprintf(row.firmware, sizeof row.firmware, "1.0.0");
    return row;
}

/* Rows as they come out, up to a few. */
struct collected {
    size_t count;
    struct srv_release_row releases[4];
    struct srv_device_row devices[4];
    struct srv_rollout_row rollouts[4];
    struct srv_member_row members[4];
    struct srv_telemetry_row telemetry[4];
    int64_t audit_ids[4];
    char audit[4][256];
};

static void collect_release(void *ctx, const struct srv_release_row *row)
{
    struct collected *c = ctx;
    c->releases[c->count++] = *row;
}

static void collect_device(void *ctx, const struct srv_device_row *row)
{
    struct collected *c = ctx;
    c->devices[c->count++] = *row;
}

static void collect_rollout(void *ctx, const struct srv_rollout_row *row)
{
    struct collected *c = ctx;
    c->rollouts[c->count++] = *row;
}

static void collect_member(void *ctx, const struct srv_member_row *row)
{
    struct collected *c = ctx;
    c->members[c->count++] = *row;
}

static void collect_telemetry(void *ctx, const struct srv_telemetry_row *row)
{
    struct collected *c = ctx;
    c->telemetry[c->count++] = *row;
}

static void collect_audit(void *ctx, const struct srv_audit_row *row)
{
    struct collected *c = ctx;
    c->audit_ids[c->count] = row->id;
    (void)snprintf(c->audit[c->count++], sizeof c->audit[0], "%lld %s %s %s %s %s",
                   (long long)row->ts, row->actor, row->address, row->action, row->subject,
                   row->detail);
}

static void add_base(struct suite *s, int64_t *release_id, int64_t *rollout_id)
{
    struct srv_release_row release = release_row('a', "1.0.0");
    struct srv_device_row device = device_row("dev-1");
    assert_int_equal(srv_store_release_insert(s->store, &release, release_id), KEDGE_OK);
    assert_int_equal(srv_store_device_insert(s->store, &device), KEDGE_OK);
    struct srv_rollout_row rollout = rollout_row(*release_id);
    assert_int_equal(srv_store_rollout_insert(s->store, &rollout, rollout_id), KEDGE_OK);
}

/* --- the suite ----------------------------------------------------------------------------------
 */

static void releases_come_back_as_they_went_in(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    struct srv_release_row row = release_row('a', "1.0.0");
    c.count = 0;

    assert_int_equal(srv_store_release_insert(s->store, &row, &row.id), KEDGE_OK);
    reopen(s);
    assert_int_equal(srv_store_release_each(s->store, collect_release, &c), KEDGE_OK);

    assert_int_equal(c.count, 1);
    assert_memory_equal(&c.releases[0], &row, sizeof row);
}

static void a_release_is_unique_by_digest_and_by_name(void **state)
{
    struct suite *s = *state;
    int64_t id = 0;
    struct srv_release_row first = release_row('a', "1.0.0");
    struct srv_release_row same_digest = release_row('a', "1.0.1");
    struct srv_release_row same_name = release_row('b', "1.0.0");
    struct srv_release_row other_chip = release_row('b', "1.0.0");
    (void)snprintf(other_chip.chip, sizeof other_chip.chip, "esp32");

    assert_int_equal(srv_store_release_insert(s->store, &first, &id), KEDGE_OK);
    assert_int_equal(srv_store_release_insert(s->store, &same_digest, &id), KEDGE_ERR_DUPLICATE);
    assert_int_equal(srv_store_release_insert(s->store, &same_name, &id), KEDGE_ERR_DUPLICATE);
    assert_int_equal(srv_store_release_insert(s->store, &other_chip, &id), KEDGE_OK);
}

static void devices_come_back_as_they_went_in(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    struct srv_device_row rows[2] = {device_row("dev-1"), device_row("dev-2")};
    c.count = 0;
    rows[0].telemetry.has_temperature = false;
    rows[0].telemetry.temperature_mc = 0;

    assert_int_equal(srv_store_device_insert(s->store, &rows[1]), KEDGE_OK);
    assert_int_equal(srv_store_device_insert(s->store, &rows[0]), KEDGE_OK);
    assert_int_equal(srv_store_device_insert(s->store, &rows[0]), KEDGE_ERR_DUPLICATE);
    (void)snprintf(rows[1].version, sizeof rows[1].version, "2.0.0");
    rows[1].revoked_at = 77;
    rows[1].telemetry.rssi_dbm = -90;
    assert_int_equal(srv_store_device_update(s->store, &rows[1]), KEDGE_OK);
    reopen(s);
    assert_int_equal(srv_store_device_each(s->store, collect_device, &c), KEDGE_OK);

    assert_int_equal(c.count, 2);
    assert_memory_equal(c.devices, rows, sizeof rows);
}

static void a_device_that_is_not_there_cannot_be_updated(void **state)
{
    struct suite *s = *state;
    struct srv_device_row row = device_row("ghost");

    assert_int_equal(srv_store_device_update(s->store, &row), KEDGE_ERR_NOT_FOUND);
}

static void rollouts_come_back_as_they_went_in(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    int64_t release_id = 0;
    struct srv_release_row release = release_row('a', "1.0.0");
    c.count = 0;
    assert_int_equal(srv_store_release_insert(s->store, &release, &release_id), KEDGE_OK);
    struct srv_rollout_row row = rollout_row(release_id);

    assert_int_equal(srv_store_rollout_insert(s->store, &row, &row.id), KEDGE_OK);
    row.state = FLEET_ROLLOUT_COMPLETE;
    row.stage = 2;
    row.ended_at = 99;
    row.halt_reason[0] = '\0';
    memset(row.halt_reason, 0, sizeof row.halt_reason);
    assert_int_equal(srv_store_rollout_update(s->store, &row), KEDGE_OK);
    reopen(s);
    assert_int_equal(srv_store_rollout_each(s->store, collect_rollout, &c), KEDGE_OK);

    assert_int_equal(c.count, 1);
    assert_memory_equal(&c.rollouts[0], &row, sizeof row);
    row.id = 4711;
    assert_int_equal(srv_store_rollout_update(s->store, &row), KEDGE_ERR_NOT_FOUND);
}

static void a_rollout_needs_its_release_and_a_member_its_device(void **state)
{
    struct suite *s = *state;
    int64_t release_id = 0;
    int64_t rollout_id = 0;
    struct srv_rollout_row orphan = rollout_row(4711);
    add_base(s, &release_id, &rollout_id);
    struct srv_member_row ghost = member_row(rollout_id, "ghost", 0);

    assert_int_not_equal(srv_store_rollout_insert(s->store, &orphan, &orphan.id), KEDGE_OK);
    assert_int_not_equal(srv_store_member_put(s->store, &ghost), KEDGE_OK);
}

static void members_come_back_by_rollout_and_position(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    int64_t release_id = 0;
    int64_t rollout_id = 0;
    add_base(s, &release_id, &rollout_id);
    struct srv_device_row other = device_row("a-dev");
    assert_int_equal(srv_store_device_insert(s->store, &other), KEDGE_OK);
    struct srv_member_row rows[2] = {member_row(rollout_id, "dev-1", 0),
                                     member_row(rollout_id, "a-dev", 1)};
    c.count = 0;

    assert_int_equal(srv_store_member_put(s->store, &rows[1]), KEDGE_OK);
    assert_int_equal(srv_store_member_put(s->store, &rows[0]), KEDGE_OK);
    rows[0].state = FLEET_MEMBER_FAILED;
    rows[0].acknowledged = false;
    assert_int_equal(srv_store_member_put(s->store, &rows[0]), KEDGE_OK); /* replaces */
    reopen(s);
    assert_int_equal(srv_store_member_each(s->store, collect_member, &c), KEDGE_OK);

    assert_int_equal(c.count, 2);
    assert_memory_equal(c.members, rows, sizeof rows);
}

static void only_failures_of_that_rollout_are_acknowledged(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    int64_t release_id = 0;
    int64_t ids[2] = {0, 0};
    add_base(s, &release_id, &ids[0]);
    struct srv_rollout_row second = rollout_row(release_id);
    struct srv_device_row other = device_row("dev-2");
    assert_int_equal(srv_store_rollout_insert(s->store, &second, &ids[1]), KEDGE_OK);
    assert_int_equal(srv_store_device_insert(s->store, &other), KEDGE_OK);
    c.count = 0;
    for (int i = 0; i < 2; i++) {
        struct srv_member_row failed = member_row(ids[i], "dev-1", 0);
        struct srv_member_row updated = member_row(ids[i], "dev-2", 1);
        failed.state = FLEET_MEMBER_FAILED;
        updated.state = FLEET_MEMBER_UPDATED;
        failed.acknowledged = updated.acknowledged = false;
        assert_int_equal(srv_store_member_put(s->store, &failed), KEDGE_OK);
        assert_int_equal(srv_store_member_put(s->store, &updated), KEDGE_OK);
    }

    assert_int_equal(srv_store_member_acknowledge(s->store, ids[0]), KEDGE_OK);
    assert_int_equal(srv_store_member_each(s->store, collect_member, &c), KEDGE_OK);

    assert_int_equal(c.count, 4);
    assert_true(c.members[0].acknowledged);
    assert_false(c.members[1].acknowledged);
    assert_false(c.members[2].acknowledged);
    assert_false(c.members[3].acknowledged);
}

static void reports_are_found_by_their_key(void **state)
{
    struct suite *s = *state;
    int64_t ids[2];
    struct srv_report_row out;
    struct srv_report_row row = {.device_id = "dev-1", .received_at = 5};
    row.report = (struct kedge_report){.attempt = UINT32_MAX,
                                       .seq = 2,
                                       .from = "1.0.0",
                                       .to = "1.1.0",
                                       .state = KEDGE_REPORT_ROLLED_BACK,
                                       .cause = KEDGE_CAUSE_SELF_TEST,
                                       .detail = UINT32_MAX};
    memset(row.report.sha256, 0xAB, sizeof row.report.sha256);
    add_base(s, &ids[0], &ids[1]);

    assert_int_equal(srv_store_report_get(s->store, "dev-1", UINT32_MAX, 2, &out),
                     KEDGE_ERR_NOT_FOUND);
    assert_int_equal(srv_store_report_put(s->store, &row), KEDGE_OK);
    reopen(s);
    assert_int_equal(srv_store_report_get(s->store, "dev-1", UINT32_MAX, 2, &out), KEDGE_OK);
    assert_memory_equal(&out, &row, sizeof row);
    assert_int_equal(srv_store_report_get(s->store, "dev-1", UINT32_MAX, 3, &out),
                     KEDGE_ERR_NOT_FOUND);
    row.report.state = KEDGE_REPORT_COMMITTED;
    assert_int_equal(srv_store_report_put(s->store, &row), KEDGE_OK);
    assert_int_equal(srv_store_report_get(s->store, "dev-1", UINT32_MAX, 2, &out), KEDGE_OK);
    assert_int_equal(out.report.state, KEDGE_REPORT_COMMITTED);
}

static void audit_rows_keep_their_order_and_can_be_paged(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    c.count = 0;
    for (int i = 0; i < 4; i++) {
        char subject[16];
        (void)snprintf(subject, sizeof subject, "s%d", i);
        struct srv_audit_row row = {.ts = 100 + i,
                                    .actor = "me'); --",
                                    .address = "127.0.0.1:1",
                                    .action = "test",
                                    .subject = subject,
                                    .detail = "{\"a\":1}"};
        assert_int_equal(srv_store_audit_insert(s->store, &row), KEDGE_OK);
    }

    assert_int_equal(srv_store_audit_each(s->store, 0, 2, collect_audit, &c), KEDGE_OK);
    assert_int_equal(c.count, 2);
    assert_int_equal(srv_store_audit_each(s->store, c.audit_ids[1], 100, collect_audit, &c),
                     KEDGE_OK);

    assert_int_equal(c.count, 4);
    for (size_t i = 1; i < 4; i++) {
        assert_true(c.audit_ids[i] > c.audit_ids[i - 1]);
    }
    assert_string_equal(c.audit[3], "103 me'); -- 127.0.0.1:1 test s3 {\"a\":1}");
}

static void a_telemetry_message_counts_once(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    int64_t ids[2];
    bool duplicate = false;
    const struct {
        int64_t ts;
        uint32_t boot_id, seq;
        bool is_duplicate;
    } cases[] = {
        {1000, 7, 1, false}, {1000, 7, 1, true},  {2000, 7, 1, true},  /* no clock: arrived later */
        {2000, 7, 2, false}, {2000, 8, 1, false}, {3000, 0, 0, false}, /* knows no boot */
    };
    add_base(s, &ids[0], &ids[1]);
    c.count = 0;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct srv_telemetry_row row =
            telemetry_row("dev-1", cases[i].ts, cases[i].boot_id, cases[i].seq);
        assert_int_equal(srv_store_telemetry_insert(s->store, &row, &duplicate), KEDGE_OK);
        assert_int_equal(duplicate, cases[i].is_duplicate);
    }
    struct srv_telemetry_row newest = telemetry_row("dev-1", 3000, 0, 0);
    reopen(s);
    assert_int_equal(srv_store_telemetry_each(s->store, "dev-1", 2, collect_telemetry, &c),
                     KEDGE_OK);

    assert_int_equal(c.count, 2); /* newest first, limited */
    assert_memory_equal(&c.telemetry[0], &newest, sizeof newest);
    assert_int_equal(c.telemetry[1].boot_id, 8);
    c.count = 0;
    assert_int_equal(srv_store_telemetry_prune(s->store, "dev-1", 2000), KEDGE_OK);
    assert_int_equal(srv_store_telemetry_prune(s->store, "dev-2", 9000), KEDGE_OK);
    assert_int_equal(srv_store_telemetry_each(s->store, "dev-1", 4, collect_telemetry, &c),
                     KEDGE_OK);
    assert_int_equal(c.count, 3);
}

struct crashes {
    struct srv_crash_row rows[4];
    size_t count;
};

static void collect_crash(void *ctx, const struct srv_crash_row *row)
{
    struct crashes *c = ctx;
    assert_true(c->count < 4);
    c->rows[c->count++] = *row;
}

static struct srv_crash_row crash_row(const char *device_id, char digit)
{
    struct srv_crash_row row = {.size = UINT32_MAX,
                                .received_at = 5,
                                .has_dump = true,
                                .version = "1.1.0",
                                .is_matched = true,
                                .reporter = "1.0.0",
                                .reset_reason = KEDGE_RESET_TASK_WDT,
                                .task = "it's",
                                .pc = UINT32_MAX,
                                .elf_sha256 = "abc",
                                .backtrace = "00000001 ffffffff"};
    (void)snprintf(row.device_id, sizeof row.device_id, "%s", device_id);
    memset(row.sha256, digit, sizeof row.sha256 - 1);
    return row;
}

static void a_crash_is_one_per_device_and_digest(void **state)
{
    struct suite *s = *state;
    struct srv_crash_row row = crash_row("dev-1", 'a');
    struct srv_crash_row second = crash_row("dev-1", 'b');
    struct srv_crash_row ghost = crash_row("nobody", 'a');
    struct srv_crash_row out;
    struct crashes c = {0};
    int64_t ids[2];
    add_base(s, &ids[0], &ids[1]);

    assert_int_equal(srv_store_crash_insert(s->store, &row, &row.id), KEDGE_OK);
    assert_int_equal(srv_store_crash_insert(s->store, &row, &out.id), KEDGE_ERR_DUPLICATE);
    assert_int_not_equal(srv_store_crash_insert(s->store, &ghost, &out.id), KEDGE_OK);
    assert_int_equal(srv_store_crash_insert(s->store, &second, &second.id), KEDGE_OK);
    row.completed_at = 9;
    row.has_dump = false;
    assert_int_equal(srv_store_crash_update(s->store, &row), KEDGE_OK);
    reopen(s);

    assert_int_equal(srv_store_crash_get(s->store, "dev-1", row.sha256, &out), KEDGE_OK);
    assert_memory_equal(&out, &row, sizeof row);
    assert_int_equal(srv_store_crash_by_id(s->store, second.id, &out), KEDGE_OK);
    assert_memory_equal(&out, &second, sizeof second);
    assert_int_equal(srv_store_crash_each(s->store, 4, collect_crash, &c), KEDGE_OK);
    assert_int_equal(srv_store_crash_each_of(s->store, "dev-1", 1, collect_crash, &c), KEDGE_OK);
    assert_int_equal(srv_store_crash_each_of(s->store, "dev-2", 1, collect_crash, &c), KEDGE_OK);
    assert_int_equal(c.count, 3); /* newest first */
    assert_true(c.rows[0].id == second.id && c.rows[1].id == row.id && c.rows[2].id == second.id);
    assert_int_equal(srv_store_crash_delete(s->store, second.id), KEDGE_OK);
    assert_int_equal(srv_store_crash_by_id(s->store, second.id, &out), KEDGE_ERR_NOT_FOUND);
    assert_int_equal(srv_store_crash_update(s->store, &second), KEDGE_ERR_NOT_FOUND);
    assert_int_equal(srv_store_crash_insert(s->store, &second, &out.id), KEDGE_OK);
    assert_true(out.id > second.id); /* ids are in URLs */
}

static void a_rollback_leaves_nothing_and_a_commit_everything(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    struct srv_device_row row = device_row("dev-1");
    c.count = 0;

    assert_int_equal(srv_store_begin(s->store), KEDGE_OK);
    assert_true(srv_store_in_transaction(s->store));
    assert_int_equal(srv_store_device_insert(s->store, &row), KEDGE_OK);
    srv_store_rollback(s->store);
    assert_false(srv_store_in_transaction(s->store));
    assert_int_equal(srv_store_device_each(s->store, collect_device, &c), KEDGE_OK);
    assert_int_equal(c.count, 0);

    assert_int_equal(srv_store_begin(s->store), KEDGE_OK);
    assert_int_equal(srv_store_device_insert(s->store, &row), KEDGE_OK);
    assert_int_equal(srv_store_device_insert(s->store, &row), KEDGE_ERR_DUPLICATE);
    assert_int_equal(srv_store_commit(s->store), KEDGE_OK); /* one bad statement, not the rest */
    reopen(s);
    assert_int_equal(srv_store_device_each(s->store, collect_device, &c), KEDGE_OK);
    assert_int_equal(c.count, 1);
}

/* --- SQLite alone --------------------------------------------------------------------------------
 */

static void run_sql(struct suite *s, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_database_of_a_newer_kedged_is_refused_and_left_alone(void **state)
{
    struct suite *s = *state;
    struct srv_store *out = NULL;
    srv_store_close(s->store);
    run_sql(s, "PRAGMA user_version = 4711");

    assert_int_equal(srv_store_open(s->path, &out), KEDGE_ERR_VERSION);
    assert_null(out);

    run_sql(s, "PRAGMA user_version = 3");
    assert_int_equal(srv_store_open(s->path, &s->store), KEDGE_OK);
}

static void a_database_of_the_first_schema_is_brought_up_to_date_and_keeps_its_rows(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    int64_t ids[2];
    c.count = 0;
    add_base(s, &ids[0], &ids[1]);
    srv_store_close(s->store);
    run_sql(s, "DROP TABLE crashes; ALTER TABLE rollouts DROP COLUMN allow_no_rollback;"
               " PRAGMA user_version = 1");

    assert_int_equal(srv_store_open(s->path, &s->store), KEDGE_OK);
    assert_int_equal(srv_store_rollout_each(s->store, collect_rollout, &c), KEDGE_OK);

    assert_true(c.count > 0);
    assert_false(c.rollouts[0].allow_no_rollback);
}

static void a_state_that_we_do_not_know_is_an_error_not_a_guess(void **state)
{
    struct suite *s = *state;
    static struct collected c;
    int64_t ids[2];
    c.count = 0;
    add_base(s, &ids[0], &ids[1]);
    srv_store_close(s->store);
    run_sql(s, "UPDATE rollouts SET state = 'sideways'");
    assert_int_equal(srv_store_open(s->path, &s->store), KEDGE_OK);

    assert_int_equal(srv_store_rollout_each(s->store, collect_rollout, &c), KEDGE_ERR_SYNTAX);
    assert_int_equal(c.count, 0);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct suite *s = *state;
    struct srv_store *out = NULL;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/other", s->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++) {
        (void)fputs("not a database ", file);
    }
    (void)fclose(file);

    assert_int_equal(srv_store_open(path, &out), KEDGE_ERR_IO);

    assert_null(out);
    (void)unlink(path);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_empty, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(releases_come_back_as_they_went_in),
        STORE_TEST(a_release_is_unique_by_digest_and_by_name),
        STORE_TEST(devices_come_back_as_they_went_in),
        STORE_TEST(a_device_that_is_not_there_cannot_be_updated),
        STORE_TEST(rollouts_come_back_as_they_went_in),
        STORE_TEST(a_rollout_needs_its_release_and_a_member_its_device),
        STORE_TEST(members_come_back_by_rollout_and_position),
        STORE_TEST(only_failures_of_that_rollout_are_acknowledged),
        STORE_TEST(reports_are_found_by_their_key),
        STORE_TEST(audit_rows_keep_their_order_and_can_be_paged),
        STORE_TEST(a_telemetry_message_counts_once),
        STORE_TEST(a_crash_is_one_per_device_and_digest),
        STORE_TEST(a_rollback_leaves_nothing_and_a_commit_everything),
        STORE_TEST(a_database_of_a_newer_kedged_is_refused_and_left_alone),
        STORE_TEST(a_database_of_the_first_schema_is_brought_up_to_date_and_keeps_its_rows),
        STORE_TEST(a_state_that_we_do_not_know_is_an_error_not_a_guess),
        STORE_TEST(a_file_that_is_no_database_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
