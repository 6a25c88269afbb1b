package plant

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's own: they end some seconds after their server, or never.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
}

const waitTimeout = 180 * time.Second

// testConfig is a plant of its own on ports that are free.
func testConfig(t *testing.T, dir string) Config {
	t.Helper()
	t.Chdir(t.TempDir()) // no .env of the developer
	cfg, err := LoadConfig(nil, io.Discard)
	require.NoError(t, err)
	cfg.DataDir, cfg.Devices, cfg.Interval = dir, 30, 300*time.Millisecond
	return cfg
}

// start makes a plant, on another offset when a port turns out to be taken.
func start(t *testing.T, cfg Config, out io.Writer) *Plant {
	t.Helper()
	var p *Plant
	require.Eventually(t, func() (ok bool) {
		var err error
		cfg.PortOffset = 10_000 + rand.IntN(10_000)
		p, err = New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Out: out})
		if err != nil {
			t.Log(err)
		}
		return err == nil
	}, waitTimeout, 10*time.Millisecond)
	return p
}

// running runs a program until the returned function is called, which waits for its end.
func running(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(waitTimeout):
			t.Error("it did not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

// run does the same with a plant, which is ready then.
func run(t *testing.T, p *Plant) (stop func()) {
	t.Helper()
	stop = running(t, p.Run)
	require.Eventually(t, func() bool { return p.Ready() == nil }, waitTimeout, 20*time.Millisecond)
	return stop
}

// publish sends one acknowledged reading to the first gateway.
func publish(t *testing.T, p *Plant, ms int64) {
	t.Helper()
	nc, err := nats.Connect("nats://" + p.gateways[0].NATSAddr())
	require.NoError(t, err)
	defer nc.Close()
	body := fmt.Sprintf(`{"device_id":"mine","timestamp":%d,"location":{"building":"A栋","floor":1,"room":"101"},"sensors":{"temperature":{"value":95.5,"unit":"°C"}}}`, ms)
	msg, err := nc.Request(wire.TelemetrySubject("mine"), []byte(body), waitTimeout)
	require.NoError(t, err)
	reply, err := wire.DecodeReply(msg.Data)
	require.NoError(t, err)
	require.Nil(t, reply.Error, "%+v", reply.Error)
}

// ask gets a JSON answer of the portal.
func ask(t *testing.T, p *Plant, path string, into any) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr()+path, nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if into != nil && res.StatusCode == http.StatusOK {
		require.NoError(t, json.Unmarshal(data, into), "%s", data)
	}
	return res.StatusCode
}

func TestSecondStartContinuesWhereTheFirstStopped(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	first := time.Now().UnixMilli()
	var out logtest.Buffer

	p := start(t, cfg, &out)
	stop := run(t, p)
	publish(t, p, first)
	var devices struct{ Total int }
	require.Eventually(t, func() bool {
		ask(t, p, "/api/v1/devices", &devices)
		return devices.Total == cfg.Devices+1
	}, waitTimeout, 50*time.Millisecond, "%d simulated devices and one of our own", cfg.Devices)
	requireAlert(t, p)
	require.Equal(t, http.StatusOK, ask(t, p, "/readyz", nil))
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "ready after") }, waitTimeout, 20*time.Millisecond)
	require.Contains(t, out.String(), "mosquitto_pub -h 127.0.0.1")
	began := time.Now()
	stop()
	t.Logf("stopped in %s", time.Since(began).Round(time.Millisecond))

	cfg.Devices = 0
	p = start(t, cfg, &out)
	run(t, p)
	publish(t, p, first+1)
	requireAlert(t, p) // the first run's, still active, and no second one
	var device struct {
		LastSeen int64 `json:"last_seen"`
	}
	require.Eventually(t, func() bool {
		ask(t, p, "/api/v1/devices/mine", &device)
		return device.LastSeen == first+1
	}, waitTimeout, 50*time.Millisecond)
	// Screens do not wait for Kafka, so Kafka may not have it yet.
	mine := map[string]int{}
	require.Eventually(t, func() bool {
		clear(mine)
		for _, r := range kafkatest.ReadAll(t, []string{p.kafka.Addr()}, "device-data", 0, waitTimeout) {
			if string(r.Key) == "mine" {
				mine[string(r.Value)]++
			}
		}
		return len(mine) == 2
	}, waitTimeout, 50*time.Millisecond)
	for value, n := range mine {
		require.Equal(t, 1, n, "%s", value)
	}
}

// requireAlert waits for the one alert of our own device.
func requireAlert(t *testing.T, p *Plant) {
	t.Helper()
	var alerts struct {
		Total int
		Items []struct {
			Status    string
			AlertType string `json:"alert_type"`
		}
	}
	require.Eventually(t, func() bool {
		ask(t, p, "/api/v1/alerts?device_id=mine", &alerts)
		return alerts.Total > 0
	}, waitTimeout, 50*time.Millisecond)
	require.Len(t, alerts.Items, 1)
	require.Equal(t, "active", alerts.Items[0].Status)
	require.Equal(t, "temperature_high", alerts.Items[0].AlertType)
}

