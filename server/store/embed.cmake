# cmake -DOUT=migrations.c -P embed.cmake -- 001_initial.sql …: the migrations as C string literals.
set(rows "")
set(number 0)
set(in_files FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
    set(file "${CMAKE_ARGV${i}}")
    if(file STREQUAL "--")
        set(in_files TRUE)
    elseif(in_files)
        math(EXPR number "${number} + 1")
        get_filename_component(name "${file}" NAME_WE)
        string(SUBSTRING "${name}" 0 3 prefix)
        string(LENGTH "00${number}" length)
        math(EXPR start "${length} - 3")
        string(SUBSTRING "00${number}" ${start} 3 expected)
        if(NOT prefix STREQUAL expected)
            message(FATAL_ERROR "${file}: expected the migration to begin with ${expected}_")
        endif()
        file(READ "${file}" text)
        string(REPLACE "\\" "\\\\" text "${text}")
        string(REPLACE "\"" "\\\"" text "${text}")
        string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
        string(APPEND rows "    {\"${name}\",\n     \"${text}\"},\n")
    endif()
endforeach()
file(WRITE "${OUT}" "/* Made from server/sql by store/embed.cmake. */
#include \"store/sqlite.h\"

const struct srv_migration srv_migrations[] = {
${rows}};
const int srv_migration_count = ${number};
")
