CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE TABLE "identity" (
   "id" INTEGER PRIMARY KEY,
   "product" TEXT NOT NULL,
   "home" TEXT NOT NULL,
   "host" TEXT NOT NULL,
   "secret" TEXT NOT NULL,
   "created_at" TEXT NOT NULL
, home_id text, marked_by text, engine text);
CREATE TABLE "apps" (
   "name" TEXT PRIMARY KEY,
   "subnet" TEXT NOT NULL,
   "gateway" TEXT,
   "network" TEXT,
   "bridge" TEXT NOT NULL,
   "revision" INTEGER NOT NULL DEFAULT 0,
   "active" INTEGER,
   "listen_host" TEXT,
   "listen_port" INTEGER,
   "hosts" TEXT DEFAULT '[]',
   "policy" TEXT,
   "next_address" INTEGER DEFAULT 0,
   "created_at" TEXT
, trust text, file text, engines_own text, scale text not null default '{}', ports text not null default '{}');
CREATE UNIQUE INDEX "idx_apps_listen_host_listen_port"
    ON "apps" ("listen_host", "listen_port");
CREATE TABLE "releases" (
   "id" INTEGER PRIMARY KEY,
   "app" TEXT NOT NULL,
   "number" INTEGER NOT NULL,
   "version" TEXT NOT NULL,
   "digest" TEXT NOT NULL,
   "bundle" TEXT NOT NULL,
   "bundle_hash" TEXT NOT NULL,
   "created_at" TEXT,
   "proven_at" TEXT,
   "colour" TEXT,
   "failure" TEXT,
   "hold_at" TEXT,
   "hold_actor" TEXT,
   "hold_reason" TEXT
, hold_revision integer, cap_drop text not null default '[]', failure_code text, components text not null default '[{"name":"web"}]', completed text not null default '{}', scale text not null default '{}');
CREATE UNIQUE INDEX "idx_releases_app_number"
    ON "releases" ("app", "number");
CREATE TABLE "port_leases" (
   "port" INTEGER PRIMARY KEY,
   "app" TEXT,
   "release" INTEGER
, component text not null default 'web', replica integer not null default 1);
CREATE TABLE "address_leases" (
   "address" TEXT PRIMARY KEY,
   "app" TEXT,
   "release" INTEGER
, component text not null default 'web', replica integer not null default 1);
CREATE TABLE "changes" (
   "id" INTEGER PRIMARY KEY,
   "app" TEXT NOT NULL,
   "revision" INTEGER NOT NULL,
   "kind" TEXT NOT NULL,
   "source" INTEGER,
   "target" INTEGER,
   "at" TEXT NOT NULL,
   "actor" TEXT NOT NULL,
   "note" TEXT,
   "switch_ms" REAL,
   "held" INTEGER,
   "lifted" INTEGER,
   "deployment" INTEGER,
   "chain" TEXT
);
CREATE UNIQUE INDEX "idx_changes_app_revision"
    ON "changes" ("app", "revision");
CREATE INDEX "idx_changes_app_target_revision"
    ON "changes" ("app", "target", "revision");
CREATE INDEX "idx_changes_app_source_revision"
    ON "changes" ("app", "source", "revision");
CREATE TABLE "events" (
   "id" INTEGER PRIMARY KEY,
   "at" TEXT NOT NULL,
   "app" TEXT,
   "actor" TEXT NOT NULL,
   "kind" TEXT NOT NULL,
   "text" TEXT NOT NULL,
   "data" TEXT
, hash text);
CREATE INDEX "idx_events_app"
    ON "events" ("app");
CREATE TRIGGER changes_no_update before update on changes begin select raise(abort, 'changes is only ever added to'); end;
CREATE TRIGGER changes_no_delete before delete on changes begin select raise(abort, 'changes is only ever added to'); end;
CREATE TABLE "deployments" (
   "id" INTEGER PRIMARY KEY,
   "app" TEXT NOT NULL,
   "kind" TEXT NOT NULL,
   "source" INTEGER,
   "target" INTEGER,
   "phase" TEXT NOT NULL,
   "plan" TEXT NOT NULL,
   "actor" TEXT NOT NULL,
   "note" TEXT,
   "started_at" TEXT NOT NULL,
   "finished_at" TEXT,
   "outcome" TEXT,
   "error" TEXT,
   "evidence" TEXT,
   "token" INTEGER NOT NULL,
   "abort_by" TEXT,
   "before" TEXT
, error_code text, cause text, why text);
CREATE UNIQUE INDEX one_open_deployment_per_app on deployments(app) where finished_at is null;
CREATE TABLE "steps" (
   "id" INTEGER PRIMARY KEY,
   "deployment" INTEGER REFERENCES "deployments"("id"),
   "seq" INTEGER,
   "kind" TEXT,
   "release" INTEGER,
   "sentence" TEXT,
   "begun_at" TEXT,
   "finished_at" TEXT,
   "ok" INTEGER,
   "ms" REAL,
   "text" TEXT
, component text, replica integer);
CREATE UNIQUE INDEX "idx_steps_deployment_seq"
    ON "steps" ("deployment", "seq");
