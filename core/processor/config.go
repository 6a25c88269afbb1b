package processor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"industrial-iot-monitor/core/historian"
	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/notify"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/sensors/sensorfile"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/tracing"
)

// Config is core's environment.
type Config struct {
	ops.LogConfig
	Tracing tracing.Config
	ops.PprofConfig
	kafka.Config
	topology.Topics
	Sensors sensorfile.Config // SENSORS_FILE

	GroupID    string `env:"KAFKA_GROUP_ID" envDefault:"iot-consumer-group" help:"consumer group of all core instances"`
	HubURL     string `env:"HUB_URL" envDefault:"nats://127.0.0.1:4230" help:"NATS hub for live frames; processing continues without it"`
	HubKeyFile string `env:"HUB_KEY_FILE" help:"file with the key that this program proves to the hub, from bridge client add; empty: none"`
	HubCAFile  string `env:"HUB_CA_FILE" help:"PEM file of the certificates that the hub's is signed by, for a HUB_URL of tls://; empty: those of the system"`
	HTTPAddr   string `env:"CORE_HTTP_ADDR" envDefault:"127.0.0.1:9103" help:"address of /metrics, /livez and /readyz; empty for none"`

	TemperatureHigh float64 `env:"ALERT_TEMPERATURE_HIGH" envDefault:"80" help:"temperature above which an alarm is raised, in °C"`
	TemperatureLow  float64 `env:"ALERT_TEMPERATURE_LOW" envDefault:"0" help:"temperature below which an alarm is raised, in °C"`
	HumidityHigh    float64 `env:"ALERT_HUMIDITY_HIGH" envDefault:"90" help:"humidity above which an alarm is raised, in %"`
	CurrentHigh     float64 `env:"ALERT_CURRENT_HIGH" envDefault:"10" help:"current above which an alarm is raised, in A"`
	// Deadband is a share of the parameter's span so that one setting fits all: a share of
	// the limit itself would be 0 for a limit of 0 °C.
	Deadband      float64       `env:"ALERT_DEADBAND" envDefault:"2" help:"how far a value must return inside its limit before the alarm clears, in percent of the parameter's span: from its low limit, or 0, to its high limit"`
	AlertMaxDelay time.Duration `env:"ALERT_MAX_DELAY" envDefault:"5m" help:"a reading that waited longer in a gateway's buffer raises no live alarm; its alarm is recorded as historical"`

	RulesFile      string        `env:"CORE_RULES_FILE" help:"YAML file of alarm rules, reloaded when it changes; empty: only the ALERT_ variables"`
	GatewaySilence time.Duration `env:"CORE_GATEWAY_SILENCE" envDefault:"10s" help:"time without a heartbeat after which a gateway raises an alarm"`
	BufferHorizon  time.Duration `env:"CORE_BUFFER_HORIZON" envDefault:"6h" help:"a gateway raises an alarm when its buffer would last a shorter outage at the present rate; 0: no alarm"`

	DetectMode    string        `env:"DETECT_MODE" envDefault:"shadow" help:"what happens when the detector finds a sensor unusual: on raises alarms, shadow counts what it would raise, off learns nothing"`
	DetectSettle  time.Duration `env:"DETECT_SETTLE" envDefault:"24h" help:"how long another level, spread or silence of a value must last to become usual"`
	AnomalyBudget float64       `env:"ANOMALY_BUDGET" envDefault:"0.05" help:"alarms about unusual sensors for each device of a building and day, at least 5 for a building; the more of them are spent, the more unusual a sensor must be"`

	CommitMin    time.Duration `env:"CORE_COMMIT_MIN" envDefault:"50ms" help:"least time between transactions; alerts wait no longer"`
	CommitMax    time.Duration `env:"CORE_COMMIT_MAX" envDefault:"1s" help:"most time between transactions, when there are no alerts"`
	TxnPrefix    string        `env:"CORE_TXN_PREFIX" envDefault:"core-" help:"prefix of the Kafka transactional ids"`
	StateRefresh time.Duration `env:"CORE_STATE_REFRESH" envDefault:"10m" help:"maximum age of last_seen in a device's state record"`

	ForgetAfter time.Duration `env:"CORE_FORGET_AFTER" envDefault:"720h" help:"a device that was silent for longer is removed, unless an alarm of its readings is open or something of it is out of service; 0: never"`

	Notify  notify.Config    // the NOTIFY_ variables
	History historian.Config // the HISTORY variables
}

