-- +goose Up
-- What operators keep: views, dashboards, notes and facts about devices, each by its newest change.
-- What can be searched is in columns; value is the document.
create table documents (
    id text primary key,
    kind text not null,
    version bigint not null,
    owner text not null, -- of views and dashboards of one operator, else empty
    name text, -- of views and dashboards
    subject text, -- page of a view, building of a shift note, device of a note
    at bigint not null, -- ms since 1970: start of the shift of a shift note, else when it was made
    priority bigint not null, -- 1: the next shift has to act
    replaces text unique, -- the note that it corrects
    created_at bigint not null,
    created_by text not null,
    changed_at bigint not null,
    changed_by text not null,
    deleted bigint not null, -- 1: it is
    words text not null, -- lower case, what a text is looked for in
    value text not null
);
create unique index documents_name on documents (kind, owner, name) where name is not null and deleted = 0;
create index documents_at on documents (kind, at);
create index documents_subject on documents (kind, subject, at) where subject is not null;

-- Every change of a document as it is in the topic portal-metadata, and what became of it.
create table changes (
    change text primary key,
    document text not null,
    version bigint not null,
    outcome text not null,
    at bigint not null, -- ms since 1970, by the clock of the portal that sent it
    author text not null,
    deleted bigint not null,
    value text not null
);
create index changes_document on changes (document, version);

-- Every device that was ever seen.
create table devices (
    id text primary key,
    name text not null,
    description text not null,
    tags text not null, -- a JSON list
    building text,
    floor bigint not null,
    room text not null,
    model text not null,
    firmware text not null,
    gateway text not null,
    first_seen bigint not null, -- ms since 1970
    seen_at bigint not null, -- about when it was last seen, to a day
    described_at bigint not null,
    described_by text not null,
    removed_at bigint, -- null: it is there
    removed_by text not null, -- empty: it was forgotten after a long silence
    place text not null,
    expected_interval_s bigint not null,
    words text not null, -- lower case, what a text is looked for in
    print bigint not null -- a hash of what the portal saw of it
);
create index devices_building on devices (building, id) where building is not null;
create index devices_removed on devices (removed_at, id) where removed_at is not null;

-- +goose Down
drop table devices;
drop table changes;
drop table documents;
