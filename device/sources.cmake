# The only list of the agent's sources; the host build, the rv32imc check and ports/esp_idf use it.
set(kedge_device_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/src/agent.c
    ${CMAKE_CURRENT_LIST_DIR}/src/backoff.c
    ${CMAKE_CURRENT_LIST_DIR}/src/boot.c
    ${CMAKE_CURRENT_LIST_DIR}/src/crash.c
    ${CMAKE_CURRENT_LIST_DIR}/src/download.c
    ${CMAKE_CURRENT_LIST_DIR}/src/http_headers.c
    ${CMAKE_CURRENT_LIST_DIR}/src/journal.c
    ${CMAKE_CURRENT_LIST_DIR}/src/lifecycle.c
    ${CMAKE_CURRENT_LIST_DIR}/src/outbox.c
    ${CMAKE_CURRENT_LIST_DIR}/src/poll.c
    ${CMAKE_CURRENT_LIST_DIR}/src/settings_config.c
    ${CMAKE_CURRENT_LIST_DIR}/src/settings_files.c
    ${CMAKE_CURRENT_LIST_DIR}/src/telemetry.c
    ${CMAKE_CURRENT_LIST_DIR}/src/trial.c
    ${CMAKE_CURRENT_LIST_DIR}/src/verdict.c)
