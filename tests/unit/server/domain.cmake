# The domain is driven through its routes, without sockets.
foreach(module rollouts)
    kedge_test(test_server_${module} SOURCES test_${module}.c core_fixture.c
        LIBRARIES srv fleet kedge_crypto_openssl SQLite::SQLite3 PkgConfig::CJSON)
endforeach()
