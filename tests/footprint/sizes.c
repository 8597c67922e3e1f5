/* SPDX-License-Identifier: Apache-2.0 */
#include "kedge/agent.h"
#include "kedge/crypto.h"
#include "kedge/settings_files.h"

/* Each array is as large as the struct it is named after: measure.py reads the sizes with nm. */
#define SIZE_OF(name)                                                                              \
    extern char size_of_##name[sizeof(struct name)];                                               \
    char size_of_##name[sizeof(struct name)]

SIZE_OF(kedge_agent);
SIZE_OF(kedge_settings);
SIZE_OF(kedge_settings_report);
SIZE_OF(kedge_event);
SIZE_OF(kedge_sha256);
