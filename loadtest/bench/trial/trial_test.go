package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/sim/publisher"
	"industrial-iot-monitor/sim/simulator"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/oracle"
)

// fakeAddresses are the variables with the address of a program's metrics.
var fakeAddresses = []string{"EDGE_HTTP_ADDR", "BRIDGE_HTTP_ADDR", "CORE_HTTP_ADDR", "PORTAL_ADDR"}

// TestMain lets the test binary run as fakes of the programs.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if name == "sim" {
		fakeSim(os.Args[1:])
		return
	}
	for _, v := range fakeAddresses {
		if addr := os.Getenv(v); addr != "" {
			fakeProgram(addr, os.Getenv("WEBSOCKET_PORT"))
			return
		}
	}
	goleak.VerifyTestMain(m)
}

func awaitSIGTERM() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}

// fakeSim is ready at once and writes a summary on SIGTERM.
func fakeSim(args []string) {
	for _, a := range args {
		if addr, ok := strings.CutPrefix(a, "-http="); ok {
			fakeServe(addr)
		}
	}
	awaitSIGTERM()
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "-summary="); ok {
			b, err := json.Marshal(simulator.Summary{Stats: publisher.Stats{Acked: 7}, AckP99MS: 12})
			if err := errors.Join(err, os.WriteFile(name, b, 0o600)); err != nil {
				panic(err)
			}
		}
	}
}

// fakeProgram serves counters that grow by 1 with every scrape, and readings by WebSocket.
func fakeProgram(addr, wsPort string) {
	fakeServe(addr)
	if wsPort != "" {
		fakeServe("127.0.0.1:" + wsPort)
	}
	awaitSIGTERM()
}

func fakeServe(addr string) {
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		v := n.Add(1)
		for _, name := range []string{"edge_readings_accepted_total", "bridge_records_total", `iot_messages_total{status="success"}`} {
			// Three gateways are summed up: bridge and core must not fall behind.
			if strings.HasPrefix(name, "edge") {
				fmt.Fprintln(w, name, v/3)
			} else {
				fmt.Fprintln(w, name, v)
			}
		}
	})
	mux.HandleFunc("/debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.FormValue("seconds")) })
	mux.HandleFunc("/ws", fakeReadings)
	srv := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { fmt.Fprintln(os.Stderr, srv.ListenAndServe()) }()
}

func fakeReadings(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	for {
		text := fmt.Appendf(nil, `{"type":"device_data","payload":{"device_id":"d","timestamp":%d}}`, time.Now().UnixMilli())
		if c.WriteMessage(websocket.TextMessage, text) != nil ||
			c.WriteMessage(websocket.TextMessage, []byte(`{"type":"alert","payload":{}}`)) != nil {
			return
		}
		<-time.After(time.Millisecond)
	}
}

func TestTrialWithFakePrograms(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "run")
	bin := filepath.Join(dir, "bin")
	require.NoError(t, os.MkdirAll(bin, 0o750))
	for _, name := range []string{"edge", "bridge", "core", "portal", "sim"} {
		require.NoError(t, os.Symlink(self, filepath.Join(bin, name)))
	}
	o, err := ParseFlags([]string{"-duration=1s", "-warmup=100ms", "-profile", "-results=" + t.TempDir()}, io.Discard)
	require.NoError(t, err)
	o.Brokers = kafkatest.Brokers(t)
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), o.Brokers,
		kafka.Topic{Name: "device-data-bench-run-50", Partitions: 1}))

	r, err := runTrial(t.Context(), o, Load{50, 1}, bin, filepath.Join(dir, "50"))
	require.NoError(t, err)
	require.Equal(t, 50, r.Devices)
	require.Positive(t, r.Processed)
	require.Positive(t, r.Some.PerSecond)
	require.Positive(t, r.All.Alerts)
	require.Less(t, r.Some.Mean, time.Minute)
	require.True(t, r.Caught)
	require.EqualValues(t, 7, r.Sim.Acked)
	require.True(t, r.Verdict.OK())
	require.Contains(t, r.CPU, cluster.Gateway(2))
	require.Contains(t, r.CPU, clientsName)
	profiles, err := filepath.Glob(filepath.Join(o.Results, "*-50-profiles", "*.pprof"))
	require.NoError(t, err)
	require.Len(t, profiles, 7, "three gateways, bridge, core, portal and the simulator")
	seconds, err := os.ReadFile(profiles[0])
	require.NoError(t, err)
	require.Equal(t, "1", string(seconds))
	require.NoDirExists(t, filepath.Join(dir, "50"), "a trial removes its data")

	var out bytes.Buffer
	require.NoError(t, report(t.Context(), o, []*Result{r}, &out))
	require.Contains(t, out.String(), "| devices | 50 |")
	saved, err := filepath.Glob(filepath.Join(o.Results, "*.md"))
	require.NoError(t, err)
	require.Len(t, saved, 1)
	require.NoError(t, report(t.Context(), o, nil, &out), "no results, no table")
}

