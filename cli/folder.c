/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "host/fs.h"
#include "host/option.h"

static const struct host_option setting_rows[] = {
    {.name = "listen-admin",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct cli_settings, listen_admin),
     .default_text = "127.0.0.1:8444"},
    {.name = "listen-device",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct cli_settings, listen_device),
     .default_text = "0.0.0.0:8443"},
    {.name = "broker",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct cli_settings, broker),
     .default_text = ""},
    {.name = "tls-ca",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct cli_settings, tls_ca),
     .default_text = CLI_CA_CERT},
    {.name = "admin-token-file",
     .type = HOST_OPTION_STRING,
     .offset = offsetof(struct cli_settings, admin_token_file),
     .default_text = CLI_TOKEN},
    {0},
};
static const struct host_option_set setting_set = {.rows = setting_rows, .skip_unknown = true};

enum kedge_err cli_path_in(struct cli_path *path, const char *dir, const char *name)
{
    enum kedge_err err = name[0] == '/' ? host_fs_join(path->text, sizeof(path->text), "", name)
                                        : host_fs_join(path->text, sizeof(path->text), dir, name);
    if (err != KEDGE_OK) {
        cli_error(CLI_FAILED, "%s: the path is too long, expected at most %d bytes", dir, PATH_MAX);
    }
    return err;
}

enum kedge_err cli_path_pki(struct cli_path *path, const char *dir, const char *folder,
                            const char *stem, const char *suffix)
{
    int len = snprintf(path->text, sizeof(path->text), "%s/%s/%s.%s", dir, folder, stem, suffix);
    if (len < 0 || (size_t)len >= sizeof(path->text)) {
        cli_error(CLI_FAILED, "%s: the path is too long, expected at most %d bytes", dir, PATH_MAX);
        return KEDGE_ERR_TOO_LARGE;
    }
    return KEDGE_OK;
}

bool cli_is_empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return false;
    }
    size_t entries = 0;
    while (readdir(dir) != NULL) {
        entries++;
    }
    closedir(dir);
    return entries <= 2;
}

enum kedge_err cli_settings_read(const char *dir, struct cli_settings *settings)
{
    struct cli_path path;
    *settings = (struct cli_settings){0};
    enum kedge_err err = cli_path_in(&path, dir, CLI_CONFIG);
    if (err != KEDGE_OK) {
        return err;
    }
    if (access(path.text, F_OK) != 0) {
        cli_error(CLI_FAILED,
                  "%s is not a Kedge data folder (no " CLI_CONFIG " in it). Name yours with --data "
                  "or KEDGE_DATA, or make one with `kedge init --data %s`",
                  dir, dir);
        return KEDGE_ERR_NOT_FOUND;
    }
    err = host_options_defaults(&setting_set, settings);
    if (err == KEDGE_OK) {
        err = host_options_file(&setting_set, settings, path.text, stderr);
    }
    if (err != KEDGE_OK) {
        cli_settings_free(settings);
    }
    return err;
}

void cli_settings_free(struct cli_settings *settings)
{
    host_options_free(&setting_set, settings);
}
