# Read by the host build and by ports/esp_idf.
set(kedge_formats_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/src/bytes.c
    ${CMAKE_CURRENT_LIST_DIR}/src/command.c
    ${CMAKE_CURRENT_LIST_DIR}/src/err.c
    ${CMAKE_CURRENT_LIST_DIR}/src/image.c
    ${CMAKE_CURRENT_LIST_DIR}/src/image_layout.c
    ${CMAKE_CURRENT_LIST_DIR}/src/image_writer.c
    ${CMAKE_CURRENT_LIST_DIR}/src/json.c
    ${CMAKE_CURRENT_LIST_DIR}/src/json_writer.c
    ${CMAKE_CURRENT_LIST_DIR}/src/message.c
    ${CMAKE_CURRENT_LIST_DIR}/src/otadata.c
    ${CMAKE_CURRENT_LIST_DIR}/src/report.c
    ${CMAKE_CURRENT_LIST_DIR}/src/telemetry.c
    ${CMAKE_CURRENT_LIST_DIR}/src/utf8.c)
