/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "esp_err.h"

#define ESP_ERR_HTTP_CONNECT           0x7002
#define ESP_ERR_HTTP_WRITE_DATA        0x7003
#define ESP_ERR_HTTP_FETCH_HEADER      0x7004
#define ESP_ERR_HTTP_INVALID_TRANSPORT 0x7005
#define ESP_ERR_HTTP_CONNECTING        0x7006
#define ESP_ERR_HTTP_EAGAIN            0x7007
#define ESP_ERR_HTTP_CONNECTION_CLOSED 0x7008

typedef struct esp_http_client *esp_http_client_handle_t;

typedef enum {
    HTTP_EVENT_ERROR,
    HTTP_EVENT_ON_CONNECTED,
    HTTP_EVENT_HEADERS_SENT,
    HTTP_EVENT_ON_HEADER,
    HTTP_EVENT_ON_DATA,
    HTTP_EVENT_ON_FINISH,
    HTTP_EVENT_DISCONNECTED
} esp_http_client_event_id_t;

typedef struct {
    esp_http_client_event_id_t event_id;
    esp_http_client_handle_t client;
    void *data;
    int data_len;
    void *user_data;
    char *header_key;
    char *header_value;
} esp_http_client_event_t;

typedef esp_err_t (*http_event_handle_cb)(esp_http_client_event_t *event);

typedef enum {
    HTTP_METHOD_GET,
    HTTP_METHOD_POST
} esp_http_client_method_t;

typedef struct {
    const char *url;
    const char *cert_pem;
    const char *client_cert_pem;
    const char *client_key_pem;
    int timeout_ms;
    bool disable_auto_redirect;
    http_event_handle_cb event_handler;
    int buffer_size;
    int buffer_size_tx;
    void *user_data;
    bool keep_alive_enable;
    bool save_client_session; /* from ESP-IDF 5.3 on, with CONFIG_ESP_TLS_CLIENT_SESSION_TICKETS */
} esp_http_client_config_t;

esp_http_client_handle_t esp_http_client_init(const esp_http_client_config_t *config);
esp_err_t esp_http_client_set_url(esp_http_client_handle_t client, const char *url);
esp_err_t esp_http_client_set_method(esp_http_client_handle_t client,
                                     esp_http_client_method_t method);
esp_err_t esp_http_client_set_timeout_ms(esp_http_client_handle_t client, int timeout_ms);
esp_err_t esp_http_client_set_header(esp_http_client_handle_t client, const char *key,
                                     const char *value);
esp_err_t esp_http_client_delete_header(esp_http_client_handle_t client, const char *key);
esp_err_t esp_http_client_open(esp_http_client_handle_t client, int write_len);
int esp_http_client_write(esp_http_client_handle_t client, const char *buffer, int len);
int64_t esp_http_client_fetch_headers(esp_http_client_handle_t client);
int esp_http_client_get_status_code(esp_http_client_handle_t client);
int esp_http_client_read(esp_http_client_handle_t client, char *buffer, int len);
bool esp_http_client_is_complete_data_received(esp_http_client_handle_t client);
esp_err_t esp_http_client_close(esp_http_client_handle_t client);
