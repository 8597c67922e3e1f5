/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/log.h"
#include "ingest.h"
#include "test_pki.h"

/*
 * The ingest against a real mosquitto with TLS and client certificates. Messages are numbers, so
 * that a table says how often each one arrived and which were committed. The table is shared
 * memory: it outlives a consumer that is killed, as a database would.
 */
#define MESSAGES 500u
#define TURN_MS  5
#define PATIENCE 4000 /* turns: 20 s */

enum kill_when {
    KILL_NEVER,
    KILL_AFTER_COMMIT /* committed, and no PUBACK sent */
};

/* What survives. */
struct table {
    uint8_t committed[MESSAGES];
    uint32_t commits, received, duplicates;
};

struct world {
    struct test_pki pki;
    struct host_loop *loop;
    pid_t broker;
    uint16_t port;
    char host[16];
    struct table *table;

    struct srv_ingest *ingest;
    uint32_t open[MESSAGES * 2]; /* accepted, not committed */
    size_t open_count;
    enum kill_when kill_when;
    unsigned failing_commits;
    unsigned links_up;
    size_t last_len;
    char last_topic[64];
};

/* --- the sink --- */

static enum kedge_err accept_message(void *ctx, const char *topic, struct kedge_cspan payload,
                                     bool duplicate)
{
    struct world *world = ctx;
    char text[16] = "";

    world->table->received++;
    world->table->duplicates += duplicate;
    world->last_len = payload.len;
    (void)snprintf(world->last_topic, sizeof world->last_topic, "%s", topic);
    if (payload.len == 0 || payload.len >= sizeof text) {
        return KEDGE_OK;
    }
    memcpy(text, payload.data, payload.len);
    world->open[world->open_count++] = (uint32_t)strtoul(text, NULL, 10) % MESSAGES;
    return KEDGE_OK;
}

static enum kedge_err commit(void *ctx)
{
    struct world *world = ctx;

    if (world->failing_commits > 0) {
        world->failing_commits--;
        world->open_count = 0;
        return KEDGE_ERR_IO;
    }
    for (size_t i = 0; i < world->open_count; i++) {
        world->table->committed[world->open[i]] = 1;
    }
    world->table->commits += world->open_count > 0;
    if (world->kill_when == KILL_AFTER_COMMIT && world->open_count > 0) {
        (void)kill(getpid(), SIGKILL);
    }
    world->open_count = 0;
    return KEDGE_OK;
}

static void on_link(void *ctx, bool up)
{
    struct world *world = ctx;

    world->links_up += up;
}

static const struct srv_ingest_sink sink = {accept_message, commit, on_link};
static const char *const topics[] = {"devices/+/telemetry", "devices/+/status", NULL};

static void start_ingest(struct world *world, const char *cert, const char *const *wanted)
{
    char crt[80], key[80];

    (void)snprintf(crt, sizeof crt, "%s.crt", cert);
    (void)snprintf(key, sizeof key, "%s.key", cert);

    /* The files are read before create returns. */
    world->ingest = srv_ingest_create(
        world->loop,
        &(struct srv_ingest_config){.broker_host = world->host,
                                    .broker_port = world->port,
                                    .ca_file = test_pki_path(&world->pki, "ca.crt"),
                                    .cert_file = test_pki_path(&world->pki, crt),
                                    .key_file = test_pki_path(&world->pki, key),
                                    .client_id = "test-ingest",
                                    .topics = wanted,
                                    .batch_messages = 100,
                                    .batch_ms = 20},
        &sink, world);
    assert_non_null(world->ingest);
}

static void stop_ingest(struct world *world)
{
    srv_ingest_destroy(world->ingest);
    world->ingest = NULL;
}

static bool is_connected(struct world *world)
{
    struct srv_ingest_stats stats;

    srv_ingest_stats(world->ingest, &stats);
    return stats.connected;
}

static void run_until_connected(struct world *world)
{
    for (unsigned i = 0; i < PATIENCE && !is_connected(world); i++) {
        host_loop_once(world->loop, TURN_MS);
    }
    assert_true(is_connected(world));
}

static unsigned count_committed(const struct world *world)
{
    unsigned count = 0;

    for (size_t i = 0; i < MESSAGES; i++) {
        count += world->table->committed[i];
    }
    return count;
}

