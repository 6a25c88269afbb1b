package broker

import (
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

func TestPortInUseIsNamed(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	o := options(t)
	o.Addr = ln.Addr().String()
	_, err = New(o)
	require.ErrorContains(t, err, "EDGE_NATS_ADDR="+o.Addr)
}

func TestInvalidSettingsAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	tests := []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"address", func(o *Options) { o.Addr = "nowhere" }, "EDGE_NATS_ADDR=nowhere"},
		{"hub", func(o *Options) { o.HubURL = "here" }, "EDGE_HUB_URL=here"},
		{"hub that is no URL", func(o *Options) { o.HubURL = "://" }, "EDGE_HUB_URL=://"},
		{"buffer", func(o *Options) { o.BufferBytes = -1 }, "EDGE_BUFFER_BYTES=-1"},
		{"directory", func(o *Options) { o.Dir = filepath.Join(file, "below") }, "EDGE_DATA_DIR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t)
			tt.change(&o)
			_, err := New(o)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestDirectoryBelongsToOneGateway(t *testing.T) {
	o := options(t)
	b := start(t, o)
	_, err := New(o)
	require.ErrorContains(t, err, "another gateway is using it")
	b.Shutdown()
	b.Shutdown() // does nothing
	start(t, o)
}

func TestBufferFitsTheDisk(t *testing.T) {
	const mb = 1 << 20
	tests := []struct {
		name             string
		want, free, used int64
		limit            int64 // 0: an error
	}{
		{"plenty", 1000 * mb, 5000 * mb, 0, 1000 * mb},
		{"just enough", 1000 * mb, 1128 * mb, 0, 1000 * mb},
		{"what the buffer holds already counts", 1000 * mb, 200 * mb, 928 * mb, 1000 * mb},
		{"made smaller", 1000 * mb, 500 * mb, 0, 372 * mb},
		{"hopeless", 1000 * mb, 150 * mb, 0, 0},
		{"small on purpose", 2 * mb, 200 * mb, 0, 2 * mb},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limit, err := fit(tt.want, tt.free, tt.used)
			require.Equal(t, tt.limit, limit)
			require.Equal(t, tt.limit == 0, err != nil)
		})
	}
}

func TestHugeBufferIsLoweredToTheDisk(t *testing.T) {
	o := options(t)
	o.BufferBytes = 1 << 60
	b := start(t, o)
	free, err := diskFree(o.Dir)
	require.NoError(t, err)
	require.Less(t, b.BufferLimit(), free+1<<30)
}

// A device that heard the readings of another could answer first.
func TestDeviceNeitherHearsNorAnswersAnother(t *testing.T) {
	b := start(t, options(t))
	_, err := b.Devices().Subscribe(wire.TelemetrySubjects, func(m *nats.Msg) { _ = m.Respond([]byte("stored")) })
	require.NoError(t, err)
	require.NoError(t, b.Devices().Flush())
	violations := make(chan error, 100)
	forger, err := nats.Connect(b.Addr(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	require.NoError(t, err)
	defer forger.Close()
	var heard atomic.Int64
	for _, subject := range []string{wire.TelemetrySubjects, wire.TelemetrySubject("d1"), "devices.>", ">", "*.*.*", "packs.*", "$SYS.>", "$JS.>"} {
		_, err := forger.Subscribe(subject, func(m *nats.Msg) {
			heard.Add(1)
			_ = m.Respond([]byte("forged"))
		})
		require.NoError(t, err)
		require.ErrorIs(t, <-violations, nats.ErrPermissionViolation, subject)
	}
	device, err := nats.Connect(b.Addr())
	require.NoError(t, err)
	defer device.Close()
	for range 50 {
		m, err := device.Request(wire.TelemetrySubject("d1"), []byte("{}"), waitTimeout)
		require.NoError(t, err)
		require.Equal(t, "stored", string(m.Data))
	}
	// It answers without having heard the question, at an inbox that it guessed.
	inbox := device.NewInbox()
	answers, err := device.SubscribeSync(inbox)
	require.NoError(t, err)
	require.NoError(t, device.PublishRequest(wire.TelemetrySubject("d1"), inbox, []byte("{}")))
	require.NoError(t, forger.Publish(inbox, []byte("forged")))
	require.ErrorIs(t, <-violations, nats.ErrPermissionViolation)
	m, err := answers.NextMsg(waitTimeout)
	require.NoError(t, err)
	require.Equal(t, "stored", string(m.Data))
	require.Zero(t, heard.Load())
}

func TestDeviceCannotSubscribeWithoutEnd(t *testing.T) {
	b := start(t, options(t))
	failed := make(chan error, 10*maxSubscriptions)
	nc, err := nats.Connect(b.Addr(), nats.NoReconnect(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed <- err }))
	require.NoError(t, err)
	defer nc.Close()
	heard := make(chan *nats.Msg)
	for range maxSubscriptions + 10 {
		_, err := nc.ChanSubscribe(nc.NewInbox(), heard)
		require.NoError(t, err)
	}
	require.ErrorIs(t, <-failed, nats.ErrMaxSubscriptionsExceeded)
}

// Devices cannot reach the stream, its API or the hub.
func TestDevicesAreConfinedToTheirAccount(t *testing.T) {
	b := start(t, options(t))
	_, err := b.Stream().Put(t.Context(), pack(7, 1, 10))
	require.NoError(t, err)
	nc, err := nats.Connect(b.Addr())
	require.NoError(t, err)
	defer nc.Close()
	for _, open := range []func() (jetstream.JetStream, error){
		func() (jetstream.JetStream, error) { return jetstream.New(nc) },
		func() (jetstream.JetStream, error) { return jetstream.NewWithDomain(nc, wire.Domain("gw-a")) },
	} {
		js, err := open()
		require.NoError(t, err)
		_, err = js.Stream(t.Context(), wire.PackStream("gw-a"))
		require.Error(t, err)
	}
	_, err = nc.Request(wire.PackSubject("gw-a"), pack(7, 2, 10), waitTimeout)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	sub, err := nc.SubscribeSync(wire.StatusSubjects) // it is not even allowed to
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	require.NoError(t, b.PublishUplink(wire.StatusSubject("gw-a"), []byte("{}")))
	require.NoError(t, b.uplink.Flush())
	_, err = sub.NextMsg(50 * time.Millisecond)
	require.ErrorIs(t, err, nats.ErrTimeout)

	guess, err := nats.Connect(b.Addr(), nats.UserInfo(uplinkUser, "guess")) // a device of that name
	require.NoError(t, err)
	defer guess.Close()
	_, err = guess.Request(wire.PackSubject("gw-a"), pack(7, 2, 10), waitTimeout)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	require.False(t, b.HubConnected())
	require.False(t, b.HubWants(wire.StatusSubject("gw-a")))
}
