CREATE TABLE api_keys (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  prefix TEXT NOT NULL,
  secret_sha256 TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  kind TEXT NOT NULL,
  label TEXT NOT NULL,
  expires_ms BIGINT,
  revoked_ms BIGINT,
  last_used_ms BIGINT,
  version BIGINT NOT NULL,
  CONSTRAINT pk_api_keys PRIMARY KEY (id),
  CONSTRAINT uq_api_keys_prefix UNIQUE (prefix)
);

CREATE INDEX ix_api_keys_workspace_id_created_ms_id ON api_keys (workspace_id, created_ms, id);

CREATE TABLE artifacts (
  recording_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  object_key TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  metadata TEXT NOT NULL,
  CONSTRAINT pk_artifacts PRIMARY KEY (recording_id, kind)
);

CREATE TABLE audit_blocks (
  workspace_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  first BIGINT NOT NULL,
  told TEXT NOT NULL,
  digest TEXT NOT NULL,
  CONSTRAINT pk_audit_blocks PRIMARY KEY (workspace_id, seq)
);

CREATE TABLE audit_heads (
  workspace_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  digest TEXT NOT NULL,
  CONSTRAINT pk_audit_heads PRIMARY KEY (workspace_id)
);

CREATE TABLE audit_mentions (
  thing_key BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  CONSTRAINT pk_audit_mentions PRIMARY KEY (thing_key, seq)
)
 WITHOUT ROWID;

CREATE TABLE calls (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  chat_id BIGINT NOT NULL,
  readers TEXT,
  deleted_ms BIGINT,
  public_id TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  direction TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  from_number TEXT,
  to_number TEXT,
  assistant_id TEXT,
  assistant_name TEXT,
  phone_number_id TEXT,
  phone_number TEXT,
  name TEXT,
  started_ms BIGINT,
  ended_ms BIGINT,
  ended_reason TEXT,
  participants TEXT NOT NULL,
  external_ids TEXT NOT NULL,
  analysis TEXT NOT NULL,
  metadata TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_calls PRIMARY KEY (id),
  CONSTRAINT uq_calls_public_id UNIQUE (public_id),
  CONSTRAINT uq_calls_workspace_id_chat_id UNIQUE (workspace_id, chat_id)
);

