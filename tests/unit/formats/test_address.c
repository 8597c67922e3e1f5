/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void hosts_are_names_or_ipv4_addresses(void **state)
{
    static const char *const good[] = {"a", "ota.example.com", "192.0.2.7", "a-b.c",
                                       "xn--bcher-kva"};
    static const char *const bad[] = {"",    ".",   "a.",  ".a",  "a..b", "-a",    "a-.b", "a.-b",
                                      "a_b", "a b", "::1", "a:1", "a/b",  "a@b.c", "a-"};
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(kedge_host_ok(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(kedge_host_ok(bad[i], strlen(bad[i])));
    }
}

static void a_host_has_at_most_127_characters(void **state)
{
    char host[KEDGE_HOST_MAX_LEN + 1];
    (void)state;

    memset(host, 'a', sizeof(host));

    assert_true(kedge_host_ok(host, KEDGE_HOST_MAX_LEN));
    assert_false(kedge_host_ok(host, KEDGE_HOST_MAX_LEN + 1));
}

static void a_server_url_is_https_and_a_host_and_perhaps_a_port(void **state)
{
    static const char *const good[] = {"https://a", "https://ota.example.com:8443",
                                       "https://192.0.2.7:1", "https://a:65535"};
    static const char *const bad[] = {"",
                                      "https://",
                                      "http://a",
                                      "ota.example.com",
                                      "https://a/",
                                      "https://a:",
                                      "https://a:0",
                                      "https://:1",
                                      "https://a:65536",
                                      "https://a:123456",
                                      "https://u@a",
                                      "https://a:1/",
                                      "https://a:01",
                                      "https://[::1]:1"};
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(kedge_server_url_ok(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(kedge_server_url_ok(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_names_or_ipv4_addresses),
        cmocka_unit_test(a_host_has_at_most_127_characters),
        cmocka_unit_test(a_server_url_is_https_and_a_host_and_perhaps_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
