/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "esp_core_dump.h"
#include "esp_partition.h"
#include "kedge/crash.h"
#include "kedge/message.h"
#include "sim/ota.h"

/*
 * The world around a port of the agent: one chip, its network, an OTA server and a broker, on a
 * virtual clock. There is one at a time, because ESP-IDF is global.
 *
 * The world lies in memory that the test and its boots share: each boot is a child process, so that
 * static variables begin afresh as after a reset, and what a boot does to flash, server or broker
 * is seen by the test and by the next boot. What fields point to must be there before the boot. A
 * finding of a sanitizer, a crash or stub_fail in a boot fails the test that ran it.
 */

/** How a boot ended. */
enum stub_end {
    STUB_TIME_IS_UP, /**< limit_ms; the power goes */
    STUB_STOPPED,    /**< until() was true; the power goes */
    STUB_RESTARTED,  /**< esp_restart */
    STUB_PANICKED,   /**< stub_panic */
    STUB_WATCHDOG,   /**< the task watchdog */
    STUB_POWER_CUT,  /**< the cut that the test has armed with sim_flash_cut(world->flash, …) */
    STUB_DEADLOCK,   /**< every task waits for ever */
    STUB_FAILED,     /**< stub_fail, a sanitizer, a crash: message says more */
    STUB_NO_BOOT     /**< the bootloader found nothing to boot */
};

/** A call that answers what a test wants. Calls that are not in the table do what they do. */
struct stub_fault {
    /** Name of the function; for esp_partition_* also "name:label". */
    const char *call;
    uint32_t nth;   /**< from when it was armed, 1 = the next; 0 = every one */
    int64_t result; /**< 0 = NULL for functions that return a pointer */
    uint32_t seen;  /**< calls since it was armed */
};

#define STUB_FAULTS 16u

/** Something that happens so many ms after each boot, in a task of its own. */
struct stub_step {
    uint64_t at_ms;
    void (*fn)(const void *arg);
    const void *arg;
};

#define STUB_STEPS 16u

/** A file that the server offers. */
struct stub_release {
    struct kedge_cspan file; /**< borrowed */
    uint8_t sha256[KEDGE_SHA256_SIZE];
    const char *version; /**< borrowed */
    bool force;
};

/** A request as the server has got it. */
struct stub_request {
    uint64_t at_ms;
    uint32_t connection; /**< 1, 2, 3 … since the world began */
    bool is_post;
    int timeout_ms; /**< of the client, when it came */
    char path[64];
    char names[256]; /**< of its headers, "A,B,C" */
    char range[40], if_range[80], if_none_match[80], version[40], caps[40];
    char content_type[40];
    uint32_t body_len;
    int status; /**< of the answer; 0 = none */
};

#define STUB_REQUESTS    256u
#define STUB_REPORTS     32u
#define STUB_DUMP_SIZE   16384u
#define STUB_READ_ALL    0u
#define STUB_NO_RESPONSE (-1)

/** The OTA server, and the way to it. Zero = works. */
struct stub_server {
    struct stub_release release; /**< file.data NULL = nothing to offer */
    bool is_stubborn;            /**< offers what the device has rejected, too */
    uint32_t poll_after_s;       /**< 0 = no such header */
    uint32_t latency_ms;         /**< of each step of a request; 0 = 20 */
    /* the way */
    bool is_down;         /**< no connection */
    bool is_silent;       /**< connects, never answers: time-outs */
    bool hangs;           /**< connects, and the call that waits for the answer never returns */
    bool closes_slowly;   /**< closing a connection takes 50 ms, in which others run */
    uint32_t drops_kept;  /**< so many times a kept connection is gone when it is used again */
    bool drops_unnoticed; /**< … and that shows when the answer is read, not in the write */
    uint32_t break_after; /**< body bytes of an answer, then the connection breaks; 0 = never */
    uint32_t breaks;      /**< so many times; 0 = each time */
    uint32_t stall_after; /**< body bytes, then nothing more comes: time-outs; 0 = never */
    uint32_t read_max;    /**< bytes that a read gives at the most; 0 = what was asked for */
    uint32_t write_max;   /**< the same for a write */
    /* what it answers instead */
    const char *odd_path;               /**< NULL = none; else: for this path … */
    int odd_status;                     /**< … this status, */
    uint32_t odd_times;                 /**< so many times more */
    const char *odd_header, *odd_value; /**< … with this header; NULL = none */
    /* what it has seen */
    uint32_t connections;
    uint32_t request_count; /**< all; the last STUB_REQUESTS are kept, at index % STUB_REQUESTS */
    struct stub_request requests[STUB_REQUESTS];
    uint32_t report_count;
    struct kedge_report reports[STUB_REPORTS]; /**< each (attempt, seq) once */
    uint64_t body_bytes;                       /**< of firmware, sent */
    uint32_t crash_count;
    struct kedge_crash crash; /**< the last */
    uint32_t dump_len;
    uint32_t dumps; /**< complete ones */
    uint8_t dump[STUB_DUMP_SIZE];
    /* what the client was made with */
    uint32_t clients;
    bool client_saves_session, client_has_identity, client_redirects;
    char client_url[160], client_ca[64];
};

