package lane

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/hub"
)

const requests = "requests"

// played is a prefetcher with the test in place of the gateway's server.
type played struct {
	t        *testing.T
	flow     *prefetcher
	nc       *nats.Conn
	requests *nats.Subscription
	inbox    string // of the last request
}

func play(t *testing.T) *played {
	t.Helper()
	h, err := hub.New(hub.Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(h.Shutdown)
	p := &played{t: t}
	p.nc, err = nats.Connect(h.URL())
	require.NoError(t, err)
	t.Cleanup(p.nc.Close)
	p.flow, err = newPrefetcher(newInboxes(p.nc), "S", "C", requests)
	require.NoError(t, err)
	t.Cleanup(p.flow.stop)
	return p
}

func (p *played) serve() *played {
	p.t.Helper()
	var err error
	p.requests, err = p.nc.SubscribeSync(requests)
	require.NoError(p.t, err)
	require.NoError(p.t, p.nc.Flush())
	return p
}

// request returns the next request.
func (p *played) request() pullRequest {
	p.t.Helper()
	msg, err := p.requests.NextMsg(30 * time.Second)
	require.NoError(p.t, err)
	p.inbox = msg.Reply
	var r pullRequest
	require.NoError(p.t, json.Unmarshal(msg.Data, &r))
	return r
}

func (p *played) send(packs int) {
	p.t.Helper()
	for range packs {
		require.NoError(p.t, p.nc.Publish(p.inbox, []byte("pack")))
	}
}

func (p *played) say(status, text, messages, bytes string) {
	p.t.Helper()
	m := nats.NewMsg(p.inbox)
	m.Header.Set("Status", status)
	m.Header.Set("Description", text)
	if messages != "" {
		m.Header.Set("Nats-Pending-Messages", messages)
		m.Header.Set("Nats-Pending-Bytes", bytes)
	}
	require.NoError(p.t, p.nc.PublishMsg(m))
}

func (p *played) receive(packs int, w window) {
	p.t.Helper()
	for range packs {
		_, err := p.flow.next(p.t.Context(), w)
		require.NoError(p.t, err)
	}
}

// idle requires that no request was sent since.
func (p *played) idle() {
	p.t.Helper()
	require.NoError(p.t, p.nc.Flush())
	n, _, err := p.requests.Pending()
	require.NoError(p.t, err)
	require.Zero(p.t, n)
}

// blink waits for a moment in which no pack arrives.
func (p *played) blink(w window) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Millisecond)
	defer cancel()
	_, err := p.flow.next(ctx, w)
	require.ErrorIs(p.t, err, context.DeadlineExceeded)
}

var ample = window{packs: 10, bytes: 2 << 20, heartbeat: 30 * time.Second}

func TestNextPacksAreRequestedEarly(t *testing.T) {
	p := play(t).serve()
	p.blink(ample)
	require.Equal(t, pullRequest{Expires: pullExpiry, Batch: 10, MaxBytes: ample.bytes, Heartbeat: ample.heartbeat}, p.request())
	p.send(5)
	p.receive(4, ample)
	p.idle()
	p.receive(1, ample)
	p.blink(ample)
	require.Equal(t, 5, p.request().Batch, "with the pending ones, a window")
	p.send(5)
	p.receive(5, window{packs: 40, bytes: 1, heartbeat: ample.heartbeat})
	require.Equal(t, pullRequest{Expires: pullExpiry, Batch: 30, MaxBytes: minBytes, Heartbeat: ample.heartbeat}, p.request(), "a larger window counts at once")
}

func TestUndeliveredPacksAreRequestedAgain(t *testing.T) {
	p := play(t).serve()
	p.blink(ample)
	require.Equal(t, 10, p.request().Batch)
	p.send(3)
	p.receive(3, ample)
	p.say("100", "Idle Heartbeat", "", "")
	p.say("408", "Request Timeout", "7", "5000")
	require.NoError(t, p.nc.Flush())
	p.blink(ample)
	require.Eventually(t, func() bool { p.blink(ample); n, _, _ := p.requests.Pending(); return n > 0 }, 180*time.Second, time.Millisecond)
	require.Equal(t, 10, p.request().Batch)
}

