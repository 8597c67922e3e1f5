# cmake -DROOT=… -DOUT=… -DGCC=riscv64-unknown-elf-gcc -P footprint.cmake
# Compiles formats/, crypto/ (mbedTLS) and device/ for rv32imc with Debian's GCC 12.2 and picolibc,
# the series of ESP-IDF 5.1, a warning being an error. measure.py reads the rest off the objects.
cmake_policy(VERSION 3.25)
set(FLAGS -march=rv32imc -mabi=ilp32 --specs=picolibc.specs -std=c11 -Os -ffunction-sections
    -fdata-sections -fstack-usage -fcallgraph-info=su -Wall -Wextra -Wshadow -Wconversion
    -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wswitch-enum -Werror)
set(INCLUDES -I${ROOT}/formats/include -I${ROOT}/crypto/include -I${ROOT}/device/include)

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
        ERROR_VARIABLE error)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "footprint: ${ARGN}\n${output}${error}")
    endif()
    if(output)
        message("${output}")
    endif()
endfunction()

function(compile dir)
    file(MAKE_DIRECTORY ${dir})
    foreach(source ${ARGN})
        get_filename_component(name ${source} NAME_WE)
        run(${GCC} ${FLAGS} ${INCLUDES} -c ${source} -o ${dir}/${name}.o)
    endforeach()
endfunction()

# Of /usr/include only mbedTLS: what lies beside it belongs to another libc.
file(REMOVE_RECURSE ${OUT})
file(MAKE_DIRECTORY ${OUT}/include)
file(CREATE_LINK /usr/include/mbedtls ${OUT}/include/mbedtls SYMBOLIC)

include(${ROOT}/formats/sources.cmake)
include(${ROOT}/crypto/sources.cmake)
include(${ROOT}/device/sources.cmake)
compile(${OUT}/formats ${kedge_formats_SOURCES})
compile(${OUT}/device ${kedge_device_SOURCES})
compile(${OUT}/sizes ${CMAKE_CURRENT_LIST_DIR}/sizes.c)
list(APPEND INCLUDES -isystem ${OUT}/include -I${CMAKE_CURRENT_LIST_DIR}
    -DMBEDTLS_CONFIG_FILE=<mbedtls_config.h>)
compile(${OUT}/crypto ${kedge_crypto_mbedtls_SOURCES})

run(/usr/bin/python3 -B ${CMAKE_CURRENT_LIST_DIR}/measure.py ${OUT} ${GCC})
