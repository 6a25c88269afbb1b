package salvage

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	waitTimeout = 180 * time.Second
	stream      = "PACKS_gw-a"
	subject     = "packs.gw-a"
	perPack     = 3 // readings
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// pack returns pack counter of an epoch in which every pack holds perPack readings.
func pack(epoch, counter uint64, size int) []byte {
	var b wire.PackBuilder
	b.Reset(epoch, counter)
	b.Follow(wire.PackTotals{Readings: perPack * (counter - 1), Refused: counter - 1})
	for i := range perPack {
		b.Add(wire.PackEntry{Device: "device_001", Received: 1_700_000_000_000 + int64(counter), Payload: make([]byte, size+i)})
	}
	b.Add(wire.PackEntry{Device: "x", Payload: []byte("{"), Refusal: &telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON, Message: "bad"}})
	return b.Finish()
}

// store is a directory with a server's files.
type store struct {
	dir  string
	mark Mark
}

func newStore(tb testing.TB) *store {
	tb.Helper()
	return &store{dir: tb.TempDir()}
}

// copy returns a copy of the files with their modification times.
func (s *store) copy(tb testing.TB) *store {
	tb.Helper()
	to := newStore(tb)
	to.mark = s.mark
	require.NoError(tb, os.CopyFS(to.dir, os.DirFS(s.dir)))
	require.NoError(tb, filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(s.dir, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chtimes(filepath.Join(to.dir, rel), info.ModTime(), info.ModTime())
	}))
	return to
}

func (s *store) streamDir() string {
	return filepath.Join(s.dir, "jetstream", "$G", "streams", stream)
}
func (s *store) msgs(name string) string { return filepath.Join(s.streamDir(), "msgs", name) }
func (s *store) markFile() string        { return filepath.Join(s.dir, "mark") }

// serve runs a server on the files while use uses its stream.
func (s *store) serve(tb testing.TB, use func(js jetstream.JetStream, str jetstream.Stream)) {
	tb.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "gw-a", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: s.dir, SyncAlways: true,
	})
	require.NoError(tb, err)
	srv.Start()
	defer func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	require.True(tb, srv.ReadyForConnections(waitTimeout))
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	require.NoError(tb, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(tb, err)
	str, err := js.CreateOrUpdateStream(tb.Context(), jetstream.StreamConfig{
		Name: stream, Subjects: []string{subject}, Discard: jetstream.DiscardNew, MaxBytes: 24 << 20, AllowDirect: true,
	})
	require.NoError(tb, err)
	use(js, str)
}

// put stores packs as the gateway does.
func (s *store) put(tb testing.TB, js jetstream.JetStream, epoch uint64, from, to uint64, size int) {
	tb.Helper()
	for counter := from; counter <= to; counter++ {
		str, err := js.Stream(tb.Context(), stream)
		require.NoError(tb, err)
		ack, err := js.Publish(tb.Context(), subject, pack(epoch, counter, size), jetstream.WithExpectLastSequence(str.CachedInfo().State.LastSeq))
		require.NoError(tb, err)
		s.setMark(tb, Mark{Epoch: epoch, Counter: counter, Seq: ack.Sequence, Totals: wire.PackTotals{Readings: perPack * counter, Refused: counter}})
	}
}

// end stores the empty pack with which a gateway ends the previous epoch.
func (s *store) end(tb testing.TB, js jetstream.JetStream) {
	tb.Helper()
	var b wire.PackBuilder
	b.Reset(s.mark.Epoch, s.mark.Counter+1)
	b.Follow(s.mark.Totals)
	_, err := js.Publish(tb.Context(), subject, b.Finish())
	require.NoError(tb, err)
}

func (s *store) setMark(tb testing.TB, mark Mark) {
	tb.Helper()
	m, err := OpenMarker(s.markFile())
	require.NoError(tb, err)
	require.NoError(tb, m.Write(mark))
	require.NoError(tb, m.Close())
	require.NoError(tb, m.Close())
	s.mark = mark
}

func (s *store) salvage(tb testing.TB) Report {
	tb.Helper()
	r, err := Run(Options{
		Dir: s.streamDir(), Stream: stream, Subject: subject, Aside: filepath.Join(s.dir, "damaged"), Mark: s.markFile(), Log: discard(),
	})
	require.NoError(tb, err)
	for _, name := range r.SetAside {
		_, err := os.Stat(name)
		require.NoError(tb, err, "damaged files are kept")
	}
	return r
}

// held returns every pack in the stream as epoch:counter, by sequence.
func held(tb testing.TB, str jetstream.Stream) map[uint64]string {
	tb.Helper()
	info, err := str.Info(tb.Context())
	require.NoError(tb, err)
	out := map[uint64]string{}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		msg, err := str.GetMsg(tb.Context(), seq)
		if err != nil {
			require.ErrorIs(tb, err, jetstream.ErrMsgNotFound)
			continue
		}
		p, err := wire.OpenPack(msg.Data)
		require.NoError(tb, err)
		out[seq] = fmt.Sprintf("%x:%d", p.Header.Epoch, p.Header.Counter)
	}
	return out
}
