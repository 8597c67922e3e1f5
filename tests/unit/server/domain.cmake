# The domain is driven through its routes, without sockets; the store through store.h alone.
kedge_test(test_server_store SOURCES test_store.c LIBRARIES srv fleet SQLite::SQLite3)
foreach(module core crash device_api rollouts upload)
    kedge_test(test_server_${module} SOURCES test_${module}.c core_fixture.c
        LIBRARIES srv fleet kedge_crypto_openssl PkgConfig::CJSON)
endforeach()
