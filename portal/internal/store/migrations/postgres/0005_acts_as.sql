-- +goose Up
-- Whether a program may name the person for whom it acts.
alter table tokens add column acts_as bigint not null default 0;

-- +goose Down
alter table tokens drop column acts_as;
