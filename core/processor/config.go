package processor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/transform"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Config is core's environment.
type Config struct {
	ops.LogConfig
	kafka.Config
	wire.Topics

	GroupID  string `env:"KAFKA_GROUP_ID" envDefault:"iot-consumer-group" help:"consumer group that shares the partitions of the readings"`
	HubURL   string `env:"HUB_URL" envDefault:"nats://127.0.0.1:4230" help:"NATS hub for live frames; processing goes on without it"`
	HTTPAddr string `env:"CORE_HTTP_ADDR" envDefault:"127.0.0.1:9103" help:"address of /metrics, /livez and /readyz; empty for none"`

	TemperatureHigh float64 `env:"ALERT_TEMPERATURE_HIGH" envDefault:"80" help:"temperature above which there is an alarm, in °C"`
	TemperatureLow  float64 `env:"ALERT_TEMPERATURE_LOW" envDefault:"0" help:"temperature below which there is an alarm, in °C"`
	HumidityHigh    float64 `env:"ALERT_HUMIDITY_HIGH" envDefault:"90" help:"humidity above which there is an alarm, in %"`
	CurrentHigh     float64 `env:"ALERT_CURRENT_HIGH" envDefault:"10" help:"current above which there is an alarm, in A"`
	// Deadband is a share of the parameter's span, so that one setting fits all: a
	// share of the limit itself would be nothing for a limit of 0 °C.
	Deadband      float64       `env:"ALERT_DEADBAND" envDefault:"2" help:"how far a value must come back inside its limit before the alarm clears, in percent of the parameter's span: from its low limit, or 0, to its high limit"`
	AlertMaxDelay time.Duration `env:"ALERT_MAX_DELAY" envDefault:"5m" help:"a reading that waited longer in a gateway's buffer raises no alarm; it still clears one"`

	CommitInterval time.Duration `env:"CORE_COMMIT_INTERVAL" envDefault:"100ms" help:"pause between transactions; an alert does not wait for it"`
	TxnPrefix      string        `env:"CORE_TXN_PREFIX" envDefault:"core-" help:"start of the Kafka transactional ids"`
	StateRefresh   time.Duration `env:"CORE_STATE_REFRESH" envDefault:"10m" help:"how old last_seen in a device's state record may become"`
}

// check returns what is wrong with the settings, each named by its variable.
func (c *Config) check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, v := range []struct {
		name  string
		value float64
	}{
		{"ALERT_TEMPERATURE_HIGH", c.TemperatureHigh},
		{"ALERT_TEMPERATURE_LOW", c.TemperatureLow},
		{"ALERT_HUMIDITY_HIGH", c.HumidityHigh},
		{"ALERT_CURRENT_HIGH", c.CurrentHigh},
		{"ALERT_DEADBAND", c.Deadband},
	} {
		want(!math.IsNaN(v.value) && !math.IsInf(v.value, 0), "%s=%v: want a finite number", v.name, v.value)
	}
	want(c.TemperatureLow < c.TemperatureHigh, "ALERT_TEMPERATURE_LOW=%v: want less than ALERT_TEMPERATURE_HIGH=%v", c.TemperatureLow, c.TemperatureHigh)
	want(c.Deadband >= 0 && c.Deadband <= 40, "ALERT_DEADBAND=%v: want 0 to 40 percent", c.Deadband)
	want(c.AlertMaxDelay > 0, "ALERT_MAX_DELAY=%s: want more than 0", c.AlertMaxDelay)
	want(c.CommitInterval >= time.Millisecond && c.CommitInterval <= 10*time.Second, "CORE_COMMIT_INTERVAL=%s: want 1ms to 10s", c.CommitInterval)
	want(c.StateRefresh >= time.Second, "CORE_STATE_REFRESH=%s: want 1s or more", c.StateRefresh)
	want(len(c.Brokers) > 0, "KAFKA_BROKERS is empty: want host:port")
	want(c.GroupID != "", "KAFKA_GROUP_ID is empty")
	want(c.TxnPrefix != "", "CORE_TXN_PREFIX is empty")
	want(c.HubURL != "", "HUB_URL is empty")
	for name, topic := range map[string]string{
		"KAFKA_TOPIC_DEVICE_DATA": c.DeviceData, "KAFKA_TOPIC_ALERTS": c.Alerts, "KAFKA_TOPIC_DEAD_LETTERS": c.DeadLetters,
		"KAFKA_TOPIC_ALARM_STATE": c.AlarmState, "KAFKA_TOPIC_DEVICE_STATE": c.DeviceState,
	} {
		want(topic != "", "%s is empty", name)
	}
	return errors.Join(errs...)
}

// limits returns what is normal, for the statuses.
func (c *Config) limits() transform.Limits {
	limits := transform.Limits{}
	for p := range limits {
		limits[p] = transform.Unlimited()
	}
	limits[telemetry.Temperature] = transform.Range{Low: c.TemperatureLow, High: c.TemperatureHigh}
	limits[telemetry.Humidity].High = c.HumidityHigh
	limits[telemetry.Current].High = c.CurrentHigh
	return limits
}

// rules returns the threshold alarms.
func (c *Config) rules() (*alarm.Rules, error) {
	share := func(span float64) float64 { return math.Abs(span) * c.Deadband / 100 }
	temperature := share(c.TemperatureHigh - c.TemperatureLow)
	return alarm.NewRules(c.AlertMaxDelay,
		alarm.Rule{
			Type: "temperature_high", Parameter: telemetry.Temperature, Operator: alarm.Above,
			Value: c.TemperatureHigh, Deadband: temperature, Severity: telemetry.SeverityHigh,
		},
		alarm.Rule{
			Type: "temperature_low", Parameter: telemetry.Temperature, Operator: alarm.Below,
			Value: c.TemperatureLow, Deadband: temperature, Severity: telemetry.SeverityMedium,
		},
		alarm.Rule{
			Type: "humidity_high", Parameter: telemetry.Humidity, Operator: alarm.Above,
			Value: c.HumidityHigh, Deadband: share(c.HumidityHigh), Severity: telemetry.SeverityLow,
		},
		alarm.Rule{
			Type: "current_high", Parameter: telemetry.Current, Operator: alarm.Above,
			Value: c.CurrentHigh, Deadband: share(c.CurrentHigh), Severity: telemetry.SeverityCritical,
		},
	)
}