func TestRequestGrowsUntilALargePackFits(t *testing.T) {
	p := play(t).serve()
	w := window{packs: 10, bytes: 1, heartbeat: ample.heartbeat}
	for want := minBytes; want <= 8<<20; want *= 2 {
		p.blink(w)
		r := p.request()
		require.Equal(t, want, r.MaxBytes)
		p.say("409", "Message Size Exceeds MaxBytes", "10", jsonNumber(t, r.MaxBytes))
		require.Eventually(t, func() bool { p.blink(w); n, _, _ := p.requests.Pending(); return n > 0 }, 180*time.Second, time.Millisecond)
	}
	require.Equal(t, hub.MaxPayload+envelope, p.request().MaxBytes, "the largest message there can be")
	p.say("409", "Message Size Exceeds MaxBytes", "9", "100")
	require.Eventually(t, func() bool { p.blink(w); n, _, _ := p.requests.Pending(); return n > 0 }, 180*time.Second, time.Millisecond)
	require.Equal(t, hub.MaxPayload+envelope, p.request().MaxBytes, "some had come")
}

func TestRequestDoesNotGrowBecauseItExpired(t *testing.T) {
	p := play(t).serve()
	w := window{packs: 10, bytes: 1, heartbeat: ample.heartbeat}
	p.blink(w)
	r := p.request()
	p.say("408", "Request Timeout", "10", jsonNumber(t, r.MaxBytes))
	require.Eventually(t, func() bool { p.blink(w); n, _, _ := p.requests.Pending(); return n > 0 }, 180*time.Second, time.Millisecond)
	require.Equal(t, r.MaxBytes, p.request().MaxBytes)
}

func jsonNumber(t *testing.T, n int) string {
	t.Helper()
	b, err := json.Marshal(n)
	require.NoError(t, err)
	return string(b)
}

func TestPrefetcherEndsWhenTheServerIsGone(t *testing.T) {
	p := play(t)
	_, err := p.flow.next(t.Context(), ample)
	require.ErrorIs(t, err, errEnded, "no server answers")
	require.ErrorContains(t, err, "503")

	for _, end := range []struct{ status, text, messages string }{
		{"409", "Consumer Deleted", ""}, {"409", "Server Shutdown", "10"}, {"400", "Bad Request", ""},
	} {
		p := play(t).serve()
		p.blink(ample)
		p.request()
		p.say(end.status, end.text, end.messages, "1")
		_, err := p.flow.next(t.Context(), ample)
		require.ErrorIs(t, err, errEnded, end.text)
	}

	p = play(t).serve()
	_, err = p.flow.next(t.Context(), window{packs: 1, bytes: 1, heartbeat: 5 * time.Millisecond})
	require.ErrorIs(t, err, jetstream.ErrNoHeartbeat)
}

// A status message has headers and no payload. Any other message is a pack, also an empty
// one, which is unreadable and counted as such.
func TestEveryMessageButAStatusIsAPack(t *testing.T) {
	p := play(t).serve()
	p.blink(ample)
	p.request()
	for _, payload := range []string{"pack", ""} {
		require.NoError(t, p.nc.Publish(p.inbox, []byte(payload)))
		msg, err := p.flow.next(t.Context(), ample)
		require.NoError(t, err)
		require.Equal(t, payload, string(msg.Data))
	}
	m := nats.NewMsg(p.inbox)
	m.Header.Set("X", "y")
	m.Data = []byte("p")
	require.NoError(t, p.nc.PublishMsg(m))
	p.receive(1, ample)
}

func TestSessionEndsAfterTwoMissedHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window{packs: 1, heartbeat: time.Second}
		f := &prefetcher{msgs: make(chan *nats.Msg), silence: time.NewTimer(time.Hour), pending: 1} // nothing to request
		start := time.Now()
		_, err := f.next(t.Context(), w)
		require.ErrorIs(t, err, jetstream.ErrNoHeartbeat)
		require.Equal(t, 2*time.Second, time.Since(start))

		start = time.Now()
		time.AfterFunc(1500*time.Millisecond, func() { f.msgs <- &nats.Msg{Header: nats.Header{"Status": {"100"}}} })
		_, err = f.next(t.Context(), w)
		require.ErrorIs(t, err, jetstream.ErrNoHeartbeat)
		require.Equal(t, 3500*time.Millisecond, time.Since(start), "a heartbeat starts the wait again")
	})
}

func TestPrefetcherFailsWithoutAConnection(t *testing.T) {
	p := play(t)
	p.nc.Close()
	_, err := p.flow.next(t.Context(), ample)
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
	_, err = newPrefetcher(newInboxes(p.nc), "S", "C", requests)
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
}