func TestParseFlags(t *testing.T) {
	o, err := ParseFlags([]string{"-rates=5,10x50", "-brokers=a:1,b:2"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []Load{{5, 1}, {10, 50}}, o.Loads)
	require.Equal(t, []string{"a:1", "b:2"}, o.Brokers)
	require.Zero(t, o.Alarms)
	o, err = ParseFlags([]string{"-alarms"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, floodAlarms, o.Alarms)
	for _, args := range [][]string{{"-rates=x"}, {"-rates=0"}, {"-rates=5x0"}, {"-rates=5x1001"}, {"-rates=5x"}, {"-duration=1ms"}, {"-interval=1ms"}, {"-nonsense"}} {
		_, err := ParseFlags(args, io.Discard)
		require.Error(t, err, "%v", args)
	}
}

func TestTimestamp(t *testing.T) {
	for text, want := range map[string]int64{
		`{"device_id":"d","timestamp":17,"x":1}`: 17,
		`{"timestamp": 18}`:                      18,
	} {
		got, ok := timestamp([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{``, `{"timestamp":`, `{"timestamp":"x"}`} {
		_, ok := timestamp([]byte(text))
		require.False(t, ok, text)
	}
}

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.6: "1,234,568", -1000: "-1,000", -100: "-100"} {
		require.Equal(t, want, thousands(v))
	}
}

func TestTableShowsLoss(t *testing.T) {
	o := oracle.New()
	o.Acked("device_001", 5)
	r := &Result{Load: Load{10, 50}, Verdict: o.Verdict(), Judged: true, Some: Sample{PerSecond: 1, Broken: "EOF"}, CPU: map[string]float64{"core": 50}, MaxRSS: map[string]int64{"core": 3 << 20}}
	r.All.Raised = Ages{Count: 3, Mean: 7 * time.Millisecond, P50: 6 * time.Millisecond, P99: 9 * time.Millisecond, Max: 9 * time.Millisecond}
	text := table(t.Context(), Options{Brokers: []string{"k:1"}}, []*Result{r})
	require.Contains(t, text, "| **lost** | **1** |")
	require.Contains(t, text, "device_001 5")
	require.Contains(t, text, "| 7.0 / 6.0 / 9.0 / 9 (3) |")
	require.Contains(t, text, "disconnected: EOF")
	require.Contains(t, text, "50 %, 3 MB")
	require.Contains(t, text, "gave up")
	require.Contains(t, text, "the Kafka at k:1")
	r.Judged = false // the trial was aborted before judging
	require.Contains(t, table(t.Context(), Options{}, []*Result{r}), "| **lost** | not checked |")
}

// Delayed alarms and those of watchdogs would distort the measured latency.
func TestOnlyImmediateAlarmsAreMeasured(t *testing.T) {
	w := sampler{raised: publisher.NewLatency(), cleared: publisher.NewLatency()}
	at := time.Now()
	alert := func(change func(*telemetry.Alert)) []byte {
		a := telemetry.Alert{Source: telemetry.SourceRule, Event: telemetry.EventRaised, Timestamp: at.Add(-20 * time.Millisecond).UnixMilli()}
		change(&a)
		b, err := json.Marshal(a)
		require.NoError(t, err)
		return b
	}
	w.recordAlarm(alert(func(*telemetry.Alert) {}), at)
	w.recordAlarm(alert(func(a *telemetry.Alert) { a.Event = telemetry.EventCleared }), at)
	w.recordAlarm(alert(func(a *telemetry.Alert) { a.Event = telemetry.EventAcknowledged }), at)
	w.recordAlarm(alert(func(a *telemetry.Alert) { a.Source = telemetry.SourceWatchdog }), at)
	w.recordAlarm(alert(func(a *telemetry.Alert) { a.OnDelayMS = 5 }), at)
	w.recordAlarm(alert(func(a *telemetry.Alert) { a.Historical = true }), at)
	w.recordAlarm([]byte("{"), at)
	raised, cleared := w.alarms()
	require.EqualValues(t, 1, raised)
	require.EqualValues(t, 1, cleared)
	require.InDelta(t, 20, float64(agesOf(w.raised).Max.Milliseconds()), 2)
}

func TestCrowdSendsValidReadings(t *testing.T) {
	var r telemetry.Reading
	require.NoError(t, wire.DecodeReading(crowdReading("flood_0001", "A栋", 1640995200000, hotTemperature), &r, nil))
	require.Equal(t, "flood_0001", r.DeviceID)
	require.InDelta(t, hotTemperature, r.Sensors.Find(telemetry.Temperature).Number, 0)
}

func TestFloodTable(t *testing.T) {
	f := flood{
		before: Sample{PerSecond: 1, P99: 40 * time.Millisecond}, raised: Sample{Raised: Ages{Count: 1000, P99: 60 * time.Millisecond}},
		lastRaised: 1100 * time.Millisecond, records: map[telemetry.AlarmEvent]int{telemetry.EventRaised: 1000, telemetry.EventCleared: 999}, duplicates: 1,
	}
	text := f.table(t.Context(), &trial{o: Options{Alarms: 1000}, result: &Result{Load: Load{20000, 1}}})
	require.Contains(t, text, "1000 alarms raised in one second and cleared in another, at 20,000 readings/s")
	require.Contains(t, text, "0.0 / 0.0 / 60.0 / 0 (1000)")
	require.Contains(t, text, "1000 raised, 999 cleared, 1 duplicate records")
	require.Contains(t, text, "| 1.1s |")
}
