# The engine: connections, TLS, HTTP/1.1, MQTT ingest, configuration.
set(SRV_ENGINE_SOURCES
    config.c
    conn.c
    conn_out.c
    conn_request.c
    http_parser.c
    http_request.c
    http_response.c
    ingest.c
    listener.c
    mqtt_codec.c
    mqtt_outbox.c
    tls.c
    tls_client.c)
