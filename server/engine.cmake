# The engine: connections, TLS, HTTP/1.1, MQTT ingest, configuration.
set(SRV_ENGINE_SOURCES "")
