set(fleet_SOURCES
    src/decide.c
    src/plan.c
    src/state.c
    src/version.c)
