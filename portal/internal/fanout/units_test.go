package fanout

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"
)

func TestQueueHoldsEachNumberOnceAndInOrder(t *testing.T) {
	var q queue
	require.True(t, q.push(3, false))
	require.True(t, q.push(200, true))
	require.False(t, q.push(3, false))
	require.Equal(t, 2, q.length())
	i, snapshot, ok := q.pop()
	require.Equal(t, 3, i)
	require.False(t, snapshot)
	require.True(t, ok)
	require.True(t, q.push(3, false), "what was taken may be queued again")
	i, snapshot, _ = q.pop()
	require.Equal(t, 200, i)
	require.True(t, snapshot)
	i, _, _ = q.pop()
	require.Equal(t, 3, i)
	_, _, ok = q.pop()
	require.False(t, ok)
}

func TestQueueStaysAsSmallAsWhatIsInIt(t *testing.T) {
	var q queue
	for i := range 100 {
		q.push(i, false)
	}
	for i := range 10_000 {
		got, _, ok := q.pop()
		require.True(t, ok)
		require.Equal(t, i%100, got)
		q.push(i%100, false)
	}
	require.LessOrEqual(t, cap(q.fifo), 512)
}

func TestQueueKeep(t *testing.T) {
	var q queue
	for i := range 10 {
		q.push(i, false)
	}
	q.pop()
	q.keep(func(i int) bool { return i%2 == 0 })
	require.Equal(t, 4, q.length())
	require.True(t, q.push(3, false))
	require.False(t, q.push(4, false))
}

func TestFrameEndFindsTheFrameThatWasCut(t *testing.T) {
	var batch []byte
	ends := []int{0}
	for _, n := range []int{0, 10, 125, 126, 5000, 65535, 65536, 70000} {
		batch = appendMessage(batch, "", bytes.Repeat([]byte("x"), n))
		ends = append(ends, len(batch))
	}
	batch = appendClose(batch, CloseSlow, "why")
	ends = append(ends, len(batch))
	for at := 0; at <= len(batch); at++ {
		want := 0
		for _, e := range ends {
			if want = e; e >= at {
				break
			}
		}
		if got := frameEnd(batch, at); got != want {
			require.Equal(t, want, got, "cut at %d", at)
		}
	}
}

func TestControlFramesKeepTheirLimit(t *testing.T) {
	f := appendClose(nil, CloseSlow, strings.Repeat("x", 500))
	require.Len(t, f, 2+maxControl)
	require.Equal(t, []byte{opClose, 0}, appendClose(nil, closeNoCodeGiven, ""))
}

// payload returns what a text frame of up to 64 KiB holds.
func payload(frame []byte) []byte {
	if frame[1] == 126 { // the length is in the next two bytes
		return frame[4:]
	}
	return frame[2:]
}

func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{
		`{"type":"subscribe","device_ids":["device_001"]}`, `{"type":"subscribe_all"}`, `{"type":"unsubscribe","device_ids":[]}`,
		`{"type":"unsubscribe"}`, `{"type":1}`, `[]`, `null`, `{"TYPE":"subscribe","device_ids":null}`, "\xff", `{"type":"\ud800"}`, "&0000000000",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRequest(data)
		if err != nil {
			var bad *refusal
			require.ErrorAs(t, err, &bad)
			frame := errorMessage(bad.code, bad.message)
			var m message
			require.NoError(t, json.Unmarshal(payload(frame), &m))
			require.Equal(t, "error", m.Type)
			return
		}
		require.Contains(t, []string{typeSubscribe, typeSubscribeAll, typeUnsubscribe, typeAlarmCommand}, r.Type)
		if r.Type == typeSubscribe {
			require.NotNil(t, r.DeviceIDs)
		}
		if r.DeviceIDs != nil && r.Type != typeSubscribeAll && r.Type != typeAlarmCommand {
			for _, id := range *r.DeviceIDs {
				require.Regexp(t, `^[A-Za-z0-9_-]{1,64}$`, id)
			}
		}
	})
}

func TestErrorMessageIsOneTextFrame(t *testing.T) {
	f := errorMessage("bad_json", "\"<x>\"\n\xff")
	require.Equal(t, byte(opText), f[0])
	var m message
	require.NoError(t, json.Unmarshal(payload(f), &m))
	require.Equal(t, websocket.TextMessage, int(f[0]&0x0f))
}

func TestPausesGrowWithTheClientsAndWithTheLag(t *testing.T) {
	p := newPacer()
	require.Zero(t, p.pause(0))
	require.Zero(t, p.pause(10))
	require.Equal(t, 5*time.Millisecond, p.pause(100))
	require.Equal(t, calmPause, p.pause(5000))

	f := 1.0
	for range 100 {
		f = nextFactor(f, 50*time.Millisecond)
	}
	require.InDelta(t, factorMax, f, 0)
	p.factor.Store(math.Float64bits(f))
	require.Equal(t, 5*time.Millisecond, p.pause(1), "a single client is hardly slowed down")
	require.Equal(t, maxPause, p.pause(1000))
	require.InDelta(t, f, nextFactor(f, 5*time.Millisecond), 0)
	for range 100 {
		f = nextFactor(f, 0)
	}
	require.InDelta(t, 1, f, 0)
}
