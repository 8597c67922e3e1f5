# Read by the host build and by ports/esp_idf (mbedtls, and psa for ESP-IDF 6).
set(kedge_crypto_mbedtls_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/src/mbedtls.c
    ${CMAKE_CURRENT_LIST_DIR}/src/sigverify.c)
set(kedge_crypto_psa_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/src/psa.c
    ${CMAKE_CURRENT_LIST_DIR}/src/sigverify.c)
set(kedge_crypto_openssl_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/src/openssl.c
    ${CMAKE_CURRENT_LIST_DIR}/src/sigverify.c)
