# Read by the host build and by ports/esp_idf.
set(kedge_formats_SOURCES
    src/bytes.c
    src/command.c
    src/err.c
    src/image.c
    src/image_layout.c
    src/image_writer.c
    src/json.c
    src/json_writer.c
    src/message.c
    src/otadata.c
    src/report.c
    src/telemetry.c
    src/utf8.c)
