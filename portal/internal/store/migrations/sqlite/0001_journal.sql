-- +goose Up
create table topics (
    number integer primary key,
    name text not null,
    id text not null, -- Kafka's id: a topic that is made again under a name has another
    unique (name, id)
) strict;

-- How far a topic was read: next is the offset of the first record that is not here.
create table positions (
    topic integer not null references topics (number),
    partition integer not null,
    next integer not null,
    primary key (topic, partition)
) without rowid, strict;

-- The audit trail: every record of the alarm-audit topic. What can be searched is in columns, null
-- where the record has nothing; value is the record as it was.
create table audit (
    recorded_at integer not null, -- ms since 1970, when core wrote the record
    topic integer not null,
    partition integer not null,
    record integer not null,
    device text,
    building text,
    alert_type text,
    alert_id text,
    rule text,
    operator text,
    action text,
    outcome text,
    command_id text,
    value text not null,
    primary key (recorded_at, topic, partition, record)
) without rowid, strict;
create index audit_device on audit (device, recorded_at);
create index audit_building on audit (building, recorded_at) where building is not null;
create index audit_alert_type on audit (alert_type, recorded_at) where alert_type is not null;
create index audit_alert on audit (alert_id, recorded_at) where alert_id is not null;
create index audit_rule on audit (rule, recorded_at) where rule is not null;
create index audit_operator on audit (operator, recorded_at) where operator is not null;
create index audit_action on audit (action, recorded_at) where action is not null;
create index audit_outcome on audit (outcome, recorded_at) where outcome is not null;
create index audit_command on audit (command_id) where command_id is not null;

-- Every alarm by its newest record, as in the alerts topic.
create table alarms (
    alert_id text primary key,
    revision integer not null,
    raised_at integer not null, -- ms since 1970
    ended_at integer, -- when its condition ended, null while it holds
    device text not null,
    building text,
    floor integer,
    alert_type text,
    severity text,
    rule text,
    source text,
    state text not null,
    words text not null, -- lower case, what a text is looked for in
    value text not null
) without rowid, strict;
create index alarms_raised on alarms (raised_at, alert_id);
create index alarms_long on alarms (ended_at) where ended_at - raised_at > 86400000; -- those of more than a day
create index alarms_open on alarms (raised_at) where ended_at is null;
create index alarms_device on alarms (device, raised_at);
create index alarms_building on alarms (building, raised_at) where building is not null;
create index alarms_alert_type on alarms (alert_type, raised_at);
create index alarms_severity on alarms (severity, raised_at);
create index alarms_rule on alarms (rule, raised_at) where rule is not null;

-- +goose Down
drop table alarms;
drop table audit;
drop table positions;
drop table topics;