static void run_until_committed(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < PATIENCE && count_committed(world) < count; i++) {
        host_loop_once(world->loop, TURN_MS);
    }
    assert_int_equal(count_committed(world), count);
}

/* --- the broker --- */

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static bool is_listening(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool is_up = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;

    (void)close(fd);
    return is_up;
}

static void write_config(struct world *world)
{
    FILE *config = fopen(test_pki_path(&world->pki, "mosquitto.conf"), "w");

    assert_non_null(config);
    fprintf(config,
            "per_listener_settings true\n"
            "user %s\n"
            "persistence true\n"
            "persistence_location %s/\n"
            "max_inflight_messages 1000\n"
            "max_queued_messages 100000\n"
            "log_dest none\n"
            "listener %u 127.0.0.1\n"
            "cafile %s\ncertfile %s\nkeyfile %s\n"
            "require_certificate true\n"
            "use_identity_as_username true\n",
            getuid() == 0 ? "root" : "mosquitto", world->pki.dir, (unsigned)world->port,
            test_pki_path(&world->pki, "ca.crt"), test_pki_path(&world->pki, "server.crt"),
            test_pki_path(&world->pki, "server.key"));
    assert_int_equal(fclose(config), 0);
}

static void start_broker(struct world *world)
{
    const char *config = test_pki_path(&world->pki, "mosquitto.conf");

    world->broker = fork();
    if (world->broker == 0) {
        (void)execl("/usr/sbin/mosquitto", "mosquitto", "-c", config, (char *)NULL);
        (void)execlp("mosquitto", "mosquitto", "-c", config, (char *)NULL);
        _exit(127);
    }
    for (unsigned i = 0; i < PATIENCE && !is_listening(world->port); i++) {
        host_loop_once(world->loop, TURN_MS);
    }
    assert_true(is_listening(world->port));
}

static void stop_broker(struct world *world)
{
    if (world->broker > 0) {
        (void)kill(world->broker, SIGTERM);
        (void)waitpid(world->broker, NULL, 0);
    }
    world->broker = 0;
}

/* A device: another ingest, whose topic nobody uses. It publishes first..last and leaves when all
 * is acknowledged. */
static void publish_range(struct world *world, unsigned first, unsigned last)
{
    static const char *const nothing[] = {"nothing", NULL};
    struct table ignored = {0};
    struct world device = {.loop = world->loop, .table = &ignored};

    device.ingest = srv_ingest_create(
        world->loop,
        &(struct srv_ingest_config){.broker_host = world->host,
                                    .broker_port = world->port,
                                    .ca_file = test_pki_path(&world->pki, "ca.crt"),
                                    .cert_file = test_pki_path(&world->pki, "client.crt"),
                                    .key_file = test_pki_path(&world->pki, "client.key"),
                                    .client_id = "test-device",
                                    .topics = nothing,
                                    .batch_messages = 1,
                                    .batch_ms = 1},
        &sink, &device);
    run_until_connected(&device);
    for (unsigned i = first; i < last;) {
        char text[16];
        int len = snprintf(text, sizeof text, "%u", i);

        if (srv_ingest_publish(device.ingest, "devices/dev-1/telemetry",
                               (struct kedge_cspan){(const uint8_t *)text, (size_t)len}) ==
            KEDGE_OK) {
            i++;
        } else {
            host_loop_once(world->loop, TURN_MS); /* 64 are on their way */
        }
    }
    /* The queue is empty when 64 more find room; they say nothing that the table holds. */
    for (unsigned i = 0; i < 64;) {
        i += srv_ingest_publish(device.ingest, "devices/dev-1/other", (struct kedge_cspan){0}) ==
             KEDGE_OK;
        host_loop_once(world->loop, 0);
    }
    srv_ingest_destroy(device.ingest);
}

