# What every target shares: language level, warnings as errors, sanitizers, hardening.
option(KEDGE_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(KEDGE_COVERAGE "Count which lines of ports/esp_idf its tests reach" OFF)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(CURL REQUIRED)
find_package(SQLite3 REQUIRED)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(MOSQUITTO REQUIRED IMPORTED_TARGET libmosquitto)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
find_library(MBEDCRYPTO_LIBRARY mbedcrypto REQUIRED)

add_library(kedge_flags INTERFACE)
target_compile_options(kedge_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla
    -Wswitch-enum -Wpointer-arith -Wwrite-strings -Wformat=2 -Werror
    -fstack-protector-strong -fno-common)
target_compile_definitions(kedge_flags INTERFACE _POSIX_C_SOURCE=200809L)
if(KEDGE_SANITIZE)
    target_compile_options(kedge_flags INTERFACE
        -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(kedge_flags INTERFACE -fsanitize=address,undefined)
else()
    target_compile_definitions(kedge_flags INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
    target_link_options(kedge_flags INTERFACE -Wl,-z,relro,-z,now)
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()

# kedge_portable_library(NAME): a library that also runs on a device. Reads sources.cmake beside the
# calling CMakeLists.txt, which sets <NAME>_SOURCES; C11, no extensions.
function(kedge_portable_library name)
    include("${CMAKE_CURRENT_SOURCE_DIR}/sources.cmake")
    add_library(${name} STATIC ${${name}_SOURCES})
    target_include_directories(${name} PUBLIC include PRIVATE src)
    target_link_libraries(${name} PRIVATE kedge_flags)
    set_target_properties(${name} PROPERTIES C_STANDARD 11)
endfunction()

# kedge_test(NAME SOURCES … LIBRARIES …): one cmocka binary, registered with ctest under its name.
function(kedge_test name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES;INCLUDES" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE ${arg_INCLUDES})
    target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} kedge_flags PkgConfig::CMOCKA)
    target_compile_definitions(${name} PRIVATE
        KEDGE_VECTORS="${PROJECT_SOURCE_DIR}/tests/vectors")
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 120
        ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1;ASAN_OPTIONS=detect_leaks=1")
endfunction()
