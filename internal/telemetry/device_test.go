package telemetry_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func TestDeviceCommandsAreChecked(t *testing.T) {
	many := make([]string, telemetry.MaxTags+1)
	for i := range many {
		many[i] = fmt.Sprint("tag", i)
	}
	full := many[:telemetry.MaxTags]
	for name, c := range map[string]struct {
		change func(*telemetry.AlarmCommand)
		want   string // part of the error, empty for none
	}{
		"remove": {func(c *telemetry.AlarmCommand) { c.Action = telemetry.ActionRemove }, ""},
		"remove, of an alarm": {func(c *telemetry.AlarmCommand) {
			c.Action, c.AlertType = telemetry.ActionRemove, "temperature_high"
		}, "alert_type: want none: remove applies to the device"},
		"describe, of an incident": {func(c *telemetry.AlarmCommand) { c.AlertID = "a" }, "alert_type: want none: describe"},
		"no operator":              {func(c *telemetry.AlarmCommand) { c.By = "" }, "by: want"},
		"no change":                {func(c *telemetry.AlarmCommand) { c.Describe = nil }, "describe: want the change"},
		"empty change":             {func(c *telemetry.AlarmCommand) { c.Describe = &telemetry.DevicePatch{} }, "at least one of name, description and tags"},
		"longest name":             {named(strings.Repeat("x", telemetry.MaxDeviceName)), ""},
		"name too long":            {named(strings.Repeat("x", telemetry.MaxDeviceName+1)), "name: want at most 128 bytes in one line without spaces around, found 129 bytes"},
		"chinese name":             {named("三号锅炉 ③"), ""},
		"no name":                  {named(""), ""},
		"name with spaces around":  {named(" x"), "name: want"},
		"name of two lines":        {named("a\nb"), "name: want"},
		"name with NUL":            {named("a\x00b"), "name: want"},
		"name that turns the text": {named("a\u202eb"), "name: want"},
		"name in another encoding": {named("\xff"), "name: want"},
		"description of two lines": {described("a\n\tb"), ""},
		"description too long":     {described(strings.Repeat("x", telemetry.MaxDescription+1)), "description: want at most 1024 bytes"},
		"description with ESC":     {described("\x1b[31m"), "description: want"},
		"all tags":                 {tagged(full...), ""},
		"no tags":                  {tagged(), ""},
		"too many tags":            {tagged(many...), "tags: want at most 16, found 17"},
		"tag too long":             {tagged("a", strings.Repeat("x", telemetry.MaxTag+1)), "tags[1]: want 1 to 32 bytes"},
		"empty tag":                {tagged(""), "tags[0]: want 1 to 32 bytes"},
		"tag twice":                {tagged("a", "b", "a"), `tags[2]: want each tag once, found "a" again`},
		"revision below 0": {func(c *telemetry.AlarmCommand) {
			c.Describe = &telemetry.DevicePatch{Name: new("x"), IfRevision: new(int64(-1))}
		}, "if_revision: want 0 or more, found -1"},
	} {
		cmd := telemetry.AlarmCommand{
			CommandID: "c", DeviceID: "d", Action: telemetry.ActionDescribe, By: "me", At: 1_700_000_000_000,
			Describe: &telemetry.DevicePatch{Name: new("x")},
		}
		c.change(&cmd)
		err := cmd.Check()
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, telemetry.ErrCommand, name)
		require.ErrorContains(t, err, c.want, name)
	}
}

func patched(d telemetry.DevicePatch) func(*telemetry.AlarmCommand) {
	return func(c *telemetry.AlarmCommand) { c.Describe = &d }
}

func named(name string) func(*telemetry.AlarmCommand) {
	return patched(telemetry.DevicePatch{Name: &name})
}

func described(text string) func(*telemetry.AlarmCommand) {
	return patched(telemetry.DevicePatch{Description: &text})
}

func tagged(tags ...string) func(*telemetry.AlarmCommand) {
	return patched(telemetry.DevicePatch{Tags: &tags})
}

func TestPatchChangesTheFieldsItHas(t *testing.T) {
	m := telemetry.DeviceMeta{DeviceID: "d", Name: "Boiler", Description: "old", Tags: []string{"a"}, Revision: 3}
	for name, c := range map[string]struct {
		patch   telemetry.DevicePatch
		want    telemetry.DeviceMeta
		changed bool
	}{
		"name": {telemetry.DevicePatch{Name: new("Kiln")}, telemetry.DeviceMeta{DeviceID: "d", Name: "Kiln", Description: "old", Tags: []string{"a"}, Revision: 3}, true},
		"removed": {
			telemetry.DevicePatch{Description: new(""), Tags: &[]string{}},
			telemetry.DeviceMeta{DeviceID: "d", Name: "Boiler", Revision: 3},
			true,
		},
		"the same": {telemetry.DevicePatch{Name: new("Boiler"), Tags: &[]string{"a"}}, m, false},
	} {
		got, changed := c.patch.Apply(m)
		require.Equal(t, c.changed, changed, name)
		if len(got.Tags) == 0 {
			got.Tags = nil
		}
		require.Equal(t, c.want, got, name)
	}
	tags := []string{"b"}
	patch := telemetry.DevicePatch{Tags: &tags}
	got, _ := patch.Apply(m)
	tags[0] = "changed"
	require.Equal(t, []string{"b"}, got.Tags)
}
