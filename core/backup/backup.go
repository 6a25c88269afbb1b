// Package backup copies the Kafka topics whose records are nowhere else into files and back: "core topics export",
// "core topics import", "core topics check". It is not for readings, which a mirror copies (docs/backup.md). A
// directory of files is one backup: it is there whole or not at all. All calls block on Kafka and the disk until they
// are done or their context ends.
package backup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/topology"
)

// clientID is that of the command at the brokers.
const clientID = "core-topics"

// place is a topic that belongs into a backup.
type place struct {
	role string      // its default name, which names the file; another plant may call the topic otherwise
	spec kafka.Topic // as this plant calls it
}

// places lists the topics that cannot be made again from others, in the order of an import: who may connect comes
// before the state of alarms.
func places(names topology.Topics) []place {
	usual := topology.Suffixed("")
	u, s := usual.Specs(), names.Specs()
	return []place{
		{u.Access.Name, s.Access},
		{u.Security.Name, s.Security},
		{u.Rules.Name, s.Rules},
		{u.Metadata.Name, s.Metadata},
		{u.Audit.Name, s.Audit},
		{u.DeviceMeta.Name, s.DeviceMeta},
		{u.DeviceState.Name, s.DeviceState},
		{u.AlarmState.Name, s.AlarmState},
		{u.Alerts.Name, s.Alerts},
		{u.Checkpoints.Name, s.Checkpoints},
	}
}

// choose returns the places of the roles listed, comma separated; empty: all.
func choose(names topology.Topics, list string) ([]place, error) {
	all := places(names)
	if list == "" {
		return all, nil
	}
	known := make([]string, len(all))
	for i, p := range all {
		known[i] = p.role
	}
	wanted := strings.Split(list, ",")
	for _, w := range wanted {
		if !slices.Contains(known, w) {
			return nil, fmt.Errorf("-topics: %q is in no backup: want some of %s", w, strings.Join(known, ","))
		}
	}
	return slices.DeleteFunc(all, func(p place) bool { return !slices.Contains(wanted, p.role) }), nil
}

// fileName is that of a topic's file.
func fileName(role string) string { return role + ".topic.zst" }

// ErrForeign is wrapped by errors of a topic that has records which are not those of the file.
var ErrForeign = errors.New("the topic has other records")