static void map_table(struct world *world)
{
    int fd = open(test_pki_path(&world->pki, "table"), O_RDWR | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *world->table), 0);
    world->table = mmap(NULL, sizeof *world->table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(world->table != MAP_FAILED);
    (void)close(fd);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    (void)signal(SIGPIPE, SIG_IGN);
    host_log_init("test", HOST_LOG_ERROR);
    test_pki_init(&world->pki);
    test_pki_make(&world->pki, "ca", "Test CA", NULL, TEST_CERT_CA);
    test_pki_make(&world->pki, "server", "localhost", "ca", TEST_CERT_SERVER);
    test_pki_make(&world->pki, "client", "svc-ingest", "ca", TEST_CERT_CLIENT);
    test_pki_make(&world->pki, "foreign", "Foreign CA", NULL, TEST_CERT_CA);
    test_pki_make(&world->pki, "stranger", "svc-ingest", "foreign", TEST_CERT_CLIENT);
    world->loop = host_loop_create();
    world->port = free_port();
    (void)snprintf(world->host, sizeof world->host, "127.0.0.1");
    map_table(world);
    write_config(world);
    start_broker(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    stop_ingest(world);
    stop_broker(world);
    host_loop_destroy(world->loop);
    test_pki_remove(&world->pki);
    (void)munmap(world->table, sizeof *world->table);
    free(world);
    return 0;
}

/* --- the tests --- */

static void every_message_is_committed_then_acknowledged(void **state)
{
    struct world *world = *state;
    struct srv_ingest_stats stats;

    start_ingest(world, "client", topics);
    run_until_connected(world);
    publish_range(world, 0, MESSAGES);
    run_until_committed(world, MESSAGES);
    srv_ingest_stats(world->ingest, &stats);
    assert_int_equal(stats.received, MESSAGES);
    assert_int_equal(stats.acknowledged, MESSAGES);
    assert_int_equal(stats.duplicates, 0);
    assert_in_range(stats.batches, 5, MESSAGES);
    assert_string_equal(world->last_topic, "devices/dev-1/telemetry");

    /* Acknowledged means that a new link brings nothing again. */
    stop_ingest(world);
    start_ingest(world, "client", topics);
    run_until_connected(world);
    for (unsigned i = 0; i < 20; i++) {
        host_loop_once(world->loop, TURN_MS);
    }
    assert_int_equal(world->table->received, MESSAGES);
}

static void messages_wait_for_a_consumer_that_is_away(void **state)
{
    struct world *world = *state;

    start_ingest(world, "client", topics);
    run_until_connected(world);
    stop_ingest(world);
    publish_range(world, 0, 300);
    assert_int_equal(world->table->received, 0);
    start_ingest(world, "client", topics);
    run_until_committed(world, 300);
}

static void a_consumer_killed_between_commit_and_puback_gets_the_batch_again(void **state)
{
    struct world *world = *state;

    start_ingest(world, "client", topics);
    run_until_connected(world);
    stop_ingest(world);
    publish_range(world, 0, MESSAGES);

    pid_t consumer = fork();

    if (consumer == 0) {
        struct host_loop *loop = host_loop_create();

        world->loop = loop;
        world->kill_when = KILL_AFTER_COMMIT;
        start_ingest(world, "client", topics);
        for (;;) {
            host_loop_once(loop, TURN_MS);
        }
    }

    int status = 0;

    assert_int_equal(waitpid(consumer, &status, 0), consumer);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    unsigned before = count_committed(world);

    assert_in_range(before, 1, MESSAGES - 1);
    start_ingest(world, "client", topics);
    run_until_committed(world, MESSAGES);
    assert_true(world->table->duplicates >= before);
}

static void what_is_not_committed_is_not_acknowledged(void **state)
{
    struct world *world = *state;
    struct srv_ingest_stats stats;

    start_ingest(world, "client", topics);
    run_until_connected(world);
    world->failing_commits = 1;
    publish_range(world, 0, 50);
    run_until_committed(world, 50);
    srv_ingest_stats(world->ingest, &stats);
    assert_int_equal(stats.reconnects, 1);
    assert_true(stats.duplicates > 0);
    assert_int_equal(world->links_up, 2);
}

static void a_broker_that_restarts_is_found_again(void **state)
{
    struct world *world = *state;

    start_ingest(world, "client", topics);
    run_until_connected(world);
    publish_range(world, 0, 10);
    run_until_committed(world, 10);
    stop_broker(world);
    for (unsigned i = 0; i < PATIENCE && is_connected(world); i++) {
        host_loop_once(world->loop, TURN_MS);
    }
    assert_false(is_connected(world));
    assert_int_equal(srv_ingest_publish(world->ingest, "t", (struct kedge_cspan){0}),
                     KEDGE_ERR_BUSY);
    start_broker(world);
    run_until_connected(world);
    publish_range(world, 10, 20);
    run_until_committed(world, 20);
}

static void a_message_beyond_the_limit_is_skipped_and_the_next_one_arrives(void **state)
{
    struct world *world = *state;
    char command[512];

    start_ingest(world, "client", topics);
    run_until_connected(world);
    (void)snprintf(command, sizeof command, "%s/big", world->pki.dir);

    FILE *big = fopen(command, "w");

    assert_non_null(big);
    for (unsigned i = 0; i < 200000; i++) {
        (void)fputc('x', big);
    }
    assert_int_equal(fclose(big), 0);

    pid_t publisher = fork();

    if (publisher == 0) {
        char port[8], ca[96], crt[96], key[96];

        (void)snprintf(port, sizeof port, "%u", (unsigned)world->port);
        (void)snprintf(ca, sizeof ca, "%s/ca.crt", world->pki.dir);
        (void)snprintf(crt, sizeof crt, "%s/client.crt", world->pki.dir);
        (void)snprintf(key, sizeof key, "%s/client.key", world->pki.dir);
        (void)execlp("mosquitto_pub", "mosquitto_pub", "-h", "127.0.0.1", "-p", port, "--cafile",
                     ca, "--cert", crt, "--key", key, "-q", "1", "-t", "devices/dev-1/telemetry",
                     "-f", command, (char *)NULL);
        _exit(127);
    }

    int status = 0;

    assert_int_equal(waitpid(publisher, &status, 0), publisher);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        skip(); /* mosquitto-clients is not installed */
    }
    assert_int_equal(status, 0);
    publish_range(world, 7, 8);
    run_until_committed(world, 1);
    assert_true(world->table->committed[7]);
    assert_int_equal(world->last_len, 1);
    assert_true(is_connected(world));
    assert_int_equal(world->links_up, 1);
}

