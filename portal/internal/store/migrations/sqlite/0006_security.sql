-- +goose Up
-- The security audit: every record of the security-audit topic, as far as it is one. What can be searched is in
-- columns, null where the record has nothing; value is the record as it was.
create table security (
    at integer not null, -- ms since 1970, when it happened
    topic integer not null,
    partition integer not null,
    record integer not null,
    who text,
    what text not null,
    outcome text,
    about text,
    program text,
    value text not null,
    primary key (at, topic, partition, record)
) without rowid, strict;
create index security_who on security (who, at) where who is not null;
create index security_what on security (what, at);
create index security_outcome on security (outcome, at) where outcome is not null;
create index security_about on security (about, at) where about is not null;
create index security_program on security (program, at) where program is not null;

-- +goose Down
drop table security;