// TestChartsReachBackBehindARestart: what a device sent yesterday, through every program and into the
// history, is in its chart and its building's before and after a restart.
func TestChartsReachBackBehindARestart(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Devices = 0
	now := time.Now().UnixMilli()
	yesterday := now - 24*3_600_000
	type course struct {
		StepMS int64                                          `json:"step_ms"`
		Begins int64                                          `json:"begins"`
		Time   []int64                                        `json:"time"`
		Values map[string]struct{ Mean, Min, Max []*float64 } `json:"values"`
	}
	p := start(t, cfg, io.Discard)
	stop := run(t, p)
	for i := range int64(10) {
		publish(t, p, yesterday+i*1000)
	}
	publish(t, p, now)
	device := fmt.Sprintf("/api/v1/devices/mine/series?from=%d&to=%d", yesterday, now+1)
	building := fmt.Sprintf("/api/v1/buildings/%s/series?from=%d&to=%d", url.PathEscape("A栋"), yesterday-3_600_000, now+1)
	complete := func(p *Plant) {
		t.Helper()
		var of course
		require.Eventually(t, func() bool {
			return ask(t, p, device, &of) == http.StatusOK && len(of.Time) >= 11
		}, waitTimeout, 20*time.Millisecond)
		require.Equal(t, yesterday, of.Begins)
		require.Zero(t, of.StepMS, "single readings")
		require.Equal(t, now, of.Time[len(of.Time)-1])
		require.InDelta(t, 95.5, *of.Values["temperature"].Mean[0], 0)
		require.Equal(t, http.StatusOK, ask(t, p, building, &of))
		require.NotEmpty(t, of.Time)
		require.Less(t, of.Time[0], yesterday+3_600_000)
		require.InDelta(t, 95.5, *of.Values["temperature"].Mean[0], 1e-4)

		var answer struct {
			Data struct {
				Result []struct {
					Value [2]any `json:"value"`
				} `json:"result"`
			} `json:"data"`
		}
		count := url.QueryEscape(`count_over_time(sensor_temperature{device="mine",building="A栋"}[26h])`)
		require.Equal(t, http.StatusOK, ask(t, p, fmt.Sprintf("/prom/api/v1/query?query=%s&time=%d", count, now/1000+1), &answer))
		require.Len(t, answer.Data.Result, 1)
		require.Equal(t, "11", answer.Data.Result[0].Value[1], "the same readings in PromQL")
	}
	complete(p)
	stop()
	p = start(t, cfg, io.Discard)
	run(t, p)
	complete(p)
}

func TestTakenPortIsNamed(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	cfg := testConfig(t, t.TempDir())
	cfg.KafkaAddr = ln.Addr().String()
	_, err = New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "DEMO_KAFKA_ADDR="+cfg.KafkaAddr)
	require.ErrorContains(t, err, "DEMO_PORT_OFFSET")
}

func TestSettingsThatCannotWorkAreNamed(t *testing.T) {
	for _, c := range []struct{ name, value string }{
		{"DEMO_DEVICES", "-1"},
		{"DEMO_DEVICES", "many"},
		{"DEMO_INTERVAL", "1ms"},
		{"DEMO_PORT_OFFSET", "x"},
		{"DEMO_PORT_OFFSET", "60000"},
		{"DEMO_PORT_OFFSET", "-2000"}, // MQTT on 1883
		{"DEMO_KAFKA_ADDR", "nowhere"},
		{"KAFKA_BROKERS", "nowhere"},
		{"ALERT_TEMPERATURE_HIGH", "hot"},
		{"ALERT_TEMPERATURE_HIGH", "-5"},
		{"WEBSOCKET_PORT", "99999"},
		{"WEBSOCKET_PORT", "-1"},
		{"WEBSOCKET_PATH", "ws"},
		{"PORTAL_ADDR", "127.0.0.1:99999"},
		{"PORTAL_TRUSTED_PROXIES", "proxy"},
		{"KAFKA_TOPIC_DEVICE_DATA", "bad topic!"},
		{"KAFKA_TOPIC_CHECKPOINTS", ".."},
		{"KAFKA_GROUP_ID", ""},
		{"BRIDGE_LANES", "0"},
		{"EDGE_LINGER", "1h"},
		{"NOTIFY_WEBHOOK_URL", "nowhere"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv(c.name, c.value)
			_, err := LoadConfig(nil, io.Discard)
			require.ErrorContains(t, err, c.name)
		})
	}
	t.Run("ports beyond the last", func(t *testing.T) {
		cfg := testConfig(t, t.TempDir())
		cfg.PortOffset = 60_000
		_, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
		require.ErrorContains(t, err, "DEMO_PORT_OFFSET=60000")
	})
}

func TestHelpListsTheDemoVariables(t *testing.T) {
	var out bytes.Buffer
	_, err := LoadConfig([]string{"--help"}, &out)
	require.ErrorIs(t, err, config.ErrHelp)
	require.Contains(t, out.String(), "DEMO_DEVICES")
}
