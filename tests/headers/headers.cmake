# cmake -DROOT=… -DCC=gcc -DCXX=g++ -P headers.cmake
cmake_policy(VERSION 3.25)
set(FLAGS -fsyntax-only -Wall -Wextra -Werror -I${ROOT}/formats/include -I${ROOT}/crypto/include
    -I${ROOT}/device/include)
file(GLOB_RECURSE headers ${ROOT}/formats/include/*.h ${ROOT}/crypto/include/*.h
    ${ROOT}/device/include/*.h)
list(LENGTH headers count)
if(count LESS 15)
    message(FATAL_ERROR "headers: only ${count} found")
endif()

function(check header)
    execute_process(COMMAND ${ARGN} -include ${header} -x ${language} /dev/null ${FLAGS}
        RESULT_VARIABLE result ERROR_VARIABLE error)
    if(NOT result EQUAL 0)
        message(SEND_ERROR "headers: ${header} as ${language}:\n${error}")
    endif()
endfunction()

foreach(header ${headers})
    set(language c)
    check(${header} ${CC} -std=c11)
    set(language c++)
    check(${header} ${CXX} -std=c++17)
endforeach()
message("headers: ${count}, each alone, as C11 and as C++17")