/** A message that the broker has got. */
struct stub_message {
    uint64_t at_ms;
    char topic[96];
    char payload[KEDGE_MESSAGE_MAX];
    uint32_t len;
    bool retain;
};

#define STUB_MESSAGES 64u

/** The broker, and the client that is made for it. Zero = works. */
struct stub_broker {
    bool is_down;
    bool refuses_subscription; /**< SUBACK with 0x80 */
    bool keeps_acks;           /**< no PUBACK ever */
    uint32_t expire_ms;        /**< the outbox gives a message up after that; 0 = 30 000 */
    uint32_t latency_ms;       /**< 0 = 20 */
    uint32_t fragment;         /**< commands arrive in pieces of so many bytes; 0 = whole */
    /* what it has seen */
    uint32_t connects, subscriptions, disconnects, clients, destroyed;
    uint32_t message_count; /**< all; the last STUB_MESSAGES are kept, at index % STUB_MESSAGES */
    struct stub_message messages[STUB_MESSAGES];
    /* what the client was made with */
    char uri[160], client_id[80], will_topic[96], will[16], topic[96];
    int will_qos, will_retain, keepalive, reconnect_ms, stack_size, priority;
    uint64_t outbox_limit;
    bool has_ca, has_identity;
};

/** What ESP-IDF's panic handler left in partition coredump. */
struct stub_coredump {
    uint32_t size;   /**< 0 = none; from the partition's start */
    bool is_corrupt; /**< esp_core_dump_image_check finds that */
    esp_core_dump_summary_t summary;
};

#define STUB_LOG_LINES  512u
#define STUB_LINE_SIZE  160u
#define STUB_FLASH_SIZE 0x400000u

struct stub_world {
    /* the chip; set before the boot */
    enum sim_idf idf;
    struct sim_bootloader bootloader;
    uint32_t secure_version;
    enum kedge_reset next_reset;
    uint8_t mac[6];
    bool has_address;     /**< an interface is up before the app asks */
    uint32_t watchdog_ms; /**< 0 = CONFIG_ESP_TASK_WDT_INIT is off */
    uint32_t free_heap, min_heap, largest_block;
    struct stub_coredump coredump;
    struct stub_fault faults[STUB_FAULTS];
    struct stub_step steps[STUB_STEPS];
    struct stub_server server;
    struct stub_broker broker;
    /* the boot under way, or the last one */
    uint32_t boots;
    int running_slot;
    struct kedge_app_desc running;
    uint64_t now_us;
    enum stub_end end;
    char message[256];
    int log_level;      /**< esp_log_level_set("*", …); -1 = never called */
    uint32_t log_count; /**< all; the last STUB_LOG_LINES are kept, at index % STUB_LOG_LINES */
    char log[STUB_LOG_LINES][STUB_LINE_SIZE];
    /* for tests: nothing in here looks at it */
    uint64_t marks[8];
    /* flash, between boots */
    uint64_t random;
    struct sim_flash *flash; /**< of this process */
    struct sim_layout layout;
    uint8_t flash_bytes[STUB_FLASH_SIZE];
};

/** A chip with the production table and nothing else in flash. Ends with an abort when that fails;
 *  the world it returns is also what ESP-IDF's functions work on. */
struct stub_world *stub_world_create(void);
void stub_world_destroy(struct stub_world *world);

/** An app image to a slot, as serial flashing does. */
void stub_flash_image(struct stub_world *world, uint32_t slot, struct kedge_cspan image);
/** The partition with that label, to be changed for the boots to come. */
esp_partition_t *stub_partition(const char *label);

void stub_fault_arm(struct stub_world *world, const char *call, uint32_t nth, int64_t result);
void stub_fault_clear(struct stub_world *world);
/** Append to world->steps. */
void stub_at(struct stub_world *world, uint64_t at_ms, void (*fn)(const void *arg),
             const void *arg);

/** One boot: bootloader, then app in task "main", until something ends it, and with it a cut of the
 *  power that was armed and has not struck. until: asked whenever a task has nothing to do; NULL =
 *  never. */
enum stub_end stub_boot(struct stub_world *world, void (*app)(void), uint64_t limit_ms,
                        bool (*until)(const struct stub_world *world));
/** The bootloader alone: running_slot and running are set; false = nothing boots. Then the
 *  functions that need no task may be called by the test itself. */
bool stub_bootloader(struct stub_world *world);

/** A line of the log that contains text; NULL = there is none. */
const char *stub_log_find(const struct stub_world *world, const char *text);
uint32_t stub_log_count(const struct stub_world *world, const char *text);
/** The nth request to that path, 1 = the first; NULL = not so many. */
const struct stub_request *stub_request_find(const struct stub_world *world, const char *path,
                                             uint32_t nth);

/* ---- within a boot ---- */

__attribute__((noreturn)) void stub_panic(const void *unused);
/** The calling task never comes back. */
__attribute__((noreturn)) void stub_hang(void);
/** Ends the boot, and fails the test. */
__attribute__((noreturn, format(printf, 1, 2))) void stub_fail(const char *format, ...);
/** Events of ESP-IDF and the broker; arg is the number of the IP_EVENT, or the text. */
void stub_ip_event(const void *arg);
void stub_command(const void *arg);
void stub_drop_broker(const void *unused);
