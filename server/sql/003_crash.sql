-- What crashed, and how much of its core dump is here: files crashes/<device_id>/<sha256>, with
-- .part at the end while bytes are missing.
CREATE TABLE crashes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id    TEXT    NOT NULL REFERENCES devices (id),
    sha256       TEXT    NOT NULL CHECK (length(sha256) = 64),
    size         INTEGER NOT NULL CHECK (size > 0),
    received_at  INTEGER NOT NULL,
    completed_at INTEGER NOT NULL,
    -- 0: the file was removed to make room, the row is what is left
    has_dump     INTEGER NOT NULL,
    -- that crashed: of the release with that elf_sha256, or what the device ran when it reported
    version      TEXT    NOT NULL,
    is_matched   INTEGER NOT NULL,
    reporter     TEXT    NOT NULL,
    reset_reason TEXT    NOT NULL,
    task         TEXT    NOT NULL,
    pc           INTEGER NOT NULL,
    elf_sha256   TEXT    NOT NULL,
    backtrace    TEXT    NOT NULL,
    UNIQUE (device_id, sha256)
) STRICT;
