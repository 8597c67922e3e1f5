/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <arpa/inet.h>
#include <string.h>

#include "cli.h"

#define NAME_MAX_LEN  253u
#define NAMES_MAX_LEN 8192u

static bool is_dns_name(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_LEN && strspn(name, allowed) == len && name[0] != '-' &&
           name[0] != '.' && name[len - 1] != '.' && strstr(name, "..") == NULL;
}

static bool is_ip_address(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* A fleet outlives its first host name: ota.example.com lets the CA name all of example.com. */
static const char *domain_of(const char *name)
{
    const char *first = strchr(name, '.');
    return first != NULL && strchr(first + 1, '.') != NULL ? first + 1 : name;
}

static void add_name(struct cli_names *names, const char *name)
{
    bool is_ip = is_ip_address(name);
    const char *separator = names->alt_names.len != 0 ? "," : "";
    host_buf_printf(&names->alt_names, "%s%s:%s", separator, is_ip ? "IP" : "DNS", name);
    if (!is_ip) {
        host_buf_printf(&names->domains, "%s%s", names->domains.len != 0 ? "," : "",
                        domain_of(name));
    }
}

static bool is_loopback(const char *name)
{
    return strcmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0 ||
           strcmp(name, "::1") == 0;
}

static enum kedge_err take_name(struct cli_names *names, const char *name)
{
    if (!is_ip_address(name) && !is_dns_name(name)) {
        cli_error(CLI_USAGE,
                  "--host: \"%s\" is neither a DNS name nor an IP address, expected for example "
                  "ota.example.com or 192.0.2.7",
                  name);
        return KEDGE_ERR_SYNTAX;
    }
    if (!is_loopback(name)) {
        names->loopback_only = false;
        add_name(names, name);
    }
    return KEDGE_OK;
}

enum kedge_err cli_names_parse(const char *hosts, struct cli_names *names)
{
    host_buf_init(&names->alt_names, NAMES_MAX_LEN);
    host_buf_init(&names->domains, NAMES_MAX_LEN);
    names->loopback_only = true;
    add_name(names, "localhost");
    add_name(names, "127.0.0.1");
    add_name(names, "::1");
    while (*hosts != '\0') {
        char name[NAME_MAX_LEN + 2]; /* one more than a name may have: longer ones are refused */
        size_t len = strcspn(hosts, ",");
        size_t kept = len < sizeof(name) ? len : sizeof(name) - 1;
        memcpy(name, hosts, kept);
        name[kept] = '\0';
        enum kedge_err err = take_name(names, name);
        if (err != KEDGE_OK) {
            return err;
        }
        hosts += len + (hosts[len] == ',' ? 1 : 0);
    }
    if (!host_buf_ok(&names->alt_names)) {
        cli_error(CLI_USAGE, "--host: too many names, expected at most %u bytes", NAMES_MAX_LEN);
        return KEDGE_ERR_SYNTAX;
    }
    return KEDGE_OK;
}

void cli_names_free(struct cli_names *names)
{
    host_buf_free(&names->alt_names);
    host_buf_free(&names->domains);
}
