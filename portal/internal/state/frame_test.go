package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func openFrame(tb testing.TB, entries ...wire.FrameEntry) *wire.Frame {
	tb.Helper()
	var b wire.FrameBuilder
	b.Reset("gw-a")
	for _, e := range entries {
		b.Add(e)
	}
	f, err := wire.OpenFrame(bytes.Clone(b.Finish()))
	require.NoError(tb, err)
	return f
}

// sized returns a reading of exactly so many bytes.
func sized(id string, size int) []byte {
	head := payload(id, t0, "A栋")
	head = append(head[:len(head)-1], `,"pad":"`...)
	return append(append(head, bytes.Repeat([]byte("x"), size-len(head)-2)...), `"}`...)
}

func TestForgedEntryIsRefusedAndTheOthersAreShown(t *testing.T) {
	good := payload("d", t0, "A栋")
	for _, c := range []struct {
		name, device string
		payload      []byte
		ok           bool
	}{
		{"as core sends it", "d", good, true},
		{"not JSON", "d", []byte("boom"), false},
		{"empty", "d", nil, false},
		{"half", "d", good[:len(good)-1], false},
		{"two values", "d", append(bytes.Clone(good), good...), false},
		{"no object", "d", []byte(`["d"]`), false},
		{"null", "d", []byte(`null`), false},
		{"not UTF-8", "d", bytes.Replace(good, []byte("301"), []byte{0xff}, 1), false},
		{"no device_id", "d", []byte(`{"timestamp":1640995200000}`), false},
		{"device_id no text", "d", []byte(`{"device_id":5}`), false},
		{"another device", "d", payload("e", t0, "A栋"), false},
		{"id with a slash", "a/b", payload("a/b", t0, "A栋"), false},
		{"id too long", strings.Repeat("d", 65), payload(strings.Repeat("d", 65), t0, "A栋"), false},
		{"no id", "", payload("", t0, "A栋"), false},
		{"accepted by a newer core", "d", []byte(`{"device_id":"d","timestamp":"2026"}`), true},
		{"as long as a reading may be", "d", sized("d", wire.MaxReadingBytes), true},
		{"with core's additions", "d", sized("d", wire.MaxReadingBytes+statusRoom), true},
		{"longer", "d", sized("d", wire.MaxReadingBytes+statusRoom+1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newModel(Options{})
			n, err := m.ApplyFrame(openFrame(t, entry("before", t0, t0),
				wire.FrameEntry{Device: c.device, Timestamp: t0, Received: t0, Payload: c.payload}, entry("after", t0, t0)))
			s := m.Stats()
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, 3, n)
				require.Equal(t, 3, s.Devices.Total)
			} else {
				require.ErrorIs(t, err, errRefused)
				require.Equal(t, 2, n)
				require.Equal(t, 2, s.Devices.Total, "no device is invented")
				require.Equal(t, int64(1), s.Counts.Refused)
			}
			m.Each(func(d *Device) {
				require.True(t, json.Valid(d.Payload()))
				require.True(t, telemetry.ValidDeviceID(d.ID))
			})
		})
	}
}

func TestEntriesBeforeDamageAreAppliedThoughOneWasRefused(t *testing.T) {
	m, _ := newModel(Options{})
	var b wire.FrameBuilder
	b.Reset("gw-a")
	for _, e := range []wire.FrameEntry{{Device: "d", Payload: []byte("no")}, entry("d1", t0, t0), entry("d2", t0, t0)} {
		b.Add(e)
	}
	data := b.Finish()
	f, err := wire.OpenFrame(data[:len(data)-5])
	require.NoError(t, err)
	n, err := m.ApplyFrame(f)
	require.ErrorIs(t, err, wire.ErrDamagedFrame)
	require.ErrorIs(t, err, errRefused)
	require.Equal(t, 1, n)
}

func TestDecodedGetsEveryAppliedReadingOnce(t *testing.T) {
	var got []string
	m, _ := newModel(Options{Decoded: func(e *wire.FrameEntry, r *telemetry.Reading) {
		require.Equal(t, e.Device, r.DeviceID)
		got = append(got, fmt.Sprint(r.DeviceID, e.Timestamp-r.Timestamp))
	}})
	bad := entry("c", t0, t0)
	bad.Device = "x"
	_, err := m.ApplyFrame(openFrame(t, entry("a", t0, t0), bad, entry("b", t0+1, t0)))
	require.ErrorIs(t, err, errRefused)
	require.Equal(t, []string{"a0", "b0"}, got)
}

func TestGatewayNamesOfForgedFramesAreNotKeptWithoutBound(t *testing.T) {
	m, _ := newModel(Options{})
	for i := range maxGateways + 100 {
		require.Equal(t, fmt.Sprint(i), m.gatewayName(fmt.Sprint(i)))
	}
	require.Len(t, m.names, maxGateways)
}

// BenchmarkApplyFrame is the cost of a live reading of 600 bytes, in frames of 500.
func BenchmarkApplyFrame(b *testing.B) {
	m, _ := newModel(Options{})
	var frames [2]wire.FrameBuilder
	for k := range frames {
		frames[k].Reset("gw-a")
		for i := range 500 {
			id := fmt.Sprintf("device_%05d", i)
			text := sized(id, 600)
			text[len(text)-3] = byte('0' + k) // equal times with other bytes count as news
			frames[k].Add(wire.FrameEntry{Device: id, Timestamp: t0, Received: t0, Payload: text})
		}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		f, err := wire.OpenFrame(frames[n%2].Finish())
		require.NoError(b, err)
		_, err = m.ApplyFrame(f)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/reading")
}

func TestSingleUpdateReachesObservers(t *testing.T) {
	m, _ := newModel(Options{})
	r := &recorder{}
	m.Observe(r)
	apply(t, m, entry("d", t0, t0))
	require.Len(t, r.readings, 1)
	apply(t, m, entry("d", t0-1, t0-1)) // outdated
	require.Len(t, r.readings, 1)
}

func TestSeqGrowsWithEachAppliedReading(t *testing.T) {
	m, _ := newModel(Options{})
	apply(t, m, entry("a", t0, t0), entry("b", t0, t0), entry("a", t0+1, t0+1), entry("b", t0-1, t0-1))
	m.View(func() {
		require.Equal(t, uint64(3), m.Device("a").Seq())
		require.Equal(t, uint64(2), m.Device("b").Seq())
	})
}