CREATE INDEX ix_calls_live_workspace_id_assistant_id_created_ms_id ON calls (workspace_id, assistant_id, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_calls_live_workspace_id_created_ms_id ON calls (workspace_id, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_calls_live_workspace_id_direction_created_ms_id ON calls (workspace_id, direction, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_calls_live_workspace_id_from_number_created_ms_id ON calls (workspace_id, from_number, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_calls_live_workspace_id_kind_created_ms_id ON calls (workspace_id, kind, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_calls_live_workspace_id_phone_number_id_created_ms_id ON calls (workspace_id, phone_number_id, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_calls_live_workspace_id_status_created_ms_id ON calls (workspace_id, status, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_calls_live_workspace_id_to_number_created_ms_id ON calls (workspace_id, to_number, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_calls_workspace_id_created_ms_id ON calls (workspace_id, created_ms, id);

CREATE TABLE counters (
  name TEXT NOT NULL,
  value BIGINT NOT NULL,
  CONSTRAINT pk_counters PRIMARY KEY (name)
);

CREATE TABLE deliveries (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  endpoint_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  state TEXT NOT NULL,
  planned_ms BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  due_ms BIGINT NOT NULL,
  failure TEXT,
  attempts TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_deliveries PRIMARY KEY (id)
);

CREATE INDEX ix_deliveries_created_ms_id ON deliveries (created_ms, id);

CREATE INDEX ix_deliveries_endpoint_id_created_ms_id ON deliveries (endpoint_id, created_ms, id);

CREATE INDEX ix_deliveries_endpoint_id_state_created_ms_id ON deliveries (endpoint_id, state, created_ms, id);

CREATE INDEX ix_deliveries_state_due_ms_id ON deliveries (state, due_ms, id);

CREATE TABLE derivations (
  parent_id TEXT NOT NULL,
  child_id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  CONSTRAINT pk_derivations PRIMARY KEY (parent_id, child_id)
);

CREATE TABLE events (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  type TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  recording_id TEXT,
  call_id TEXT,
  readers TEXT,
  data TEXT NOT NULL,
  position BIGINT NOT NULL,
  CONSTRAINT pk_events PRIMARY KEY (id),
  CONSTRAINT uq_events_position UNIQUE (position)
);

CREATE INDEX ix_events_recording_id_position ON events (recording_id, position);

CREATE INDEX ix_events_workspace_id_position ON events (workspace_id, position);

CREATE TABLE external_ids (
  workspace_id TEXT NOT NULL,
  system TEXT NOT NULL,
  value TEXT NOT NULL,
  call_id TEXT NOT NULL,
  CONSTRAINT pk_external_ids PRIMARY KEY (workspace_id, system, value)
);

CREATE INDEX ix_external_ids_call_id_system_value ON external_ids (call_id, system, value);

CREATE TABLE firings (
  name TEXT NOT NULL,
  slot_ms BIGINT NOT NULL,
  job_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_firings PRIMARY KEY (name)
);

CREATE TABLE holds (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  recording_id TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  released_ms BIGINT,
  released_by TEXT,
  version BIGINT NOT NULL,
  CONSTRAINT pk_holds PRIMARY KEY (id)
);

CREATE INDEX ix_holds_recording_id_id ON holds (recording_id, id);

CREATE TABLE idempotent_requests (
  workspace_id TEXT NOT NULL,
  "key" TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  reserved_id TEXT NOT NULL,
  claimed_ms BIGINT NOT NULL,
  status BIGINT NOT NULL,
  answer TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_idempotent_requests PRIMARY KEY (workspace_id, "key")
);

CREATE INDEX ix_idempotent_requests_claimed_ms_workspace_id_key ON idempotent_requests (claimed_ms, workspace_id, "key");

CREATE TABLE jobs (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  recording_id TEXT,
  arguments TEXT NOT NULL,
  state TEXT NOT NULL,
  progress DOUBLE NOT NULL,
  priority BIGINT NOT NULL,
  due_ms BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  holder TEXT,
  error_code TEXT,
  error TEXT,
  result TEXT NOT NULL,
  started_ms BIGINT,
  ended_ms BIGINT,
  cancel_requested SMALLINT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_jobs PRIMARY KEY (id)
);

CREATE INDEX ix_jobs_ended_ms_id ON jobs (ended_ms, id);

CREATE INDEX ix_jobs_kind_state_priority_due_ms_id ON jobs (kind, state, priority DESC, due_ms, id);

CREATE INDEX ix_jobs_recording_id_created_ms_id ON jobs (recording_id, created_ms, id);

CREATE INDEX ix_jobs_workspace_id_created_ms_id ON jobs (workspace_id, created_ms, id);

CREATE TABLE lanes (
  recording_id TEXT NOT NULL,
  name TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  role TEXT NOT NULL,
  rate BIGINT NOT NULL,
  participant_id TEXT,
  position BIGINT NOT NULL,
  anchors TEXT NOT NULL,
  drift_ppm DOUBLE NOT NULL,
  drift_confidence DOUBLE NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_lanes PRIMARY KEY (recording_id, name)
);

CREATE TABLE members (
  workspace_id TEXT NOT NULL,
  id TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  name TEXT NOT NULL,
  CONSTRAINT pk_members PRIMARY KEY (workspace_id, id)
);

CREATE TABLE open_spools (
  recording_id TEXT NOT NULL,
  node TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  opened_ms BIGINT NOT NULL,
  detail TEXT NOT NULL,
  CONSTRAINT pk_open_spools PRIMARY KEY (recording_id, node)
);

CREATE INDEX ix_open_spools_node_recording_id ON open_spools (node, recording_id);

CREATE TABLE outbox_cursors (
  name TEXT NOT NULL,
  position BIGINT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_outbox_cursors PRIMARY KEY (name)
);

CREATE TABLE recordings (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  call_id TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  status TEXT NOT NULL,
  in_progress SMALLINT NOT NULL,
  readers TEXT,
  derived_from TEXT NOT NULL,
  operation TEXT,
  edits TEXT NOT NULL,
  format TEXT NOT NULL,
  redacted SMALLINT NOT NULL,
  link_epoch BIGINT NOT NULL,
  expires_ms BIGINT,
  deleted_ms BIGINT,
  chat_id BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  ended_by TEXT,
  failure TEXT,
  sound_version BIGINT NOT NULL,
  duration_us BIGINT NOT NULL,
  sample_rate BIGINT NOT NULL,
  channels BIGINT NOT NULL,
  codec TEXT NOT NULL,
  file_size BIGINT NOT NULL,
  started_ms BIGINT,
  ended_ms BIGINT,
  last_heard_ms BIGINT NOT NULL,
  paused TEXT,
  redaction_type TEXT,
  noise_reduction SMALLINT NOT NULL,
  volume_normalization SMALLINT NOT NULL,
  silence_removal SMALLINT NOT NULL,
  quality TEXT NOT NULL,
  download_count BIGINT NOT NULL,
  last_accessed_ms BIGINT,
  expiry_told SMALLINT NOT NULL,
  retention_days BIGINT,
  auto_delete_ms BIGINT,
  tags TEXT NOT NULL,
  metadata TEXT NOT NULL,
  held SMALLINT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_recordings PRIMARY KEY (id)
);

CREATE INDEX ix_recordings_call_id ON recordings (call_id);

CREATE INDEX ix_recordings_in_progress_last_heard_ms_id ON recordings (in_progress, last_heard_ms, id);

CREATE INDEX ix_recordings_live_expiry_told_expires_ms_id ON recordings (expiry_told, expires_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_recordings_live_held_auto_delete_ms_id ON recordings (held, auto_delete_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_recordings_live_workspace_id_created_ms_id ON recordings (workspace_id, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_recordings_live_workspace_id_status_created_ms_id ON recordings (workspace_id, status, created_ms, id) WHERE deleted_ms IS NULL;

CREATE INDEX ix_recordings_workspace_id_chat_id ON recordings (workspace_id, chat_id);

CREATE INDEX ix_recordings_workspace_id_created_ms_id ON recordings (workspace_id, created_ms, id);

CREATE TABLE recordings_tags (
  id TEXT NOT NULL,
  label TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  status TEXT NOT NULL,
  deleted_ms BIGINT,
  CONSTRAINT pk_recordings_tags PRIMARY KEY (id, label)
);

CREATE INDEX ix_recordings_tags_listed ON recordings_tags (workspace_id, label, created_ms, id, status, deleted_ms);

CREATE TABLE renditions (
  recording_id TEXT NOT NULL,
  "view" TEXT NOT NULL,
  format TEXT NOT NULL,
  rate BIGINT NOT NULL,
  sound_version BIGINT NOT NULL,
  workspace_id TEXT NOT NULL,
  object_key TEXT NOT NULL,
  size BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  CONSTRAINT pk_renditions PRIMARY KEY (recording_id, "view", format, rate, sound_version)
);

CREATE TABLE segments (
  recording_id TEXT NOT NULL,
  lane TEXT NOT NULL,
  seq BIGINT NOT NULL,
  workspace_id TEXT NOT NULL,
  object_key TEXT NOT NULL,
  first_sample BIGINT NOT NULL,
  end_sample BIGINT NOT NULL,
  runs BLOB NOT NULL,
  peaks_offset BIGINT NOT NULL,
  takes BLOB NOT NULL,
  CONSTRAINT pk_segments PRIMARY KEY (recording_id, lane, seq)
);

CREATE INDEX ix_segments_object_key ON segments (object_key);

CREATE TABLE spans (
  id TEXT NOT NULL,
  recording_id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  start_us BIGINT NOT NULL,
  end_us BIGINT,
  lane TEXT,
  mode TEXT NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT pk_spans PRIMARY KEY (id)
);

CREATE INDEX ix_spans_recording_id_start_us_id ON spans (recording_id, start_us, id);

CREATE TABLE stored_objects (
  "key" TEXT NOT NULL,
  size BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  sealing TEXT,
  customer_sealing TEXT,
  workspace_id TEXT NOT NULL,
  recording_id TEXT,
  created_ms BIGINT NOT NULL,
  CONSTRAINT pk_stored_objects PRIMARY KEY ("key")
);

CREATE INDEX ix_stored_objects_recording_id_key ON stored_objects (recording_id, "key");

CREATE INDEX ix_stored_objects_workspace_id_key ON stored_objects (workspace_id, "key");

CREATE TABLE turns (
  call_id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  id TEXT NOT NULL,
  role TEXT NOT NULL,
  content TEXT NOT NULL,
  start_ms BIGINT NOT NULL,
  end_ms BIGINT,
  confidence DOUBLE,
  created_ms BIGINT NOT NULL,
  CONSTRAINT pk_turns PRIMARY KEY (call_id, seq)
);

CREATE TABLE uploads (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  recording_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  length BIGINT NOT NULL,
  "offset" BIGINT NOT NULL,
  channels TEXT NOT NULL,
  media_type TEXT NOT NULL,
  metadata TEXT NOT NULL,
  complete SMALLINT NOT NULL,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  completed_ms BIGINT,
  taken_ms BIGINT,
  version BIGINT NOT NULL,
  CONSTRAINT pk_uploads PRIMARY KEY (id)
);

CREATE INDEX ix_uploads_expires_ms_id ON uploads (expires_ms, id);

CREATE INDEX ix_uploads_recording_id_id ON uploads (recording_id, id);

CREATE TABLE webhook_endpoints (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  url TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  event_types TEXT NOT NULL,
  description TEXT NOT NULL,
  dialect TEXT NOT NULL,
  scheme TEXT NOT NULL,
  secrets TEXT NOT NULL,
  from_position BIGINT NOT NULL,
  enabled SMALLINT NOT NULL,
  disabled_reason TEXT,
  failing_since_ms BIGINT,
  verified_ms BIGINT,
  version BIGINT NOT NULL,
  CONSTRAINT pk_webhook_endpoints PRIMARY KEY (id)
);

CREATE INDEX ix_webhook_endpoints_workspace_id_created_ms_id ON webhook_endpoints (workspace_id, created_ms, id);

CREATE TABLE workspace_keys (
  id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  wrapped TEXT NOT NULL,
  master_key_id TEXT NOT NULL,
  retired_ms BIGINT,
  version BIGINT NOT NULL,
  CONSTRAINT pk_workspace_keys PRIMARY KEY (id)
);

CREATE INDEX ix_workspace_keys_workspace_id_created_ms_id ON workspace_keys (workspace_id, created_ms, id);

CREATE TABLE workspaces (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  recording_enabled SMALLINT NOT NULL,
  public_recordings SMALLINT NOT NULL,
  hipaa SMALLINT NOT NULL,
  delivery TEXT NOT NULL,
  link_seconds_max BIGINT NOT NULL,
  idle_complete_seconds BIGINT NOT NULL,
  retention_days BIGINT,
  customer_public_key TEXT,
  deleted_ms BIGINT,
  version BIGINT NOT NULL,
  CONSTRAINT pk_workspaces PRIMARY KEY (id)
);

CREATE INDEX ix_workspaces_name ON workspaces (name);

