# The port's own sources: read by the component's CMakeLists.txt and by the tests on the host.
set(kedge_esp_idf_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/src/compat.c
    ${CMAKE_CURRENT_LIST_DIR}/src/crash.c
    ${CMAKE_CURRENT_LIST_DIR}/src/errors.c
    ${CMAKE_CURRENT_LIST_DIR}/src/http.c
    ${CMAKE_CURRENT_LIST_DIR}/src/loop.c
    ${CMAKE_CURRENT_LIST_DIR}/src/mqtt.c
    ${CMAKE_CURRENT_LIST_DIR}/src/netif.c
    ${CMAKE_CURRENT_LIST_DIR}/src/slots.c
    ${CMAKE_CURRENT_LIST_DIR}/src/start.c
    ${CMAKE_CURRENT_LIST_DIR}/src/storage.c
    ${CMAKE_CURRENT_LIST_DIR}/src/store.c
    ${CMAKE_CURRENT_LIST_DIR}/src/system.c)
