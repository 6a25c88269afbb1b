-- +goose Up
-- What reports count, so that they need not open the value of every alarm.
alter table alarms add column acknowledged_at bigint; -- ms since 1970
alter table alarms add column occurrences bigint not null default 1;
alter table alarms add column marks bigint not null default 0; -- 1: historical, 2: suppressed, 4: shelved, 8: out of service
-- A member of a null is null too, in both forms: -> takes no text apart, in which there may be what PostgreSQL does not store.
update alarms set
    acknowledged_at = nullif((value::json -> 'ack' -> 'at')::text, 'null')::bigint,
    occurrences = coalesce(nullif((value::json -> 'occurrence_count')::text, 'null')::bigint, 1),
    marks = case when (value::json -> 'historical')::text = 'true' then 1 else 0 end
        + case when json_typeof(value::json -> 'suppressed') = 'object' then 2 else 0 end
        + case when json_typeof(value::json -> 'shelved') = 'object' then 4 else 0 end
        + case when json_typeof(value::json -> 'out_of_service') = 'object' then 8 else 0 end;
create index alarms_repeated on alarms (raised_at) where occurrences > 1;
create index alarms_aside on alarms (raised_at) where marks >= 4;

-- +goose Down
drop index alarms_aside;
drop index alarms_repeated;
alter table alarms drop column marks;
alter table alarms drop column occurrences;
alter table alarms drop column acknowledged_at;
