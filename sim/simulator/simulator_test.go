package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/sim/publisher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoad(t *testing.T) {
	c, err := Load(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 1000, c.Devices)
	require.Equal(t, 5*time.Second, c.Interval)
	require.InDelta(t, 0.1, c.Variance, 0)
	require.Equal(t, []string{"127.0.0.1:4222"}, c.gateways())
	require.Equal(t, []string{"A栋"}, c.Buildings)
	require.Equal(t, "mixed", c.Fleet)
	require.Equal(t, 1, c.Batch)

	c, err = Load([]string{"-fleet=uniform", "-batch=50", "-repeat=0.1", "-clocks=-5h,8h"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "uniform", c.Fleet)
	require.Equal(t, 50, c.Batch)
	require.InDelta(t, 0.1, c.Repeat, 0)
	require.Equal(t, []time.Duration{-5 * time.Hour, 8 * time.Hour}, c.Clocks)

	c, err = Load([]string{"-batch=5", "-anomalies=1", "-anomaly-kinds=spike,drift", "-rhythm", "-labels=l"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []string{"spike", "drift"}, c.Kinds)
	require.True(t, c.Rhythm)

	t.Setenv("DEVICE_COUNT", "7")
	t.Setenv("SEND_INTERVAL", "300ms")
	t.Setenv("DATA_VARIANCE", "0.5")
	c, err = Load([]string{"-interval=100ms", "-protocol", "mqtt", "-mqtt=a:1,b:2", "-connections=device"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 7, c.Devices)
	require.Equal(t, 100*time.Millisecond, c.Interval)
	require.InDelta(t, 0.5, c.Variance, 0)
	require.Equal(t, publisher.MQTT, c.Protocol)
	require.True(t, c.PerDevice)
	require.Equal(t, []string{"a:1", "b:2"}, c.gateways())
	require.Equal(t, []string{"A栋", "B栋"}, c.Buildings)
}

func TestLoadRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown flag":      {"-speed=3"},
		"argument":          {"fast"},
		"protocol":          {"-protocol=coap"},
		"connections":       {"-connections=many"},
		"buildings":         {"-buildings=A,B"},
		"empty address":     {"-nats=a:1,,b:1"},
		"negative duration": {"-duration=-1s"},
		"no timeout":        {"-timeout=0"},
		"fleet":             {"-fleet=odd"},
		"batch":             {"-batch=0"},
		"large batch":       {"-batch=1001"},
		"repeat":            {"-repeat=2"},
		"clock":             {"-clocks=1h,late"},
		"silent batch":      {"-batch=5", "-anomalies=1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(args, io.Discard)
			require.Error(t, err)
		})
	}
	t.Setenv("SEND_INTERVAL", "often")
	_, err := Load(nil, io.Discard)
	require.ErrorContains(t, err, "SEND_INTERVAL")
}

func TestHelpNamesEveryFlagAndVariable(t *testing.T) {
	var out bytes.Buffer
	_, err := Load([]string{"-h"}, &out)
	require.ErrorIs(t, err, config.ErrHelp)
	for _, v := range []string{"DEVICE_COUNT", "SEND_INTERVAL", "DATA_VARIANCE", "-excursions", "ulimit", "-anomaly-kinds", "oscillation,dropout,silence"} {
		require.Contains(t, out.String(), v)
	}
}

func TestBuildingNames(t *testing.T) {
	require.Equal(t, "A栋", buildingName(0))
	require.Equal(t, "Z栋", buildingName(25))
	require.Equal(t, "27栋", buildingName(26))
}

// startGateway returns the address of a NATS server that acknowledges every reading.
func startGateway(t *testing.T) string {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(30*time.Second))
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	require.NoError(t, err)
	_, err = nc.Subscribe(wire.TelemetrySubjects, func(m *nats.Msg) {
		_ = m.Respond(wire.AppendAck(nil, "PACKS_test", 1, false)) // fails only while the test stops the server
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	t.Cleanup(func() {
		nc.Close()
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	return srv.Addr().String()
}

// get asks the simulator's operations server.
func get(t *testing.T, s *Simulator, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}

// stuckNow returns how many anomalies a day 20 devices need so that a sensor is stuck now and in the next minutes.
// When they are stuck follows from the time: at some times and rates, none is.
func stuckNow(t *testing.T) float64 {
	t.Helper()
	now := time.Now().UnixMilli()
	for perDay := 10.0; perDay <= 24; perDay += 0.5 {
		c, err := Load([]string{"-devices=20", fmt.Sprint("-anomalies=", perDay), "-anomaly-kinds=stuck"}, io.Discard)
		require.NoError(t, err)
		f, err := newFleet(&c)
		require.NoError(t, err)
		for _, l := range f.Anomalies(now, now) {
			if l.End > now+5*time.Minute.Milliseconds() {
				return perDay
			}
		}
	}
	require.Fail(t, "no sensor is stuck at any rate")
	return 0
}

func TestRunReportsAndKeepsALedger(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ledger")
	require.NoError(t, os.WriteFile(name, []byte("device_999,1,1\n"), 0o600))
	c, err := Load([]string{
		"-devices=20", "-interval=100ms", "-duration=2500ms", "-progress=1s", "-http=127.0.0.1:0",
		"-nats=" + startGateway(t), "-ledger=" + name, "-summary=" + name + ".json",
		fmt.Sprint("-anomalies=", stuckNow(t)), "-anomaly-kinds=stuck", "-labels=" + name + ".labels",
	}, io.Discard)
	require.NoError(t, err)
	var out bytes.Buffer
	s, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Out: &out})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(t.Context()) }()
	require.Eventually(t, func() bool { return s.Ready() == nil && s.pub.Stats().Acked > 0 }, 180*time.Second, 10*time.Millisecond)
	require.Contains(t, get(t, s, "/metrics"), "\nsim_readings_acknowledged_total ")
	require.Contains(t, get(t, s, "/readyz"), "ready")
	require.NoError(t, <-ended)

	stats := s.pub.Stats()
	require.Positive(t, stats.Acked)
	require.Contains(t, out.String(), "20 devices")
	require.Contains(t, out.String(), "acked")
	require.Regexp(t, `acknowledged +\d+`, out.String())

	raw, err := os.ReadFile(name + ".json")
	require.NoError(t, err)
	var sum Summary
	require.NoError(t, json.Unmarshal(raw, &sum))
	require.Equal(t, stats, sum.Stats)
	require.Positive(t, sum.AckP99MS)

	raw, err = os.ReadFile(name + ".labels")
	require.NoError(t, err)
	require.Contains(t, string(raw), `"kind":"stuck"`)

	raw, err = os.ReadFile(name)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	require.Equal(t, "device_999,1,1", lines[0], "a ledger is continued")
	require.EqualValues(t, stats.Acked, len(lines)-1)
	for _, l := range lines {
		require.Regexp(t, `^device_\d{3},\d+,\d+$`, l)
	}
}

func TestNewRefuses(t *testing.T) {
	c, err := Load([]string{"-devices=0"}, io.Discard)
	require.NoError(t, err)
	o := Options{Config: c, Log: slog.New(slog.DiscardHandler), Out: io.Discard}
	_, err = New(o)
	require.ErrorContains(t, err, "devices")
	o.Config.Devices, o.Config.Ledger = 1, filepath.Join(t.TempDir(), "no", "such", "folder")
	_, err = New(o)
	require.ErrorContains(t, err, "ledger")
	o.Config.Ledger, o.Config.Interval = filepath.Join(t.TempDir(), "ledger"), time.Millisecond
	_, err = New(o)
	require.ErrorContains(t, err, "interval")
}
