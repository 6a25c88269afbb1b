package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

// site is a plant's topics in a Kafka.
type site struct {
	t       *testing.T
	cluster kafka.Config
	names   topology.Topics
	specs   topology.Specs
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, cluster: kafka.Config{Cluster: kafka.At(kafkatest.Brokers(t)...)}, names: kafkatest.Topics(t)}
	s.specs = s.names.Specs()
	return s
}

// another is a plant with other topics in the same Kafka.
func (s *site) another() *site {
	o := *s
	o.names = kafkatest.Topics(s.t)
	o.specs = o.names.Specs()
	return &o
}

func (s *site) ctx() context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), waitTimeout)
	s.t.Cleanup(cancel)
	return ctx
}

func (s *site) create(topics ...kafka.Topic) {
	s.t.Helper()
	require.NoError(s.t, kafka.EnsureTopics(s.ctx(), slog.New(slog.DiscardHandler), s.cluster.Cluster, topics...))
}

func (s *site) chosen(list string) []place {
	s.t.Helper()
	places, err := choose(s.names, list)
	require.NoError(s.t, err)
	return places
}

// export returns the directory of a backup.
func (s *site) export(list string) string {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "backup")
	require.NoError(s.t, export(s.ctx(), s.cluster.Cluster, s.chosen(list), dir, io.Discard))
	return dir
}

func (s *site) load(dir, list string) (string, error) {
	var out bytes.Buffer
	i := importer{cluster: s.cluster, dir: dir, out: &out, log: slog.New(slog.DiscardHandler)}
	err := i.run(s.ctx(), s.chosen(list))
	return out.String(), err
}

// read returns the records of a topic without their offsets.
func (s *site) read(topic string, want int) []kafkatest.Record {
	s.t.Helper()
	records := kafkatest.ReadAll(s.t, s.cluster.Brokers, topic, want, waitTimeout)
	for i := range records {
		records[i].Offset = 0
		records[i].Timestamp = records[i].Timestamp.UTC()
	}
	return records
}

// transact writes records in a transaction and commits or aborts it.
func (s *site) transact(topic string, commit bool, keys ...string) {
	s.t.Helper()
	p, err := kafka.NewProducer(s.ctx(), slog.New(slog.DiscardHandler), s.cluster, "test", kafkatest.Name(s.t, "txn"))
	require.NoError(s.t, err)
	require.NoError(s.t, p.Begin())
	for _, k := range keys {
		require.NoError(s.t, p.SendTo(0, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(k), Value: sarama.StringEncoder("of " + k)}))
	}
	_, err = p.Acknowledged(topic)
	require.NoError(s.t, err)
	if commit {
		require.NoError(s.t, p.Commit())
	}
	require.NoError(s.t, p.Close())
}

// TestImportedTopicsHaveTheRecordsThatWereExported, with partitions, times, headers, empty and missing keys and values, and none of
// those that were never committed.
func TestImportedTopicsHaveTheRecordsThatWereExported(t *testing.T) {
	a := newSite(t)
	a.create(a.specs.Audit, a.specs.Access, a.specs.DeviceState)
	at := time.UnixMilli(1_600_000_000_123).UTC()
	for n := range int32(3) {
		kafkatest.Produce(t, a.cluster.Brokers, a.names.Audit, n,
			kafkatest.Record{Key: []byte("k"), Value: []byte("v"), Timestamp: at, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{0, 255}}, {Key: "h", Value: []byte("2")}}},
			kafkatest.Record{Value: []byte{}, Timestamp: at.Add(time.Duration(n) * time.Hour)},
			kafkatest.Record{Key: []byte{}, Timestamp: at.Add(-time.Hour)},
		)
	}
	a.transact(a.names.Audit, true, "committed")
	a.transact(a.names.Audit, false, "aborted", "aborted too")
	want := a.read(a.names.Audit, 10)
	require.Len(t, want, 10)

	b := a.another()
	dir := a.export("")
	said, err := b.load(dir, "")
	require.NoError(t, err)
	require.Contains(t, said, b.names.Audit+": 10 records, 0 of them were there")
	require.Contains(t, said, "alarm-rules: not in the backup, skipped")
	require.Equal(t, want, b.read(b.names.Audit, 10))

	said, err = b.load(dir, "")
	require.NoError(t, err)
	require.Contains(t, said, b.names.Audit+": 10 records, 10 of them were there")
	require.Equal(t, want, b.read(b.names.Audit, 10), "the same import again writes nothing")
}

func TestOfACompactedTopicTheNewestOfEachKeyIsExportedInOrder(t *testing.T) {
	a := newSite(t)
	a.create(a.specs.Rules)
	add := func(key string, value []byte) {
		kafkatest.Produce(t, a.cluster.Brokers, a.names.Rules, 0, kafkatest.Record{Key: []byte(key), Value: value})
	}
	add("one", []byte("old"))
	add("two", []byte("2"))
	add("gone", []byte("x"))
	add("one", []byte("new"))
	add("gone", nil)
	add("\x00fence", []byte("of a restore"))
	b := a.another()
	_, err := b.load(a.export("alarm-rules"), "alarm-rules")
	require.NoError(t, err)
	got := b.read(b.names.Rules, 2)
	require.Len(t, got, 2)
	require.Equal(t, []string{"two", "one"}, []string{string(got[0].Key), string(got[1].Key)})
	require.Equal(t, "new", string(got[1].Value))
}

