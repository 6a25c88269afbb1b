package historian

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// waitTimeout bounds every wait for something that will happen.
	waitTimeout = 180 * time.Second
	often       = 20 * time.Millisecond
)

// plant is a Kafka with readings.
type plant struct {
	t       *testing.T
	brokers []string
	topics  topology.Topics
	group   string
	now     int64
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, brokers: kafkatest.Brokers(t), topics: kafkatest.Topics(t), group: kafkatest.Name(t, "core"), now: time.Now().UnixMilli()}
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(p.brokers...), p.topics.Specs().DeviceData))
	return p
}

// send writes n readings of a device, a second apart, the last one now; from is the value of the
// first. Odd devices send °F.
func (p *plant) send(device string, n int, from float64) {
	p.t.Helper()
	records := make([]kafkatest.Record, n)
	for i := range records {
		at := p.now - int64(n-1-i)*1000
		text := fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":1,"room":"1"},"sensors":{"temperature":{"value":%g,"unit":"°C"},"on":{"value":true},"mode":{"value":"a\"b"}}}`, device, at, from+float64(i))
		records[i] = kafkatest.Record{Key: []byte(device), Value: []byte(text), Timestamp: time.UnixMilli(at)}
	}
	kafkatest.Produce(p.t, p.brokers, p.topics.DeviceData, -1, records...)
}

// running is a historian at work.
type running struct {
	*Historian
	t      *testing.T
	client *history.Client
	stop   func()
	log    *logtest.Buffer
}

func (p *plant) options(dir string) (Options, *logtest.Buffer) {
	text := new(logtest.Buffer)
	return Options{
		Config:  Config{Mode: Embedded, DataDir: dir, Addr: "127.0.0.1:0", Flush: time.Minute, Retention: config.Age(90 * 24 * time.Hour)},
		Cluster: kafka.At(p.brokers...), Topic: p.topics.Specs().DeviceData, GroupID: p.group, Log: slog.New(slog.NewTextHandler(text, nil)),
		Registry: prometheus.NewRegistry(), Catalogue: sensors.Default,
	}, text
}

// start runs a historian with its files in a directory.
func (p *plant) start(dir string) *running {
	p.t.Helper()
	o, text := p.options(dir)
	return p.run(o, text)
}

func (p *plant) run(o Options, text *logtest.Buffer) *running {
	p.t.Helper()
	h, err := New(o)
	require.NoError(p.t, err)
	return p.runAs(h, text, history.Options{URL: "http://" + h.Addr()})
}

// runAs runs a historian; o are the options of its client.
func (p *plant) runAs(h *Historian, text *logtest.Buffer, o history.Options) *running {
	p.t.Helper()
	client, err := history.NewClient(o)
	require.NoError(p.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stopped := false
	r := &running{Historian: h, t: p.t, client: client, log: text}
	r.stop = func() {
		if !stopped {
			stopped = true
			client.Close()
			cancel()
			require.NoError(p.t, <-done)
		}
	}
	p.t.Cleanup(r.stop)
	return r
}

// series waits until a device has n readings and returns its series.
func (r *running) series(p *plant, device string, n int) history.Series {
	r.t.Helper()
	q := history.Query{Devices: []string{device}, From: p.now - 3_600_000, To: p.now + 1, Points: 1000}
	var s history.Series
	require.Eventually(r.t, func() bool {
		a, err := r.client.Series(r.t.Context(), &q)
		if err != nil {
			return false
		}
		s = a.Series[0]
		return len(s.Time) >= n
	}, waitTimeout, often, "%d readings of %s", n, device)
	require.Len(r.t, s.Time, n)
	return s
}

func TestReadingsAreKeptInPlantUnits(t *testing.T) {
	p := newPlant(t)
	p.send("d1", 5, 20)
	fahrenheit := fmt.Sprintf(`{"device_id":"d2","timestamp":%d,"location":{"building":"A栋"},"sensors":{"temperature":{"value":212,"unit":"°F"}}}`, p.now)
	kafkatest.Produce(t, p.brokers, p.topics.DeviceData, -1,
		kafkatest.Record{Key: []byte("d2"), Value: []byte(fahrenheit), Timestamp: time.UnixMilli(p.now)},
		kafkatest.Record{Key: []byte("d2"), Value: []byte("no reading"), Timestamp: time.UnixMilli(p.now)})
	r := p.start(t.TempDir())
	s := r.series(p, "d1", 5)
	require.Equal(t, history.Numbers{20, 21, 22, 23, 24}, s.Values["temperature"].Mean)
	require.Equal(t, "°C", s.Values["temperature"].Unit)
	require.Equal(t, p.now-4000, s.Begins)
	require.EqualValues(t, 1000, s.IntervalMS)
	require.Equal(t, history.Numbers{100}, r.series(p, "d2", 1).Values["temperature"].Mean)

	answer, err := r.client.Series(t.Context(), &history.Query{Buildings: []string{"A栋"}, From: p.now - 3_600_000, To: p.now + 1, Points: 100})
	require.NoError(t, err)
	require.Equal(t, "A栋", answer.Series[0].Building)
	require.NotEmpty(t, answer.Series[0].Values["temperature"].Mean)

	require.Eventually(t, func() bool {
		status, err := r.client.Status(t.Context())
		return err == nil && status.Days >= 1 && status.Newest == p.now && status.Behind == 0
	}, waitTimeout, often)
}

// TestRestartReadsOn: what was flushed and what was not, a stop that is ordered and one that is not.
func TestRestartReadsOn(t *testing.T) {
	p := newPlant(t)
	dir := t.TempDir()
	p.send("d1", 100, 0)
	r := p.start(dir)
	r.series(p, "d1", 100)
	r.stop()
	committed := kafkatest.Committed(t, p.brokers, p.group+groupSuffix, p.topics.DeviceData)
	total := int64(0)
	for _, offset := range committed {
		total += offset
	}
	require.NotEmpty(t, committed, "for the tools of Kafka")
	p.now += 50_000
	p.send("d1", 50, 100)
	r = p.start(dir)
	s := r.series(p, "d1", 150)
	for i, v := range s.Values["temperature"].Mean {
		require.InDelta(t, i, v, 0)
	}
}

// TestSecondHistorianIsRefused: beside one that runs, and after one that ran, until its group is gone.
// abandon puts a member of the historian's group where a killed process left it: it never says anything
// again, and the broker waits five minutes for it.
func (p *plant) abandon(clientID string) {
	p.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.brokers...), kgo.ClientID(clientID))
	require.NoError(p.t, err)
	defer client.Close()
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType = p.group+groupSuffix, "consumer"
	join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 300_000, 300_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = kafka.Sole{}.Name()
	metadata := kmsg.NewConsumerMemberMetadata()
	metadata.Topics = []string{p.topics.DeviceData}
	protocol.Metadata = metadata.AppendTo(nil)
	join.Protocols = []kmsg.JoinGroupRequestProtocol{protocol}
	joined, err := join.RequestWith(p.t.Context(), client)
	require.NoError(p.t, err)
	if errors.Is(kerr.ErrorForCode(joined.ErrorCode), kerr.MemberIDRequired) {
		join.MemberID = joined.MemberID
		joined, err = join.RequestWith(p.t.Context(), client)
		require.NoError(p.t, err)
	}
	require.NoError(p.t, kerr.ErrorForCode(joined.ErrorCode))
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.Generation, sync.MemberID = join.Group, joined.Generation, joined.MemberID
	sync.ProtocolType, sync.Protocol = &join.ProtocolType, &protocol.Name
	assigned := kmsg.NewSyncGroupRequestGroupAssignment()
	assigned.MemberID = joined.MemberID
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{assigned}
	synced, err := sync.RequestWith(p.t.Context(), client)
	require.NoError(p.t, err)
	require.NoError(p.t, kerr.ErrorForCode(synced.ErrorCode))
}

func TestAfterAKillTheHistoryReadsAtOnce(t *testing.T) {
	p := newPlant(t)
	dir := t.TempDir()
	r := p.start(dir)
	p.send("d1", 5, 20)
	r.series(p, "d1", 5)
	id := r.clientID()
	r.stop()

	p.abandon(id)
	p.send("d2", 5, 20)
	r = p.start(dir)
	r.series(p, "d2", 5)
	require.Contains(t, r.log.String(), "removed earlier members")
}

func TestSecondHistorianIsRefused(t *testing.T) {
	p := newPlant(t)
	p.send("d1", 10, 0)
	first := p.start(t.TempDir())
	first.series(p, "d1", 10)
	second := p.start(t.TempDir())
	refused := func(r *running) error {
		var err error
		require.Eventually(t, func() bool {
			_, err = r.client.Status(t.Context())
			return err != nil
		}, waitTimeout, often)
		return err
	}
	err := refused(second)
	require.ErrorIs(t, err, history.ErrUnavailable)
	require.ErrorContains(t, err, "Set HISTORY=off for this core")
	require.ErrorContains(t, err, first.keeper.ID())
	require.ErrorContains(t, second.Ready(), "HISTORY=off")
	first.series(p, "d1", 10)
	second.stop()
	first.stop()

	dir := t.TempDir()
	third := p.start(dir)
	require.Error(t, refused(third), "the first one may come back")
	third.stop()
	admin, err := sarama.NewClusterAdmin(p.brokers, kafka.Cluster{}.Settings("test"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close()) }()
	require.NoError(t, admin.DeleteConsumerGroup(p.group+groupSuffix))
	p.start(dir).series(p, "d1", 10)
}

func TestOneDirectoryOneProcess(t *testing.T) {
	p := newPlant(t)
	dir := t.TempDir()
	p.start(dir)
	o, _ := p.options(dir)
	_, err := New(o)
	require.ErrorContains(t, err, "CORE_DATA_DIR="+dir)
	require.ErrorContains(t, err, "set HISTORY=off")
}

// TestDamagedFileComesBackFromKafka while the historian works.
func TestDamagedFileComesBackFromKafka(t *testing.T) {
	p := newPlant(t)
	dir := t.TempDir()
	p.send("d1", 30, 0)
	r := p.start(dir)
	r.series(p, "d1", 30)
	r.stop()
	files, err := filepath.Glob(filepath.Join(dir, "history", "20*.db"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		require.NoError(t, os.WriteFile(f, bytes.Repeat([]byte("damaged "), 1<<10), 0o600))
	}
	r = p.start(dir)
	r.series(p, "d1", 30)
	require.Contains(t, r.log.String(), "was set aside")
	aside, err := filepath.Glob(filepath.Join(dir, "history", "*.damaged-*"))
	require.NoError(t, err)
	require.NotEmpty(t, aside)
}

// TestAnotherPlantsHistoryIsRefused: the topic was created again, so offsets mean something else.
func TestAnotherPlantsHistoryIsRefused(t *testing.T) {
	p := newPlant(t)
	dir := t.TempDir()
	p.send("d1", 10, 0)
	r := p.start(dir)
	r.series(p, "d1", 10)
	r.stop()
	other := newPlant(t)
	r = other.start(dir)
	require.Eventually(t, func() bool {
		_, err := r.client.Status(t.Context())
		return err != nil && strings.Contains(err.Error(), "Move the directory")
	}, waitTimeout, often)
}

func TestExport(t *testing.T) {
	p := newPlant(t)
	p.send("d1", 2, 20)
	p.send("d2", 1, 30)
	r := p.start(t.TempDir())
	r.series(p, "d1", 2)
	r.series(p, "d2", 1)
	read := func(q history.ExportQuery) string {
		q.From, q.To = p.now-3_600_000, p.now+1
		body, err := r.client.Export(t.Context(), &q)
		require.NoError(t, err)
		defer func() { require.NoError(t, body.Close()) }()
		b, err := io.ReadAll(body)
		require.NoError(t, err)
		return string(b)
	}
	stamp := func(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z") }
	line := func(device string, at int64, rest string) string {
		return fmt.Sprintf("%s,%d,%s,%s\r\n", device, at, stamp(at), rest)
	}
	require.Equal(t, "device_id,timestamp,time,sensor,value,unit\r\n"+
		line("d1", p.now-1000, `temperature,20,"°C"`)+line("d1", p.now-1000, `on,true,`)+line("d1", p.now-1000, `mode,"a""b",`)+
		line("d1", p.now, `temperature,21,"°C"`)+line("d1", p.now, `on,true,`)+line("d1", p.now, `mode,"a""b",`)+
		line("d2", p.now, `temperature,30,"°C"`)+line("d2", p.now, `on,true,`)+line("d2", p.now, `mode,"a""b",`),
		read(history.ExportQuery{Format: history.CSV}))
	lines := read(history.ExportQuery{Format: history.NDJSON, Devices: []string{"d2"}, Parameters: []string{"temperature"}})
	require.Equal(t, 1, strings.Count(lines, "\n"))
	require.JSONEq(t, fmt.Sprintf(`{"device_id":"d2","timestamp":%d,"sensors":{"temperature":{"value":30,"unit":"°C"}}}`, p.now), lines)

	var out, errs bytes.Buffer
	url := "http://" + r.Addr()
	require.Zero(t, Command(t.Context(), []string{"export", "-url", url, "-devices", "d1", "-sensors", "temperature"}, &out, &errs), errs.String())
	require.Equal(t, 3, strings.Count(out.String(), "\r\n"))
	file := filepath.Join(t.TempDir(), "out.csv")
	require.Zero(t, Command(t.Context(), []string{"export", "-url", url, "-o", file}, &out, &errs), errs.String())
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 10, strings.Count(string(b), "\r\n"))
	for _, args := range [][]string{nil, {"export", "-format", "xml"}, {"export", "-from", "yesterday"}, {"export", "-url", "x"}, {"import"}} {
		require.Equal(t, 2, Command(t.Context(), args, &out, &errs), "%v", args)
	}
	r.stop()
	require.Equal(t, 1, Command(t.Context(), []string{"export", "-url", url}, &out, &errs))
	require.Contains(t, errs.String(), history.ErrUnavailable.Error())
}

// TestExportThatFailsIsNotComplete: the client sees that readings are missing, and they come back.
func TestExportThatFailsIsNotComplete(t *testing.T) {
	p := newPlant(t)
	dir := t.TempDir()
	p.send("d1", 30, 0)
	r := p.start(dir)
	r.series(p, "d1", 30)
	r.stop()
	files, err := filepath.Glob(filepath.Join(dir, "history", "20*.db"))
	require.NoError(t, err)
	for _, f := range files {
		db, err := sql.Open("sqlite", f)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "update chunks set data = zeroblob(10)")
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	r = p.start(dir)
	body, err := r.client.Export(t.Context(), &history.ExportQuery{Format: history.CSV, From: p.now - 3_600_000, To: p.now + 1})
	if err == nil {
		_, err = io.ReadAll(body)
		require.NoError(t, body.Close())
	}
	require.Error(t, err)
	r.series(p, "d1", 30)
}

func TestBadQuestions(t *testing.T) {
	p := newPlant(t)
	r := p.start(t.TempDir())
	for _, q := range []history.Query{{}, {Devices: []string{"a b"}, From: 1, To: 2, Points: 2}, {Devices: []string{"d"}, From: 2, To: 1, Points: 2}} {
		_, err := r.client.Series(t.Context(), &q)
		require.Error(t, err)
		require.NotErrorIs(t, err, history.ErrUnavailable)
	}
	body, err := r.client.Export(t.Context(), &history.ExportQuery{Format: "xml", From: 1, To: 2})
	require.ErrorContains(t, err, "want one of csv, ndjson, parquet")
	require.Nil(t, body)
}

func TestCheckNamesTheVariable(t *testing.T) {
	good := Config{Mode: Embedded, DataDir: "d", Addr: "127.0.0.1:0", Flush: time.Minute}
	require.NoError(t, good.Check())
	for name, change := range map[string]func(c *Config){
		"HISTORY=": func(c *Config) { c.Mode = "on" }, "CORE_DATA_DIR": func(c *Config) { c.DataDir = "" }, "CORE_HISTORY_ADDR": func(c *Config) { c.Addr = "9106" },
		"HISTORY_RETENTION": func(c *Config) { c.Retention = 1 }, "HISTORY_FLUSH": func(c *Config) { c.Flush = 0 }, "HISTORY_MAX_BYTES": func(c *Config) { c.MaxBytes = -1 },
	} {
		c := good
		change(&c)
		require.ErrorContains(t, c.Check(), name)
	}
}
