foreach(module http_parser http_response mqtt_codec)
    kedge_test(test_server_${module} SOURCES test_${module}.c LIBRARIES srv)
endforeach()