// TestAnImportThatWasStoppedGoesOnWhereItStopped whatever it had written.
func TestAnImportThatWasStoppedGoesOnWhereItStopped(t *testing.T) {
	a := newSite(t)
	a.create(a.specs.Audit)
	var records []kafkatest.Record
	for i := range 1200 { // several requests
		records = append(records, kafkatest.Record{Key: fmt.Append(nil, i), Value: bytes.Repeat([]byte{byte(i)}, 1000), Timestamp: time.UnixMilli(int64(1_700_000_000_000 + i))})
	}
	kafkatest.Produce(t, a.cluster.Brokers, a.names.Audit, -1, records...)
	want := a.read(a.names.Audit, len(records))
	dir := a.export("alarm-audit")
	for _, stopped := range []int{0, 1, 700, 1199, 1200} {
		b := a.another()
		b.create(b.specs.Audit)
		for n := range int32(3) {
			var part []kafkatest.Record
			for _, r := range want[:stopped] {
				if r.Partition == n {
					part = append(part, r)
				}
			}
			kafkatest.Produce(t, b.cluster.Brokers, b.names.Audit, n, part...)
		}
		said, err := b.load(dir, "alarm-audit")
		require.NoError(t, err)
		require.Contains(t, said, fmt.Sprintf("1200 records, %d of them were there", stopped))
		require.Equal(t, want, b.read(b.names.Audit, len(want)), "stopped after %d", stopped)
	}
}

// TestATopicWithOtherRecordsIsRefusedBeforeAnythingIsWritten, also into the other topics.
func TestATopicWithOtherRecordsIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	a := newSite(t)
	a.create(a.specs.Access, a.specs.Audit)
	kafkatest.Produce(t, a.cluster.Brokers, a.names.Access, 0, kafkatest.Record{Key: []byte("gateway"), Value: []byte("1")})
	kafkatest.Produce(t, a.cluster.Brokers, a.names.Audit, 0, kafkatest.Record{Value: []byte("first"), Timestamp: time.UnixMilli(1)})
	dir := a.export("")
	for name, other := range map[string][]kafkatest.Record{
		"another record":   {{Value: []byte("other"), Timestamp: time.UnixMilli(1)}},
		"a further record": {{Value: []byte("first"), Timestamp: time.UnixMilli(1)}, {Value: []byte("second")}},
		"another time":     {{Value: []byte("first"), Timestamp: time.UnixMilli(2)}},
	} {
		t.Run(name, func(t *testing.T) {
			b := a.another()
			b.t = t
			b.create(b.specs.Audit)
			kafkatest.Produce(t, b.cluster.Brokers, b.names.Audit, 0, other...)
			_, err := b.load(dir, "")
			require.ErrorIs(t, err, ErrForeign)
			require.ErrorContains(t, err, b.names.Audit+"/0 at offset ")
			require.ErrorContains(t, err, "remove the topic")
			require.Len(t, b.read(b.names.Audit, len(other)), len(other))
			require.Empty(t, b.read(b.names.Access, 0))
		})
	}
}

func TestAnotherNumberOfPartitionsIsRefused(t *testing.T) {
	a := newSite(t)
	a.create(a.specs.DeviceMeta)
	kafkatest.Produce(t, a.cluster.Brokers, a.names.DeviceMeta, -1, kafkatest.Record{Key: []byte("d"), Value: []byte("{}")})
	dir := a.export("device-meta")
	b := a.another()
	data := b.specs.DeviceData
	data.Partitions = 4
	b.create(data)
	_, err := b.load(dir, "device-meta")
	require.ErrorContains(t, err, "topic "+b.names.DeviceData+" has 4 partitions, and device-meta was exported from 10: create "+b.names.DeviceData+" with 10 partitions")
	require.NotErrorIs(t, err, ErrForeign)
}

// lines returns the text of a file.
func lines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	r, err := zstd.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return slices.Collect(strings.Lines(string(text)))
}

func rewrite(t *testing.T, name string, lines ...string) {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, w.EncodeAll([]byte(strings.Join(lines, "")), nil), 0o600))
}