static void a_certificate_that_the_broker_refuses_does_not_connect(void **state)
{
    struct world *world = *state;

    start_ingest(world, "stranger", topics);
    for (unsigned i = 0; i < 100; i++) {
        host_loop_once(world->loop, TURN_MS);
    }
    assert_false(is_connected(world));
    assert_int_equal(world->links_up, 0);
}

/* 127.1 reaches 127.0.0.1, and is not what the certificate says. */
static void a_broker_with_another_name_is_not_trusted(void **state)
{
    struct world *world = *state;

    (void)snprintf(world->host, sizeof world->host, "127.1");
    start_ingest(world, "client", topics);
    for (unsigned i = 0; i < 100; i++) {
        host_loop_once(world->loop, TURN_MS);
    }
    assert_false(is_connected(world));
}

static void a_publish_needs_a_link_and_room(void **state)
{
    struct world *world = *state;
    static uint8_t large[70000];

    start_ingest(world, "client", topics);
    assert_int_equal(srv_ingest_publish(world->ingest, "t", (struct kedge_cspan){0}),
                     KEDGE_ERR_BUSY);
    run_until_connected(world);
    assert_int_equal(
        srv_ingest_publish(world->ingest, "t", (struct kedge_cspan){large, sizeof large}),
        KEDGE_ERR_TOO_LARGE);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(srv_ingest_publish(world->ingest, "t", (struct kedge_cspan){0}), KEDGE_OK);
    }
    assert_int_equal(srv_ingest_publish(world->ingest, "t", (struct kedge_cspan){0}),
                     KEDGE_ERR_BUSY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_message_is_committed_then_acknowledged),
        TEST(messages_wait_for_a_consumer_that_is_away),
        TEST(a_consumer_killed_between_commit_and_puback_gets_the_batch_again),
        TEST(what_is_not_committed_is_not_acknowledged),
        TEST(a_broker_that_restarts_is_found_again),
        TEST(a_message_beyond_the_limit_is_skipped_and_the_next_one_arrives),
        TEST(a_certificate_that_the_broker_refuses_does_not_connect),
        TEST(a_broker_with_another_name_is_not_trusted),
        TEST(a_publish_needs_a_link_and_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
