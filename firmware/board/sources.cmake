# For the main component of firmware/ and of firmware/bench. No component of its own: it would have to
# name LittleFS, which is called joltwallet__littlefs by the component manager and anything by hand.
set(board_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/clock.c
    ${CMAKE_CURRENT_LIST_DIR}/network_openeth.c
    ${CMAKE_CURRENT_LIST_DIR}/network_wifi.c
    ${CMAKE_CURRENT_LIST_DIR}/storage.c)