// TestAFileThatIsNotWholeIsRefusedBeforeAnythingIsWritten says what is wrong with it.
func TestAFileThatIsNotWholeIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	a := newSite(t)
	a.create(a.specs.Access, a.specs.Security)
	kafkatest.Produce(t, a.cluster.Brokers, a.names.Access, 0, kafkatest.Record{Key: []byte("a"), Value: []byte("1")}, kafkatest.Record{Key: []byte("b"), Value: []byte("2")})
	kafkatest.Produce(t, a.cluster.Brokers, a.names.Security, 0, kafkatest.Record{Value: []byte("s")})
	for name, tt := range map[string]struct {
		damage func(t *testing.T, file string, text []string)
		want   string
	}{
		"cut": {func(t *testing.T, file string, _ []string) {
			t.Helper()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, data[:len(data)-20], 0o600))
		}, "not complete"},
		"without its end":  {func(t *testing.T, file string, s []string) { t.Helper(); rewrite(t, file, s[:3]...) }, "not complete"},
		"without a record": {func(t *testing.T, file string, s []string) { t.Helper(); rewrite(t, file, s[0], s[2], s[3]) }, "was changed"},
		"changed":          {func(t *testing.T, file string, s []string) { t.Helper(); rewrite(t, file, s[0], s[2], s[1], s[3]) }, "was changed"},
		"with more": {func(t *testing.T, file string, s []string) {
			t.Helper()
			rewrite(t, file, s[0], s[1], s[2], s[3], s[1])
		}, "was changed"},
		"of a newer release": {func(t *testing.T, file string, s []string) {
			t.Helper()
			rewrite(t, file, strings.Replace(s[0], `"version":1`, `"version":2`, 1), s[1], s[2], s[3])
		}, "version 2 of the file is unknown: import it with the release that wrote it; this one reads version 1"},
		"of another topic": {func(t *testing.T, file string, _ []string) {
			t.Helper()
			require.NoError(t, os.Rename(filepath.Join(filepath.Dir(file), fileName("security-audit")), file))
		}, "it has that of security-audit"},
		"something else": {func(t *testing.T, file string, _ []string) {
			t.Helper()
			require.NoError(t, os.WriteFile(file, binary.BigEndian.AppendUint64(nil, 7), 0o600))
		}, "none of core topics export"},
		"empty": {func(t *testing.T, file string, _ []string) {
			t.Helper()
			require.NoError(t, os.WriteFile(file, nil, 0o600))
		}, "none of core topics export"},
	} {
		t.Run(name, func(t *testing.T) {
			s := *a
			s.t = t
			dir := s.export("")
			file := filepath.Join(dir, fileName("access"))
			tt.damage(t, file, lines(t, file))
			b := s.another()
			_, err := b.load(dir, "")
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, file)
			require.ErrorContains(t, check(dir, b.chosen(""), io.Discard), tt.want)
			missing, err := kafka.Missing(b.ctx(), b.cluster.Cluster, b.specs.All()...)
			require.NoError(t, err)
			require.Len(t, missing, len(b.specs.All()), "not even created")
		})
	}
}

func TestABackupIsWholeOrNotThere(t *testing.T) {
	a := newSite(t)
	dir := filepath.Join(t.TempDir(), "backup")
	require.ErrorIs(t, export(a.ctx(), a.cluster.Cluster, a.chosen(""), dir, io.Discard), errNoTopics)
	a.create(a.specs.Access)
	ctx, cancel := context.WithCancel(a.ctx())
	cancel()
	require.Error(t, export(ctx, a.cluster.Cluster, a.chosen(""), dir, io.Discard))
	_, err := os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.MkdirAll(filepath.Join(dir+".part", "left by one that was killed"), 0o700))
	require.NoError(t, export(a.ctx(), a.cluster.Cluster, a.chosen(""), dir, io.Discard))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := files[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode(), "it says who may connect")
	require.ErrorContains(t, export(a.ctx(), a.cluster.Cluster, a.chosen(""), dir, io.Discard), "want a new directory for each backup")
	require.NoError(t, check(dir, a.chosen(""), io.Discard))
}

// TestEveryTopicIsInABackupOrForAReason: a new topic needs a decision.
func TestEveryTopicIsInABackupOrForAReason(t *testing.T) {
	left := map[string]string{
		"device-data":     "readings: the history has them, a mirror copies them",
		"device-data-dlq": "refused readings: a mirror copies them",
		"alarm-commands":  "answered within seconds",
		"detect-state":    "its states name offsets of device-data; learned again",
	}
	usual := topology.Suffixed("")
	specs := usual.Specs()
	places := places(usual)
	for _, s := range specs.All() {
		in := slices.ContainsFunc(places, func(p place) bool { return p.role == s.Name && p.spec.Name == s.Name })
		require.NotEqual(t, in, left[s.Name] != "", s.Name)
	}
	require.Len(t, specs.All(), len(places)+len(left))
}

func TestWrongCommandLinesSayWhatIsRight(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	for line, want := range map[string]string{
		"":                               "usage: core topics export",
		"export":                         "-dir: want a directory",
		"move -dir x":                    "usage: core topics export",
		"export -dir x more":             `unexpected argument "more"`,
		"export -dir x -topics readings": `"readings" is in no backup: want some of access,`,
		"check -dir x":                   "",
	} {
		var out, errs bytes.Buffer
		code := Command(t.Context(), strings.Fields(line), &out, &errs)
		if want == "" {
			require.Equal(t, 1, code, line)
			want = "none of the topics has a file there"
		} else {
			require.Equal(t, 2, code, line)
		}
		require.Contains(t, errs.String(), want, line)
	}
}
