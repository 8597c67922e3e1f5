/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_<target> MUTATIONS FILE...: runs the target over each file, then over MUTATIONS changed
 * copies of them. The changes come from a fixed seed (KEDGE_FUZZ_SEED sets another), so that a
 * failure repeats. The input that breaks the target is saved as crash-fuzz_<target>.bin.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_INPUTS 64
#define GROWTH     64 /* bytes that mutations may add */

struct input {
    uint8_t *data;
    size_t len;
};

/* For the signal handler, which can be given nothing. */
static struct input current;
static char crash_path[256];

static void save_current(int signal_number)
{
    int file = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (file >= 0 && write(file, current.data, current.len) == (ssize_t)current.len) {
        static const char message[] = "input saved as crash-fuzz_<target>.bin\n";
        (void)!write(STDERR_FILENO, message, sizeof(message) - 1);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* xorshift64*: any fixed sequence will do. */
static uint32_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1DULL) >> 32);
}

static size_t random_below(uint64_t *state, size_t limit)
{
    return limit > 0 ? next_random(state) % limit : 0;
}

static bool read_input(const char *path, struct input *input)
{
    FILE *file = fopen(path, "rb");
    long len = -1;

    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        len = ftell(file);
        rewind(file);
    }
    if (len >= 0) {
        input->len = (size_t)len;
        input->data = malloc(input->len + 1);
    }
    if (len < 0 || input->data == NULL || fread(input->data, 1, input->len, file) != input->len) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    fclose(file);
    return true;
}

/* In memory of exactly its length, so that ASan sees an over-read. */
static void run(const uint8_t *data, size_t len)
{
    current.len = len;
    current.data = malloc(len > 0 ? len : 1);
    if (current.data == NULL) {
        abort();
    }
    memcpy(current.data, data, len);
    LLVMFuzzerTestOneInput(current.data, len);
    free(current.data);
}

static void flip_bit(struct input *input, uint64_t *random)
{
    input->data[random_below(random, input->len)] ^= (uint8_t)(1u << next_random(random) % 8);
}

static void set_byte(struct input *input, uint64_t *random)
{
    static const uint8_t bytes[] = {0x00, 0xFF, 0x7F, 0x80, '"', '\\', '{', ',', '\n', '-', '9'};

    input->data[random_below(random, input->len)] = bytes[random_below(random, sizeof(bytes))];
}

/* A number at the edges of its range where a length or an offset may stand. */
static void set_number(struct input *input, uint64_t *random)
{
    static const uint32_t numbers[] = {0,          1,          0xFFFFFFFF, 0x7FFFFFFF,
                                       0x80000000, 0xFFFFFFFC, 0x1000};
    uint32_t number = numbers[random_below(random, sizeof(numbers) / sizeof(numbers[0]))];
    size_t at = random_below(random, input->len) & ~(size_t)3;

    for (size_t i = 0; i < 4 && at + i < input->len; i++) {
        input->data[at + i] = (uint8_t)(number >> (8 * i));
    }
}

static void cut(struct input *input, uint64_t *random)
{
    input->len = random_below(random, input->len);
}

static void erase(struct input *input, uint64_t *random)
{
    size_t at = random_below(random, input->len);
    size_t len = random_below(random, input->len - at) % 40;

    memmove(input->data + at, input->data + at + len, input->len - at - len);
    input->len -= len;
}

/* Repeats a few bytes; the buffer has GROWTH to spare, and each mutation grows it once. */
static void repeat(struct input *input, uint64_t *random)
{
    size_t at = random_below(random, input->len);
    size_t len = random_below(random, input->len - at) % GROWTH;

    memmove(input->data + at + len, input->data + at, input->len - at);
    input->len += len;
}

static void (*const mutators[])(struct input *, uint64_t *) = {flip_bit, set_byte, set_number,
                                                               cut,      erase,    repeat};

static void run_mutation(const struct input *source, uint64_t *random)
{
    size_t changes = 1 + random_below(random, 4);
    struct input copy = {malloc(source->len + 4 * GROWTH), source->len};

    if (copy.data == NULL) {
        abort();
    }
    memcpy(copy.data, source->data, source->len);
    for (size_t i = 0; i < changes && copy.len > 0; i++) {
        mutators[random_below(random, sizeof(mutators) / sizeof(mutators[0]))](&copy, random);
    }
    run(copy.data, copy.len);
    free(copy.data);
}

int main(int argc, char **argv)
{
    const char *seed_text = getenv("KEDGE_FUZZ_SEED");
    uint64_t random = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 20261122;
    unsigned long mutations = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    const char *slash = strrchr(argv[0], '/');
    struct input inputs[MAX_INPUTS] = {{0}};
    size_t count = 0;

    if (argc < 3 || argc - 2 > MAX_INPUTS || random == 0) {
        fprintf(stderr, "usage: %s MUTATIONS FILE...\n", argv[0]);
        return 2;
    }
    snprintf(crash_path, sizeof(crash_path), "crash-%s.bin", slash != NULL ? slash + 1 : argv[0]);
    printf("seed %" PRIu64 ", %lu mutations of %d files\n", random, mutations, argc - 2);
    signal(SIGABRT, save_current);
    signal(SIGSEGV, save_current);
    run((const uint8_t *)"", 0);
    for (int i = 2; i < argc; i++, count++) {
        if (!read_input(argv[i], &inputs[count])) {
            return 2;
        }
        run(inputs[count].data, inputs[count].len);
    }
    for (unsigned long i = 0; i < mutations; i++) {
        run_mutation(&inputs[random_below(&random, count)], &random);
    }
    while (count > 0) {
        free(inputs[--count].data);
    }
    return 0;
}