// Check returns the invalid settings, each named by its variable, and what the start rule lacks.
func (c *Config) Check() error {
	return errors.Join(c.checkValues(), c.Tracing.Check(), c.CheckPorts(append(c.History.Ports(), c.OpsPort("CORE_HTTP_ADDR", c.HTTPAddr))...))
}

// checkValues is Check for commands, which listen nowhere.
func (c *Config) checkValues() error {
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
	want(c.GatewaySilence >= 5*time.Second && c.GatewaySilence <= time.Hour, "CORE_GATEWAY_SILENCE=%s: want 5s to 1h", c.GatewaySilence)
	want(c.BufferHorizon >= 0, "CORE_BUFFER_HORIZON=%s: want 0 or more", c.BufferHorizon)
	want(c.CommitMax >= time.Millisecond && c.CommitMax <= 10*time.Second, "CORE_COMMIT_MAX=%s: want 1ms to 10s", c.CommitMax)
	want(c.CommitMin >= 0 && c.CommitMin <= c.CommitMax, "CORE_COMMIT_MIN=%s: want 0 to CORE_COMMIT_MAX=%s", c.CommitMin, c.CommitMax)
	want(c.DetectMode == detectOff || c.DetectMode == detectShadow || c.DetectMode == detectOn, "DETECT_MODE=%q: want off, shadow or on", c.DetectMode)
	want(c.DetectSettle >= time.Minute, "DETECT_SETTLE=%s: want 1m or more", c.DetectSettle)
	want(c.AnomalyBudget >= 0 && c.AnomalyBudget <= 1000, "ANOMALY_BUDGET=%v: want 0 to 1000", c.AnomalyBudget)
	want(c.StateRefresh >= time.Second, "CORE_STATE_REFRESH=%s: want 1s or more", c.StateRefresh)
	want(c.ForgetAfter == 0 || c.ForgetAfter >= time.Hour, "CORE_FORGET_AFTER=%s: want 1h or more, or 0 to keep all devices", c.ForgetAfter)
	want(c.GroupID != "", "KAFKA_GROUP_ID is empty")
	want(c.TxnPrefix != "", "CORE_TXN_PREFIX is empty")
	want(c.HubURL != "", "HUB_URL is empty")
	return errors.Join(append(errs, c.Config.Check(), c.Topics.Check(), c.Notify.Check(), c.History.Check())...)
}

// limits returns the normal ranges, for the statuses.
func (c *Config) limits() intake.Limits {
	above := func(high float64, unit string) intake.Range {
		return intake.Range{Low: math.Inf(-1), High: high, Unit: unit}
	}
	return intake.Limits{
		telemetry.Temperature: {Low: c.TemperatureLow, High: c.TemperatureHigh, Unit: "°C"},
		telemetry.Humidity:    above(c.HumidityHigh, "%"),
		telemetry.Current:     above(c.CurrentHigh, "A"),
	}
}

// builtIn returns the rules that the ALERT_ variables define.
func (c *Config) builtIn() alarm.RuleSet {
	share := func(span float64) float64 { return math.Abs(span) * c.Deadband / 100 }
	temperature := share(c.TemperatureHigh - c.TemperatureLow)
	rule := func(id string, severity telemetry.Severity, kind alarm.Kind, parameter, unit string, limit, deadband float64) alarm.Rule {
		return alarm.Rule{ID: id, Severity: severity, If: alarm.Condition{
			Kind: kind, Parameter: parameter, Unit: unit, Limit: limit, Deadband: deadband,
		}}
	}
	return alarm.RuleSet{MaxWait: c.AlertMaxDelay, Rules: []alarm.Rule{
		rule("temperature_high", telemetry.SeverityHigh, alarm.High, telemetry.Temperature, "°C", c.TemperatureHigh, temperature),
		rule("temperature_low", telemetry.SeverityMedium, alarm.Low, telemetry.Temperature, "°C", c.TemperatureLow, temperature),
		rule("humidity_high", telemetry.SeverityLow, alarm.High, telemetry.Humidity, "%", c.HumidityHigh, share(c.HumidityHigh)),
		rule("current_high", telemetry.SeverityCritical, alarm.High, telemetry.Current, "A", c.CurrentHigh, share(c.CurrentHigh)),
	}}
}
