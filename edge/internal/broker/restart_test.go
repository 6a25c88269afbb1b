package broker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

// After a restart, port, stream, sequences and internal connections are as before, and
// devices reconnect.
func TestRestartRevivesADeadStream(t *testing.T) {
	b := start(t, options(t))
	for c := range uint64(3) {
		_, err := b.Stream().Put(t.Context(), pack(7, c+1, 100))
		require.NoError(t, err)
	}
	addr := b.Addr()
	heard := make(chan string, 10)
	_, err := b.Devices().Subscribe(wire.TelemetrySubjects, func(m *nats.Msg) { heard <- string(m.Data) })
	require.NoError(t, err)
	device, err := nats.Connect(addr, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	defer device.Close()

	require.NoError(t, b.srv.Load().DisableJetStream())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = b.Stream().Put(ctx, pack(7, 4, 100))
	require.Error(t, err)
	require.NoError(t, b.Restart(t.Context(), true))
	require.Equal(t, addr, b.Addr())
	_, stored, err := b.Stream().Settle(t.Context(), 7, 4)
	require.NoError(t, err)
	require.False(t, stored)
	seq, err := b.Stream().Put(t.Context(), pack(7, 4, 100))
	require.NoError(t, err)
	require.EqualValues(t, 4, seq)

	require.Eventually(t, func() bool {
		_ = device.Publish(wire.TelemetrySubject("device_001"), []byte("hello"))
		select {
		case got := <-heard:
			return got == "hello"
		case <-time.After(50 * time.Millisecond):
			return false
		}
	}, waitTimeout, time.Millisecond)

	b.Shutdown()
	require.ErrorIs(t, b.Restart(t.Context(), false), ErrStopped)
}

// After a write error the server refuses everything with the code of a full store.
func TestStoreWithAWriteErrorIsNotReportedFull(t *testing.T) {
	s := start(t, options(t)).Stream()
	require.False(t, s.isFull(t.Context(), 1000))
	require.True(t, s.isFull(t.Context(), 64<<20))
}

func TestTryDiskFailsWithoutWrites(t *testing.T) {
	b := start(t, options(t))
	_, err := b.TryDisk()
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(b.dir, "try-*"))
	require.NoError(t, err)
	require.Empty(t, left)
	b.dir = filepath.Join(b.dir, "not there")
	_, err = b.TryDisk()
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestInstanceIsKeptAndReplacedIfUnreadable(t *testing.T) {
	o := options(t)
	b := start(t, o)
	first := b.Instance()
	require.Len(t, first, 16)
	b.Shutdown()
	b = start(t, o)
	require.Equal(t, first, b.Instance())
	b.Shutdown()
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "instance"), make([]byte, 17), 0o600))
	b = start(t, o)
	require.Len(t, b.Instance(), 16)
	require.NotEqual(t, first, b.Instance())
	require.NotEqual(t, b.Instance(), start(t, options(t)).Instance())
}

func TestHubUserDefaultsToTheGateway(t *testing.T) {
	b := start(t, options(t))
	b.o.HubURL = "nats-leaf://hub:7422"
	u, err := b.hubURL()
	require.NoError(t, err)
	require.Equal(t, "nats-leaf://gw-a:"+b.Instance()+"@hub:7422", u.String())
	b.o.HubURL = "nats-leaf://somebody:secret@hub:7422"
	u, err = b.hubURL()
	require.NoError(t, err)
	require.Equal(t, b.o.HubURL, u.String())
}

// The previous epoch ends with an empty pack that holds its totals.
func TestPreviousEpochIsEnded(t *testing.T) {
	o := options(t)
	b := start(t, o)
	for c := range uint64(3) {
		_, err := b.Stream().Put(t.Context(), pack(7, c+1, 100))
		require.NoError(t, err)
	}
	for range 2 { // once is enough
		b.Shutdown()
		b = start(t, o)
		msg, err := b.Stream().str.GetMsg(t.Context(), 4)
		require.NoError(t, err)
		totals, h, err := wire.TotalsAfter(msg.Data)
		require.NoError(t, err)
		require.Equal(t, wire.PackHeader{Epoch: 7, Counter: 4, Before: wire.PackTotals{Readings: 1}}, h, "the packs of this test tell no totals, so only the last one counts")
		require.Equal(t, h.Before, totals)
		state, err := b.Stream().Info(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 4, state.LastSeq)
	}
}

func TestDamageIsFoundAtTheStart(t *testing.T) {
	o := options(t)
	b := start(t, o)
	for c := range uint64(10) {
		seq, err := b.Stream().Put(t.Context(), pack(7, c+1, 1000))
		require.NoError(t, err)
		b.Mark(7, c+1, seq, wire.PackTotals{Readings: c + 1})
	}
	b.Shutdown()
	name := filepath.Join(storeDir(o.Dir), accountUplink, "streams", "PACKS_gw-a", "msgs", "1.blk")
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	data[len(data)/2+300] ^= 1
	require.NoError(t, os.WriteFile(name, data, 0o600))
	b = start(t, o)
	r := b.Salvaged()
	require.NotZero(t, r.Salvaged)
	require.NotZero(t, r.DamagedBytes)
	lost := 0
	for seq := uint64(1); seq <= 10; seq++ {
		if _, err := b.Stream().str.GetMsg(t.Context(), seq); errors.Is(err, jetstream.ErrMsgNotFound) {
			lost++
		} else {
			require.NoError(t, err)
		}
	}
	require.Equal(t, 1, lost)
}
