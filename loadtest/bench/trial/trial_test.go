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
	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/sim/publisher"
	"industrial-iot-monitor/sim/simulator"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/oracle"
)

// fakeAddresses are the variables with the address of a program's metrics.
var fakeAddresses = []string{"EDGE_HTTP_ADDR", "BRIDGE_HTTP_ADDR", "CORE_HTTP_ADDR", "PORTAL_ADDR"}

// TestMain lets the test binary run as fakes of the programs, and as real ones.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if filepath.Base(filepath.Dir(os.Args[0])) == realPrograms {
		if code := runReal(name); code != 0 {
			panic(fmt.Sprintf("%s ended with %d", name, code))
		}
		return
	}
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
		for _, name := range []string{
			"edge_readings_accepted_total", "edge_packs_total", "bridge_records_total", `iot_messages_total{status="success"}`,
			`bridge_transactions_total{result="committed"}`, `core_transactions_total{result="committed"}`,
		} {
			// Three gateways are summed up: bridge and core must not fall behind.
			if strings.HasPrefix(name, "edge") {
				fmt.Fprintln(w, name, float64(v)/3.1)
			} else {
				fmt.Fprintln(w, name, v)
			}
		}
	})
	mux.HandleFunc("/debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.FormValue("seconds")) })
	mux.HandleFunc("/debug/pprof/heap", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "heap") })
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
	w := workshop{dir: dir, bin: filepath.Join(dir, "bin")}
	require.NoError(t, os.MkdirAll(w.bin, 0o750))
	for _, name := range []string{"edge", "bridge", "core", "portal", "sim"} {
		require.NoError(t, os.Symlink(self, filepath.Join(w.bin, name)))
	}
	o, err := ParseFlags([]string{"-duration=1s", "-warmup=100ms", "-profile", "-rates=50", "-busy=1", "-results=" + t.TempDir()}, io.Discard)
	require.NoError(t, err)
	o.Brokers = kafkatest.Brokers(t)
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(o.Brokers...),
		kafka.Topic{Name: "device-data-bench-run-1", Partitions: 1}))

	r, notes, err := measure(t.Context(), o, o.Loads[0], w, "1")
	require.NoError(t, err)
	require.InDelta(t, 50, r[report.Devices], 0)
	require.Positive(t, r[report.Processed])
	require.Positive(t, r[report.BridgeTxns])
	require.Positive(t, r[report.Packs])
	require.Positive(t, r[report.PushedOne])
	require.Less(t, r[report.Screen+report.Mean], float64(time.Minute.Milliseconds()))
	require.NotContains(t, r, report.Unfinished)
	require.InDelta(t, 12, r[report.Ack+report.P99], 0)
	require.Zero(t, r[report.Lost])
	for _, n := range notes {
		require.Contains(t, n, "NOT QUIET", "nothing but other processes may be noted")
	}
	require.Contains(t, r, report.CPU+cluster.Gateway(2))
	require.Contains(t, r, report.CPU+clientsName)
	require.Contains(t, r, report.StageCPU+"gateways")
	require.Positive(t, r[report.CPU+busyPrefix+"1"])
	stage, _ := stageOf(busyPrefix + "1")
	require.Empty(t, stage, "busy jobs are not the plant's")
	profiles, err := filepath.Glob(filepath.Join(o.Results, "*-50-profiles", "*", "*.pprof"))
	require.NoError(t, err)
	require.Len(t, profiles, 14, "CPU and heap of three gateways, bridge, core, portal and the simulator")
	seconds, err := os.ReadFile(profiles[0])
	require.NoError(t, err)
	require.Equal(t, "1", string(seconds))
	require.NoDirExists(t, filepath.Join(dir, "1"), "a trial removes its data")
}

// A run that became slower says so, and fails only where that is asked for.
func TestLossOfSpeedIsReported(t *testing.T) {
	var out bytes.Buffer
	o := Options{Results: t.TempDir()}
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	run := func(txns float64) *report.Run {
		date = date.Add(time.Second)
		r := &report.Run{Date: date, Machine: report.ThisMachine()}
		r.Add(report.Load{Rate: 50}, report.Sample{report.Devices: 50, report.Txns: txns})
		return r
	}
	require.NoError(t, finish(o, &report.Run{}, &out), "no results, no table")
	require.Empty(t, out.String())
	require.NoError(t, finish(o, run(10), &out))
	require.Contains(t, out.String(), "| devices | 50 |")
	require.NotContains(t, out.String(), "WORSE")
	require.NoError(t, finish(o, run(20), &out))
	require.Contains(t, out.String(), "WORSE than before:")
	o.Fail = true
	require.ErrorIs(t, finish(o, run(40), &out), ErrSlower)
	require.NoError(t, finish(o, run(5), &out))
}

