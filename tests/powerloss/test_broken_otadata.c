/* SPDX-License-Identifier: Apache-2.0 */

/* Damage that no power cut does: otadata lost, or a confirmed image that no longer loads. The board
 * must stay up and take the next release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "kedge/crypto.h"
#include "sim/world.h"

#define LIMIT_MS (4u * 3600u * 1000u)

struct image {
    struct host_buf bytes;
    struct sim_world_release release;
};

static struct image factory, first, second;

static void build(struct image *image, const char *version)
{
    struct sim_image_spec spec = {.version = version,
                                  .project = "powerloss",
                                  .chip_id = KEDGE_CHIP_ESP32,
                                  .size_bytes = 24u * 1024u,
                                  .behaviour = ""};
    struct kedge_fault fault;

    host_buf_init(&image->bytes, 1u << 20);
    assert_int_equal(sim_firmware_build(&spec, &image->bytes, &fault), KEDGE_OK);
    image->release.file =
        (struct kedge_cspan){(const uint8_t *)image->bytes.data, image->bytes.len};
    image->release.version = version;
    kedge_sha256_of(image->bytes.data, image->bytes.len, image->release.sha256);
}

static int setup(void **state)
{
    (void)state;
    build(&factory, "1.0.0");
    build(&first, "1.1.0");
    build(&second, "1.2.0");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_buf_free(&factory.bytes);
    host_buf_free(&first.bytes);
    host_buf_free(&second.bytes);
    return 0;
}

static const char *wanted;

static bool runs_wanted(void *ctx, const struct sim_world *world)
{
    (void)ctx;
    return strcmp(sim_board_status(sim_world_board(world))->running.version, wanted) == 0;
}

static void assert_arrives(struct sim_world *world, const struct image *image)
{
    wanted = image->release.version;
    sim_world_offer(world, &image->release, false);
    assert_true(sim_world_run(world, LIMIT_MS, runs_wanted, NULL));
    assert_null(sim_world_violation(world));
}

/* A board that was updated once: [1 VALID ota_0][2 VALID ota_1], ota_1 runs. */
static struct sim_world *updated(enum sim_idf idf)
{
    struct sim_world_config config = {.seed = 5,
                                      .idf = idf,
                                      .factory = factory.release.file,
                                      .any_image = true,
                                      .chunk_bytes = 4096};
    struct sim_world *world = sim_world_create(&config);

    assert_arrives(world, &first);
    return world;
}

static void damage(struct sim_world *world, uint32_t offset)
{
    static const uint8_t zeros[64];
    struct sim_board *board = sim_world_board(world);

    sim_flash_program(sim_board_flash(board), offset, zeros, sizeof zeros);
    sim_board_power_off(board);
}

static void with_both_records_lost_the_next_release_arrives(void **state)
{
    (void)state;
    for (int idf = SIM_IDF_5_3; idf <= SIM_IDF_6_0; idf++) {
        struct sim_world *world = updated((enum sim_idf)idf);
        const struct sim_layout *layout = sim_board_layout(sim_world_board(world));

        damage(world, layout->otadata.offset);
        damage(world, layout->otadata.offset + SIM_FLASH_SECTOR_SIZE);
        assert_arrives(world, &second);
        sim_world_destroy(world);
    }
}

static void a_confirmed_image_that_no_longer_loads_is_replaced_by_the_next_release(void **state)
{
    (void)state;
    for (int idf = SIM_IDF_5_3; idf <= SIM_IDF_6_0; idf++) {
        struct sim_world *world = updated((enum sim_idf)idf);
        const struct sim_layout *layout = sim_board_layout(sim_world_board(world));

        damage(world, layout->slots[1].offset + 2u * SIM_FLASH_SECTOR_SIZE);
        assert_arrives(world, &second);
        sim_world_destroy(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_both_records_lost_the_next_release_arrives),
        cmocka_unit_test(a_confirmed_image_that_no_longer_loads_is_replaced_by_the_next_release),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
