-- +goose Up
-- Who may use the portal. Kafka does not have it: keep backups of this database.
create table people (
    key text primary key, -- lower case, what names are compared by
    name text not null,
    role text not null,
    password text not null, -- argon2id
    disabled bigint not null, -- 1: they are
    created_at bigint not null, -- ms since 1970, as all times here
    created_by text not null,
    changed_at bigint not null,
    changed_by text not null,
    signed_in_at bigint not null
);

-- The addresses from which a person signed in last.
create table people_places (
    person text not null references people (key),
    place text not null,
    at bigint not null,
    primary key (person, place)
);

-- A number that changes whenever a person or program may do less than before, so that portals know when to look again.
create table people_version (version bigint not null);
insert into people_version (version) values (1);

create table sessions (
    hash text primary key, -- SHA-256 of the cookie
    person text not null, -- key of a row of people if via is local
    name text not null,
    role text not null, -- of sessions without a row of people
    via text not null,
    place text not null,
    created_at bigint not null,
    used_at bigint not null,
    ends_at bigint not null
);
create index sessions_person on sessions (person, created_at);
create index sessions_end on sessions (ends_at);

create table tokens (
    id text primary key,
    hash text not null unique, -- SHA-256 of the token
    name text not null,
    role text not null,
    created_at bigint not null,
    created_by text not null,
    expires_at bigint not null,
    revoked_at bigint not null, -- 0: it is not
    revoked_by text not null,
    used_at bigint not null -- 0: never
);

-- +goose Down
drop table tokens;
drop table sessions;
drop table people_version;
drop table people_places;
drop table people;