func TestParseFlags(t *testing.T) {
	o, err := ParseFlags([]string{"-rates=5,10x50@5s,7+busy+one,idle,drain+apache", "-kafka=real", "-protocol=mqtt"}, io.Discard)
	require.NoError(t, err)
	mqtt := func(l report.Load) report.Load {
		l.Protocol, l.Kafka = "mqtt", report.Apache
		return l
	}
	require.Equal(t, []report.Load{
		mqtt(report.Load{Rate: 5, Batch: 1, Interval: time.Second}),
		mqtt(report.Load{Rate: 10, Batch: 50, Interval: 5 * time.Second}),
		mqtt(report.Load{Rate: 7, Batch: 1, Interval: time.Second, Busy: 2, One: true}),
		{Kind: report.Idle, Kafka: report.Apache},
		{Kind: report.Drain, Gateways: 1, Kafka: report.Apache},
	}, o.Loads)
	require.Zero(t, o.Alarms)
	o, err = ParseFlags([]string{"-rates=5", "-outage=1m"}, io.Discard)
	require.NoError(t, err)
	require.Len(t, o.Loads, 2)
	require.Equal(t, report.Load{Kind: report.Outage, Rate: 5, Batch: 1, Interval: time.Second, Protocol: "nats", Kafka: report.Embedded, Length: time.Minute}, o.Loads[1])
	o, err = ParseFlags([]string{"-rates=5", "-brokers=a:1,b:2", "-alarms"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []string{"a:1", "b:2"}, o.Brokers)
	require.Equal(t, floodAlarms, o.Alarms)
	for _, args := range [][]string{
		{"-rates=x"},
		{"-rates=0"},
		{"-rates=5x0"},
		{"-rates=5x1001"},
		{"-rates=5x"},
		{"-rates=5@"},
		{"-rates=5+fast"},
		{"-duration=1ms"},
		{"-interval=1ms"},
		{"-nonsense"},
		{"-rates=50000@5s"},
		{"-kafka=none"},
		{"-one", "-brokers=a:1"},
		{"-one", "-outage=1m"},
		{"-brokers=a:1", "-outage=1m"},
		{"-rates=idle", "-outage=1m"},
		{"-count=0"},
	} {
		_, err := ParseFlags(args, io.Discard)
		require.Error(t, err, "%v", args)
	}
}

// Segments that are removed or compacted do not hide what was written, and indexes are no log.
func TestGrowthOfTheLog(t *testing.T) {
	var g growth
	g.look(map[string]int64{"device-data-0/0.log": 100, "device-data-1/0.log": 50, "__transaction_state-3/0.log": 10, "groups.log": 1000})
	g.look(map[string]int64{"device-data-0/0.log": 300, "__transaction_state-3/0.log": 20, "groups.log": 400})
	g.look(map[string]int64{"device-data-0/300.log": 50, "__transaction_state-3/0.log": 20, "groups.log": 440})
	s := report.Sample{}
	g.fill(s, 10)
	require.Equal(t, report.Sample{
		report.TopicBytes + "device-data": 25, report.TopicBytes + "__transaction_state": 1, report.TopicBytes + "__consumer_offsets": 4,
		report.LogBytes: 30,
	}, s)
	g.fill(s, 0)

	dir := t.TempDir()
	for _, name := range []string{"log/a-b-12/0.log", "partitions/a-b-7/0.dat", "log/a-b-12/0.index", "pids.log"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), make([]byte, 7), 0o600))
	}
	files, err := segments(dir)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"log/a-b-12/0.log": 7, "partitions/a-b-7/0.dat": 7, "pids.log": 7}, files)
	require.Equal(t, "a-b", topicOf("log/a-b-12/0.log"))
	require.Equal(t, "__transaction_state", topicOf("pids.log"))
	_, err = segments(filepath.Join(dir, "absent"))
	require.NoError(t, err)
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
		before: Reception{Ages: Ages{Count: 1, P99: 40 * time.Millisecond}}, raised: Reception{Raised: Ages{Count: 1000, P99: 60 * time.Millisecond}},
		lastRaised: 1100 * time.Millisecond, records: map[telemetry.AlarmEvent]int{telemetry.EventRaised: 1000, telemetry.EventCleared: 999}, duplicates: 1,
	}
	text := f.table("v1", &trial{o: Options{Alarms: 1000}, load: report.Load{Rate: 20000, Kafka: report.Embedded}, found: report.Sample{report.Lost: 3}})
	require.Contains(t, text, "1000 alarms raised in one second and cleared in another, at 20,000/s, embedded broker")
	require.Contains(t, text, "0.0 / 0.0 / 60.0 / 0 |")
	require.Contains(t, text, "1000 raised, 999 cleared, 1 duplicate records")
	require.Contains(t, text, "| 1.1s |")
	require.Contains(t, text, "3 lost")
}

// The oracle's verdict is in the table with what it names.
func TestLossIsNoted(t *testing.T) {
	o := oracle.New()
	o.Acked("device_001", 5)
	x := trial{found: report.Sample{}}
	x.record(o.Verdict())
	x.broken("100", Reception{Broken: "EOF"})
	require.InDelta(t, 1, x.found[report.Lost], 0)
	r := report.Run{}
	r.Add(report.Load{Rate: 10, Batch: 50}, x.found, x.notes...)
	text := report.Table(&r)
	require.Contains(t, text, "| **lost** | **1** |")
	require.Contains(t, text, "device_001 5")
	require.Contains(t, text, "disconnected: EOF")
}
