-- Whether a rollout reaches devices whose bootloader cannot roll back.
ALTER TABLE rollouts ADD COLUMN allow_no_rollback INTEGER NOT NULL DEFAULT 0;
