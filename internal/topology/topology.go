// Package topology is the one table of the product's Kafka topics: their names, partitions,
// sizes and retention. It is not for talking to Kafka, which internal/kafka does. It does no
// I/O and nothing in it blocks.
package topology

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"time"

	"industrial-iot-monitor/internal/kafka"
)

// Partitions of topics created at start, where nothing else decides.
const (
	DataPartitions  = 10
	AlertPartitions = 3
	lanes           = 1
)

// day is how long core, the history or a portal may be down and find everything it has not read.
const day = 24 * time.Hour

// Topics names the Kafka topics. The zero value is not usable; config fills in the
// defaults of the contract.
type Topics struct {
	DeviceData  string `env:"KAFKA_TOPIC_DEVICE_DATA" envDefault:"device-data" help:"Kafka topic of readings"`
	Alerts      string `env:"KAFKA_TOPIC_ALERTS" envDefault:"alerts" help:"Kafka topic of alerts"`
	DeadLetters string `env:"KAFKA_TOPIC_DEAD_LETTERS" envDefault:"device-data-dlq" help:"Kafka topic of refused readings"`
	Checkpoints string `env:"KAFKA_TOPIC_CHECKPOINTS" envDefault:"bridge-checkpoints" help:"compacted Kafka topic of the bridge's progress"`
	AlarmState  string `env:"KAFKA_TOPIC_ALARM_STATE" envDefault:"alarm-state" help:"compacted Kafka topic of the alarm engine's state"`
	Commands    string `env:"KAFKA_TOPIC_ALARM_COMMANDS" envDefault:"alarm-commands" help:"Kafka topic of operators' commands to alarms and devices"`
	Audit       string `env:"KAFKA_TOPIC_ALARM_AUDIT" envDefault:"alarm-audit" help:"Kafka topic of every command and every change of an alarm, with who and when; kept for ever"`
	DeviceState string `env:"KAFKA_TOPIC_DEVICE_STATE" envDefault:"device-state" help:"compacted Kafka topic of device presence"`
	DeviceMeta  string `env:"KAFKA_TOPIC_DEVICE_META" envDefault:"device-meta" help:"compacted Kafka topic of devices' names, descriptions and tags"`
	Rules       string `env:"KAFKA_TOPIC_ALARM_RULES" envDefault:"alarm-rules" help:"compacted Kafka topic of changes of rules made on the page, with who approved them"`
	DetectState string `env:"KAFKA_TOPIC_DETECT_STATE" envDefault:"detect-state" help:"compacted Kafka topic of what is usual for each sensor"`
	Access      string `env:"KAFKA_TOPIC_ACCESS" envDefault:"access" help:"compacted Kafka topic of who may connect: gateways, programs, devices"`
	Security    string `env:"KAFKA_TOPIC_SECURITY_AUDIT" envDefault:"security-audit" help:"Kafka topic of sign-ins, changes of who may do what, and refusals, each with the hash of the one before; kept for ever"`
	Metadata    string `env:"KAFKA_TOPIC_PORTAL_METADATA" envDefault:"portal-metadata" help:"Kafka topic of what operators keep in the portal: views, dashboards, notes; kept for ever"`
}

// legal matches the names that Kafka allows a topic, but for "." and "..".
var legal = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)

var errName = errors.New("want 1 to 249 of A-Z a-z 0-9 . _ -, other than . and .. alone")

// Check names the variable of every name that Kafka does not allow a topic.
func (t *Topics) Check() error {
	var errs []error
	for field, value := range reflect.ValueOf(t).Elem().Fields() {
		if name := value.String(); !legal.MatchString(name) || name == "." || name == ".." {
			errs = append(errs, fmt.Errorf("%s=%q: %w", field.Tag.Get("env"), name, errName))
		}
	}
	return errors.Join(errs...)
}

// Suffixed returns the default names, each with suffix appended, for plants that share a
// Kafka.
func Suffixed(suffix string) (t Topics) {
	for field, value := range reflect.ValueOf(&t).Elem().Fields() {
		value.SetString(field.Tag.Get("envDefault") + suffix)
	}
	return t
}

// Specs describes each topic as it is created when missing.
type Specs struct {
	DeviceData, DeadLetters, Alerts, Audit, Commands, AlarmState, DeviceState, DeviceMeta, DetectState, Checkpoints, Rules, Access, Security, Metadata kafka.Topic
}

// Specs returns the table. The caller sets the partitions of Checkpoints where BRIDGE_LANES
// is known.
func (t *Topics) Specs() Specs {
	const most = kafka.MaxRecordBytes
	data := kafka.Topic{Name: t.DeviceData, Partitions: DataPartitions, MaxMessageBytes: most, MinRetention: day}
	return Specs{
		DeviceData:  data,
		DeadLetters: kafka.Topic{Name: t.DeadLetters, Partitions: AlertPartitions, MaxMessageBytes: most, MinRetention: day},
		Alerts:      kafka.Topic{Name: t.Alerts, Partitions: AlertPartitions, MaxMessageBytes: most, MinRetention: day},
		Audit:       kafka.Topic{Name: t.Audit, Partitions: AlertPartitions, MaxMessageBytes: most, KeepForever: true},
		// A device's commands and state are in the partition of its readings.
		Commands:    kafka.Topic{Name: t.Commands, Like: &data, MaxMessageBytes: most, MinRetention: day},
		AlarmState:  kafka.Topic{Name: t.AlarmState, Like: &data, Compacted: true, MaxMessageBytes: most},
		DeviceState: kafka.Topic{Name: t.DeviceState, Like: &data, Compacted: true, MaxMessageBytes: most},
		DeviceMeta:  kafka.Topic{Name: t.DeviceMeta, Like: &data, Compacted: true, MaxMessageBytes: most},
		DetectState: kafka.Topic{Name: t.DetectState, Like: &data, Compacted: true, MaxMessageBytes: most},
		Checkpoints: kafka.Topic{Name: t.Checkpoints, Partitions: lanes, Compacted: true},
		// One partition: the order of all decisions is the decision.
		Rules: kafka.Topic{Name: t.Rules, Partitions: 1, OnePartition: true, Compacted: true, MaxMessageBytes: most},
		// One partition: the newest record of a gateway decides.
		Access: kafka.Topic{Name: t.Access, Partitions: 1, OnePartition: true, Compacted: true},
		// One partition: a record that is missing is a missing offset.
		Security: kafka.Topic{Name: t.Security, Partitions: 1, OnePartition: true, KeepForever: true},
		// One partition: the order of all changes decides between two of them.
		Metadata: kafka.Topic{Name: t.Metadata, Partitions: 1, OnePartition: true, MaxMessageBytes: most, KeepForever: true},
	}
}

// All lists every topic.
func (s *Specs) All() []kafka.Topic {
	return []kafka.Topic{s.DeviceData, s.DeadLetters, s.Alerts, s.Audit, s.Commands, s.AlarmState, s.DeviceState, s.DeviceMeta, s.DetectState, s.Checkpoints, s.Rules, s.Access, s.Security, s.Metadata}
}
