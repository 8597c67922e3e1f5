/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdbool.h>
#include <string.h>

#include "kedge/journal.h"

/* NOR flash of two sectors whose power fails after a number of bytes, erases counted as one. */
struct nor {
    uint8_t bytes[8192];
    uint32_t budget; /* bytes or erases until the cut */
    bool noise;      /* erased flash reads as noise: flash encryption */
    uint32_t erases;
};

static enum kedge_err nor_read(void *ctx, uint32_t offset, void *out, uint32_t len)
{
    memcpy(out, &((struct nor *)ctx)->bytes[offset], len);
    return KEDGE_OK;
}

static enum kedge_err nor_write(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
    struct nor *nor = ctx;
    const uint8_t *bytes = data;

    assert_int_equal(offset % KEDGE_STORE_WRITE_ALIGN, 0);
    assert_int_equal(len % KEDGE_STORE_WRITE_ALIGN, 0);
    assert_true(offset / 4096u == (offset + len - 1u) / 4096u);
    for (uint32_t i = 0; i < len; i++) {
        if (nor->budget == 0) {
            return KEDGE_ERR_IO;
        }
        nor->budget--;
        assert_true(nor->noise || nor->bytes[offset + i] == 0xFF);
        nor->bytes[offset + i] = bytes[i];
    }
    return KEDGE_OK;
}

static enum kedge_err nor_erase(void *ctx, uint32_t sector)
{
    struct nor *nor = ctx;
    uint8_t *bytes = &nor->bytes[sector * 4096u];

    if (nor->budget == 0) {
        memset(bytes, 0xA5, 2000); /* half erased */
        return KEDGE_ERR_IO;
    }
    nor->budget--;
    nor->erases++;
    for (uint32_t i = 0; i < 4096u; i++) {
        bytes[i] = nor->noise ? (uint8_t)(i * 37u + sector) : 0xFFu;
    }
    return KEDGE_OK;
}

static const struct kedge_plat_store ops = {nor_read, nor_write, nor_erase};

static void open_journal(struct nor *nor, struct kedge_journal *journal, bool expect_fresh)
{
    bool fresh;

    assert_int_equal(kedge_journal_open(journal, &ops, nor, &fresh), KEDGE_OK);
    assert_int_equal(fresh, expect_fresh);
}

/* A snapshot that is recognisable by its number and varies in length. */
static void fill(struct kedge_journal_data *data, uint32_t number)
{
    memset(data, 0, sizeof *data);
    data->state = (uint8_t)(number % 11u);
    data->attempt = number;
    data->written = number * 4096u;
    data->bad_count = (uint8_t)(number % (KEDGE_JOURNAL_BAD_MAX + 1u));
    memset(data->bad, (int)number, data->bad_count * sizeof data->bad[0]);
    data->report_count = (uint8_t)(number % (KEDGE_JOURNAL_REPORT_MAX + 1u));
    for (uint32_t i = 0; i < data->report_count; i++) {
        data->reports[i] = (struct kedge_report){.attempt = number, .seq = i + 1, .to = "2.0.0"};
    }
    memset(data->to, 'v', 32); /* fills the field: no NUL on flash */
}

static void assert_holds(const struct kedge_journal *journal, uint32_t number)
{
    struct kedge_journal_data expected;

    fill(&expected, number);
    assert_memory_equal(&journal->data, &expected, sizeof expected);
}

static void a_blank_store_is_a_fresh_start(void **state)
{
    static struct nor nor;
    static struct kedge_journal journal;
    static const struct kedge_journal_data zero;

    (void)state;
    memset(nor.bytes, 0xFF, sizeof nor.bytes);
    nor.budget = UINT32_MAX;
    open_journal(&nor, &journal, true);
    assert_memory_equal(&journal.data, &zero, sizeof zero);
}

static void every_snapshot_is_read_back_over_many_turnovers(void **state)
{
    static struct nor nor;
    static struct kedge_journal journal;

    (void)state;
    for (int noise = 0; noise <= 1; noise++) {
        memset(nor.bytes, noise ? 0x5A : 0xFF, sizeof nor.bytes);
        nor = (struct nor){.budget = UINT32_MAX, .noise = noise != 0};
        open_journal(&nor, &journal, true);
        for (uint32_t number = 1; number < 200; number++) {
            fill(&journal.data, number);
            assert_int_equal(kedge_journal_save(&journal), KEDGE_OK);
            if (number % 3u == 0) {
                open_journal(&nor, &journal, false);
                assert_holds(&journal, number);
            }
        }
    }
}

