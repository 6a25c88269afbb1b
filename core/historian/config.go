package historian

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"industrial-iot-monitor/core/internal/remote"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/listen"
)

// Modes of HISTORY.
const (
	Embedded = "embedded"
	Off      = "off"
)

// Config is the part of core's environment about the history of readings.
type Config struct {
	Mode        string        `env:"HISTORY" envDefault:"embedded" help:"embedded: this core keeps the history of readings in files, one core of a plant does; victoriametrics, influxdb: all cores keep it in the engine at HISTORY_URL; off: this core keeps none"`
	URL         string        `env:"HISTORY_URL" help:"engine that keeps the history: VictoriaMetrics such as http://127.0.0.1:8428 or http://vminsert:8480/insert/0/influx, InfluxDB 1.x such as http://127.0.0.1:8086?db=plant"`
	ReadURL     string        `env:"HISTORY_READ_URL" help:"where VictoriaMetrics is asked, if not at HISTORY_URL, such as http://vmselect:8481/select/0/prometheus"`
	DataDir     string        `env:"CORE_DATA_DIR" envDefault:"./data/core" help:"where the history of readings is kept"`
	Addr        string        `env:"CORE_HISTORY_ADDR" envDefault:"127.0.0.1:9106" help:"address at which portals ask for the history, host:port"`
	Token       config.Secret `env:"CORE_HISTORY_TOKEN" help:"token that requests for the history need, as Authorization: Bearer; portals send PORTAL_HISTORY_TOKEN, core history sends this; empty: none is needed"`
	TLSCertFile string        `env:"CORE_HISTORY_TLS_CERT_FILE" help:"PEM file of the certificate of CORE_HISTORY_ADDR, and those that sign it (bridge ca issue); with it portals connect by TLS alone; a new one is taken without a restart; empty: in clear"`
	TLSKeyFile  string        `env:"CORE_HISTORY_TLS_KEY_FILE" help:"PEM file of the key of CORE_HISTORY_TLS_CERT_FILE"`
	Flush       time.Duration `env:"HISTORY_FLUSH" envDefault:"5m" help:"longest time a reading is in memory and in Kafka only; longer means larger chunks and less writing"`
	Retention   config.Age    `env:"HISTORY_RETENTION" envDefault:"90d" help:"how long readings are kept, such as 90d or 36h; 0: for ever"`
	MaxBytes    int64         `env:"HISTORY_MAX_BYTES" envDefault:"0" help:"size of the history beyond which its oldest days are removed; 0: no bound"`
}

// Enabled reports whether this core keeps the history.
func (c *Config) Enabled() bool { return c.Mode != Off }

func (c *Config) elsewhere() bool {
	return c.Mode == remote.VictoriaMetrics || c.Mode == remote.InfluxDB
}

// Check returns an error that names the variable of every bad setting.
func (c *Config) Check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	want(c.Mode == Embedded || c.Mode == Off || c.elsewhere(), "HISTORY=%q: want %s, %s, %s or %s", c.Mode, Embedded, remote.VictoriaMetrics, remote.InfluxDB, Off)
	if c.Enabled() {
		want(c.elsewhere() == (c.URL != ""), "HISTORY_URL: want the URL of an engine with HISTORY=%s or %s, and none otherwise", remote.VictoriaMetrics, remote.InfluxDB)
		want(c.ReadURL == "" || c.Mode == remote.VictoriaMetrics, "HISTORY_READ_URL: it is for HISTORY=%s", remote.VictoriaMetrics)
		want(c.DataDir != "", "CORE_DATA_DIR is empty: want a directory")
		_, _, err := net.SplitHostPort(c.Addr)
		want(err == nil, "CORE_HISTORY_ADDR=%q: want host:port", c.Addr)
		want((c.TLSCertFile == "") == (c.TLSKeyFile == ""), "CORE_HISTORY_TLS_CERT_FILE and CORE_HISTORY_TLS_KEY_FILE: want both or none")
		want(c.Retention == 0 || time.Duration(c.Retention) >= 24*time.Hour, "HISTORY_RETENTION=%s: want 1d or more, or 0 to keep readings for ever", c.Retention)
		want(c.Flush >= time.Second && c.Flush <= time.Hour, "HISTORY_FLUSH=%s: want 1s to 1h", c.Flush)
		want(c.MaxBytes >= 0, "HISTORY_MAX_BYTES=%d: want 0 or more", c.MaxBytes)
	}
	return errors.Join(errs...)
}

// Ports returns where the historian listens, for the start rule.
func (c *Config) Ports() []listen.Port {
	if !c.Enabled() {
		return nil
	}
	p := listen.Port{Variable: "CORE_HISTORY_ADDR", Addr: c.Addr}
	if c.Token == "" {
		p.Proof = "CORE_HISTORY_TOKEN"
	}
	if c.TLSCertFile == "" {
		p.Encryption = "CORE_HISTORY_TLS_CERT_FILE and CORE_HISTORY_TLS_KEY_FILE"
	}
	return []listen.Port{p}
}

func (c *Config) dir() string { return filepath.Join(c.DataDir, "history") }
