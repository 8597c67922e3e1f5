# Read by the host build and by ports/esp_idf (mbedtls only).
set(kedge_crypto_mbedtls_SOURCES
    src/mbedtls.c
    src/sigverify.c)
set(kedge_crypto_openssl_SOURCES
    src/openssl.c
    src/sigverify.c)