static void a_cut_at_any_byte_leaves_the_snapshot_before_or_this_one(void **state)
{
    static struct nor nor;
    static struct kedge_journal journal;

    (void)state;
    for (int noise = 0; noise <= 1; noise++) {
        for (uint32_t number = 1; number < 24; number++) {
            for (uint32_t cut = 0; cut < KEDGE_JOURNAL_RECORD_MAX + 2u; cut += 7) {
                nor = (struct nor){.budget = UINT32_MAX, .noise = noise != 0};
                memset(nor.bytes, 0xFF, sizeof nor.bytes);
                open_journal(&nor, &journal, true);
                for (uint32_t i = 1; i <= number; i++) {
                    fill(&journal.data, i);
                    assert_int_equal(kedge_journal_save(&journal), KEDGE_OK);
                }
                nor.budget = cut;
                fill(&journal.data, number + 1);
                enum kedge_err err = kedge_journal_save(&journal);

                nor.budget = UINT32_MAX;
                open_journal(&nor, &journal, false);
                /* a cut in the padding alone loses nothing */
                assert_holds(&journal, err == KEDGE_OK || journal.data.attempt > number ? number + 1
                                                                                        : number);
                fill(&journal.data, number + 2);
                assert_int_equal(kedge_journal_save(&journal), KEDGE_OK);
                open_journal(&nor, &journal, false);
                assert_holds(&journal, number + 2);
            }
        }
    }
}

static void a_failed_write_never_costs_the_newest_snapshot(void **state)
{
    static struct nor nor;
    static struct kedge_journal journal;

    (void)state;
    nor = (struct nor){.budget = UINT32_MAX};
    memset(nor.bytes, 0xFF, sizeof nor.bytes);
    open_journal(&nor, &journal, true);
    fill(&journal.data, 1);
    assert_int_equal(kedge_journal_save(&journal), KEDGE_OK);
    for (int i = 0; i < 5; i++) { /* the flash keeps failing, the agent keeps trying */
        nor.budget = 20;
        fill(&journal.data, 2);
        assert_int_equal(kedge_journal_save(&journal), KEDGE_ERR_IO);
    }
    nor.budget = UINT32_MAX;
    open_journal(&nor, &journal, false);
    assert_holds(&journal, 1);
}

static void flipped_bits_are_never_taken_for_a_snapshot(void **state)
{
    static struct nor nor;
    static struct kedge_journal journal;
    uint32_t end;

    (void)state;
    nor = (struct nor){.budget = UINT32_MAX};
    memset(nor.bytes, 0xFF, sizeof nor.bytes);
    open_journal(&nor, &journal, true);
    fill(&journal.data, 5);
    assert_int_equal(kedge_journal_save(&journal), KEDGE_OK);
    fill(&journal.data, 6);
    uint32_t start = journal.next;

    assert_int_equal(kedge_journal_save(&journal), KEDGE_OK);
    end = start + 16u + 136u + 6u * 32u + 6u * 112u;
    for (uint32_t at = start; at < end; at++) {
        nor.bytes[at] ^= 0x10;
        open_journal(&nor, &journal, false);
        assert_holds(&journal, 5);
        nor.bytes[at] ^= 0x10;
    }
}

/* docs/failure-modes.md quotes these numbers: snapshots per sector and erases per update. */
static void wear_is_bounded(void **state)
{
    static struct nor nor;
    static struct kedge_journal journal;

    (void)state;
    nor = (struct nor){.budget = UINT32_MAX};
    memset(nor.bytes, 0xFF, sizeof nor.bytes);
    open_journal(&nor, &journal, true);
    for (uint32_t i = 0; i < 1000; i++) {
        journal.data.attempt = i;
        assert_int_equal(kedge_journal_save(&journal), KEDGE_OK);
    }
    assert_int_equal(nor.erases, 40); /* 25 snapshots of 160 bytes fit a sector */
}

/* A boot writes one snapshot. Under flash encryption nothing shows that the rest of the sector is
 * still erased, so each one goes to the other sector. */
static void a_boot_costs_an_erase_only_under_flash_encryption(void **state)
{
    static struct nor nor;
    static struct kedge_journal journal;

    (void)state;
    for (int noise = 0; noise <= 1; noise++) {
        nor = (struct nor){.budget = UINT32_MAX, .noise = noise != 0};
        memset(nor.bytes, 0xFF, sizeof nor.bytes);
        for (uint32_t boot = 0; boot < 100; boot++) {
            open_journal(&nor, &journal, boot == 0);
            journal.data.boot_count++;
            assert_int_equal(kedge_journal_save(&journal), KEDGE_OK);
        }
        assert_int_equal(nor.erases, noise ? 100 : 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blank_store_is_a_fresh_start),
        cmocka_unit_test(every_snapshot_is_read_back_over_many_turnovers),
        cmocka_unit_test(a_cut_at_any_byte_leaves_the_snapshot_before_or_this_one),
        cmocka_unit_test(a_failed_write_never_costs_the_newest_snapshot),
        cmocka_unit_test(flipped_bits_are_never_taken_for_a_snapshot),
        cmocka_unit_test(wear_is_bounded),
        cmocka_unit_test(a_boot_costs_an_erase_only_under_flash_encryption),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