CREATE TABLE "leases" (
   "app" TEXT PRIMARY KEY,
   "token" INTEGER NOT NULL,
   "holder" TEXT,
   "verb" TEXT,
   "pid" INTEGER,
   "pid_start" INTEGER,
   "boot" TEXT,
   "since" TEXT
, beat real);
CREATE TRIGGER events_no_update before update on events begin select raise(abort, 'events is only ever added to'); end;
CREATE TABLE "users" (
   "name" TEXT PRIMARY KEY,
   "roles" TEXT NOT NULL,
   "password" TEXT,
   "created_at" TEXT NOT NULL,
   "created_by" TEXT NOT NULL
);
CREATE TABLE "tries" (
   "name" TEXT PRIMARY KEY,
   "count" INTEGER NOT NULL,
   "last_at" TEXT NOT NULL
);
CREATE TABLE "links" (
   "hash" TEXT PRIMARY KEY,
   "user" TEXT NOT NULL,
   "created_at" TEXT NOT NULL,
   "expires_at" TEXT NOT NULL
, maker text);
CREATE TABLE "sign_ins" (
   "id" INTEGER PRIMARY KEY,
   "hash" TEXT NOT NULL,
   "user" TEXT NOT NULL,
   "created_at" TEXT NOT NULL,
   "seen_at" TEXT NOT NULL,
   "address" TEXT NOT NULL,
   "agent" TEXT NOT NULL,
   "ended_at" TEXT
);
CREATE UNIQUE INDEX "idx_sign_ins_hash"
    ON "sign_ins" ("hash");
CREATE TABLE "tokens" (
   "id" INTEGER PRIMARY KEY,
   "name" TEXT NOT NULL,
   "hash" TEXT NOT NULL,
   "roles" TEXT NOT NULL,
   "created_at" TEXT NOT NULL,
   "created_by" TEXT NOT NULL,
   "expires_at" TEXT,
   "used_at" TEXT,
   "used_from" TEXT,
   "revoked_at" TEXT
, owner text);
CREATE UNIQUE INDEX "idx_tokens_hash"
    ON "tokens" ("hash");
CREATE UNIQUE INDEX one_token_in_use_per_name on tokens(name) where revoked_at is null;
CREATE TABLE "answers" (
   "who" TEXT,
   "key" TEXT,
   "asked" TEXT NOT NULL,
   "at" TEXT NOT NULL,
   "status" INTEGER,
   "body" TEXT,
   PRIMARY KEY ("who", "key")
);
CREATE INDEX "idx_deployments_app"
    ON "deployments" ("app");
CREATE TABLE "earlier_homes" (
   "path" TEXT PRIMARY KEY,
   "left_at" TEXT NOT NULL
);
CREATE TABLE "pulls" (
   "repo_digest" TEXT PRIMARY KEY,
   "at" TEXT NOT NULL
);
CREATE TABLE "networks" (
   "name" TEXT PRIMARY KEY,
   "app" TEXT NOT NULL,
   "subnet" TEXT NOT NULL,
   "gateway" TEXT NOT NULL,
   "bridge" TEXT NOT NULL,
   "engines_own" TEXT
);
CREATE UNIQUE INDEX "idx_networks_subnet"
    ON "networks" ("subnet");
CREATE UNIQUE INDEX "idx_networks_bridge"
    ON "networks" ("bridge");
CREATE UNIQUE INDEX "idx_releases_app_version_bundle_hash_cap_drop"
    ON "releases" ("app", "version", "bundle_hash", "cap_drop");
CREATE TABLE "refusals" (
   "minute" TEXT,
   "actor" TEXT,
   "route" TEXT,
   "kind" TEXT NOT NULL,
   "text" TEXT NOT NULL,
   "at" TEXT NOT NULL,
   "app" TEXT,
   "data" TEXT NOT NULL,
   PRIMARY KEY ("minute", "actor", "route")
);
CREATE INDEX "idx_releases_app_version_number"
    ON "releases" ("app", "version", "number");
CREATE INDEX proven_releases on releases(app, version, number) where proven_at is not null;
CREATE INDEX good_releases on releases(app, version, number) where proven_at is not null and hold_at is null;
CREATE INDEX "idx_releases_app_version_digest"
    ON "releases" ("app", "version", "digest");
CREATE INDEX "idx_events_kind_app"
    ON "events" ("kind", "app");
CREATE INDEX "idx_deployments_app_target"
    ON "deployments" ("app", "target");
CREATE INDEX plans_kept on deployments(finished_at) where plan != '';
CREATE INDEX living_sign_ins on sign_ins(user) where ended_at is null;
CREATE INDEX pull_sources on pulls(substr(repo_digest, instr(repo_digest, '@') + 1));
CREATE TRIGGER events_no_delete before delete on events when old.kind not in ('refused', 'sign_in_refused', 'signed_in', 'signed_out', 'session_ended', 'user_password', 'held', 'released', 'remark') begin select raise(abort, 'events is only ever added to'); end;
CREATE INDEX sign_ins_of on sign_ins(user, id);
CREATE TABLE "instances" (
   "app" TEXT,
   "release" INTEGER,
   "component" TEXT NOT NULL,
   "replica" INTEGER NOT NULL,
   "name" TEXT NOT NULL,
   "container" TEXT,
   "address" TEXT NOT NULL,
   "host_port" INTEGER,
   "routed" INTEGER DEFAULT 0,
   "beside" INTEGER DEFAULT 0,
   "failed" INTEGER DEFAULT 0,
   "store" TEXT,
   "network" TEXT,
   PRIMARY KEY ("app", "release", "component", "replica")
);
CREATE UNIQUE INDEX "idx_instances_container"
    ON "instances" ("container");
CREATE INDEX replicated on releases(app, number) where instr(components, '"replicas"');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm001_first', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm002_chain', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm003_hold_revision', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm004_access', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm005_attempts', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm006_trust', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm007_home_id', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm008_image_sources', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm009_deployed_file', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm010_image_store', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm011_networks', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm012_cap_drop', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm013_refusals', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm014_sessions_anew', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm015_within_reach', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm016_token_owner', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm017_link_maker', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm018_repeated', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm019_codes', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm020_components', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm021_jobs', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm022_replicas', '');
insert into _sqlite_migrations(migration_set, name, applied_at) values ('deployctl', 'm023_backing', '');
pragma user_version = 23;
