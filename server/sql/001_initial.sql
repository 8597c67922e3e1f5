-- Times are Unix milliseconds; 0 = never. Digests are lower-case hex. Closed sets are stored as the
-- texts of their X-macro tables, so that a row can be read without the source.

CREATE TABLE releases (
    id             INTEGER PRIMARY KEY,
    sha256         TEXT    NOT NULL UNIQUE CHECK (length(sha256) = 64),
    project        TEXT    NOT NULL,
    chip           TEXT    NOT NULL,
    version        TEXT    NOT NULL CHECK (version <> ''),
    secure_version INTEGER NOT NULL,
    size           INTEGER NOT NULL CHECK (size > 0),
    elf_sha256     TEXT    NOT NULL,
    notes          TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    created_by     TEXT    NOT NULL,
    UNIQUE (project, chip, version)
) STRICT;

CREATE TABLE devices (
    id              TEXT    PRIMARY KEY,
    chip            TEXT    NOT NULL,
    cert_sha256     TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    revoked_at      INTEGER NOT NULL,
    first_seen      INTEGER NOT NULL,
    last_seen       INTEGER NOT NULL,
    version         TEXT    NOT NULL,
    elf_sha256      TEXT    NOT NULL,
    version_since   INTEGER NOT NULL,
    slot_size       INTEGER NOT NULL,
    secure_version  INTEGER NOT NULL,
    boot_caps       TEXT    NOT NULL,
    link            TEXT    NOT NULL,
    link_since      INTEGER NOT NULL,
    -- the last telemetry, so that the fleet can be shown without touching the large table
    telemetry_at    INTEGER NOT NULL,
    uptime_s        INTEGER NOT NULL,
    free_heap       INTEGER NOT NULL,
    min_free_heap   INTEGER NOT NULL,
    largest_block   INTEGER NOT NULL,
    rssi            INTEGER NOT NULL,
    reset_reason    TEXT    NOT NULL,
    temperature_mc  INTEGER,
    boot_count      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rollouts (
    id           INTEGER PRIMARY KEY,
    release_id   INTEGER NOT NULL REFERENCES releases (id),
    stages       TEXT    NOT NULL,
    max_failures INTEGER NOT NULL,
    pace         INTEGER NOT NULL,
    soak_ms      INTEGER NOT NULL,
    silence_ms   INTEGER NOT NULL,
    force        INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    stage        INTEGER NOT NULL,
    halt_reason  TEXT    NOT NULL,
    created_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    progress_at  INTEGER NOT NULL,
    halted_at    INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE rollout_members (
    rollout_id   INTEGER NOT NULL REFERENCES rollouts (id),
    device_id    TEXT    NOT NULL REFERENCES devices (id),
    position     INTEGER NOT NULL,
    stage        INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    offered_at   INTEGER NOT NULL,
    heard_at     INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    cause        TEXT    NOT NULL,
    downloads    INTEGER NOT NULL,
    bytes_sent   INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL,
    PRIMARY KEY (rollout_id, device_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE reports (
    device_id   TEXT    NOT NULL REFERENCES devices (id),
    attempt     INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    sha256      TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    version_from TEXT   NOT NULL,
    version_to  TEXT    NOT NULL,
    detail      INTEGER NOT NULL,
    PRIMARY KEY (device_id, attempt, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE telemetry (
    device_id      TEXT    NOT NULL REFERENCES devices (id),
    ts             INTEGER NOT NULL,
    boot_id        INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    firmware       TEXT    NOT NULL,
    uptime_s       INTEGER NOT NULL,
    free_heap      INTEGER NOT NULL,
    min_free_heap  INTEGER NOT NULL,
    largest_block  INTEGER NOT NULL,
    rssi           INTEGER NOT NULL,
    reset_reason   TEXT    NOT NULL,
    temperature_mc INTEGER,
    boot_count     INTEGER NOT NULL,
    PRIMARY KEY (device_id, ts, boot_id, seq)
) STRICT, WITHOUT ROWID;

-- A message that the broker delivers again must not count twice, also when the device has no clock
-- and ts is the time of arrival.
CREATE UNIQUE INDEX telemetry_message ON telemetry (device_id, boot_id, seq) WHERE boot_id <> 0;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    ts      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    address TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;
