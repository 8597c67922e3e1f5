# The domain: store, releases, devices, rollouts, audit, telemetry, the two APIs.
file(GLOB SRV_MIGRATIONS CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/sql/*.sql")
list(SORT SRV_MIGRATIONS)
add_custom_command(
    OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/migrations.c"
    COMMAND "${CMAKE_COMMAND}" "-DOUT=${CMAKE_CURRENT_BINARY_DIR}/migrations.c"
            -P "${CMAKE_CURRENT_SOURCE_DIR}/store/embed.cmake" -- ${SRV_MIGRATIONS}
    DEPENDS ${SRV_MIGRATIONS} "${CMAKE_CURRENT_SOURCE_DIR}/store/embed.cmake"
    VERBATIM)

set_source_files_properties(admin_json.c PROPERTIES
    COMPILE_DEFINITIONS "KEDGE_VERSION=\"${PROJECT_VERSION}\"")

set(SRV_DOMAIN_SOURCES
    admin_api.c
    admin_body.c
    admin_json.c
    audit.c
    core.c
    crash_api.c
    crashes.c
    device_api.c
    devices.c
    guard.c
    offer.c
    range.c
    releases.c
    request.c
    rollouts.c
    store/audit.c
    store/crash.c
    store/device.c
    store/member.c
    store/release.c
    store/report.c
    store/rollout.c
    store/sqlite.c
    store/telemetry.c
    telemetry.c
    upload.c
    "${CMAKE_CURRENT_BINARY_DIR}/migrations.c")
