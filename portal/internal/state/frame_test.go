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

func TestGatewayNamesOfForgedFramesAreNotKeptWithoutBound(t *testing.T) {
	m, _ := newModel(Options{})
	for i := range maxGateways + 100 {
		require.Equal(t, fmt.Sprint(i), m.gatewayName(fmt.Sprint(i)))
	}
	require.Len(t, m.names, maxGateways)
}

// TestForgedTextIsNeverPassedOn: with values, the text of a reading is looked at when it is used.
func TestForgedTextIsNeverPassedOn(t *testing.T) {
	m, _ := newModel(Options{})
	values := &telemetry.Reading{Sensors: telemetry.Sensors{{Name: "temperature", Number: 7}}}
	forged := func(id, text string) wire.FrameEntry {
		return wire.FrameEntry{Device: id, Timestamp: t0, Received: t0, Payload: []byte(text), Reading: values}
	}
	n, err := m.ApplyFrame(openFrame(t, forged("evil", `{"device_id":`), forged("", `{}`), forged("void", ""), forged("good", `{"x":1}`)))
	require.ErrorIs(t, err, errRefused)
	require.Equal(t, 2, n)
	m.View(func() {
		for range 2 {
			require.Equal(t, "null", string(m.Device("evil").Payload()))
			require.Equal(t, `{"x":1}`, string(m.Device("good").Payload()))
		}
	})
	later := forged("evil", `{}`)
	later.Timestamp++
	apply(t, m, later)
	m.View(func() {
		require.Equal(t, `{}`, string(m.Device("evil").Payload()), "the next reading is looked at again")
	})
}

// TestLongFrameIsAppliedInSteps: none of its entries is lost or counted twice.
func TestLongFrameIsAppliedInSteps(t *testing.T) {
	for _, n := range []int{applyStep - 1, applyStep, applyStep + 1, 3*applyStep + 5} {
		m, _ := newModel(Options{})
		r := &recorder{}
		m.Observe(r)
		var entries []wire.FrameEntry
		for i := range n {
			entries = append(entries, entry(fmt.Sprint("d", i), t0, t0), wire.FrameEntry{Device: "bad", Payload: []byte("x")})
		}
		applied, err := m.ApplyFrame(openFrame(t, entries...))
		require.ErrorIs(t, err, errRefused)
		require.ErrorContains(t, err, fmt.Sprint(n, " entries refused"))
		require.Equal(t, n, applied)
		require.Equal(t, Counts{Frames: 1, Readings: int64(n), Refused: int64(n)}, m.Totals())
		require.Len(t, r.readings, n)
	}
}

// BenchmarkApplyFrame is the cost of a live reading of 600 bytes, in frames of 500, as core
// sends them and as a core of frames of version 2 did.
func BenchmarkApplyFrame(b *testing.B) {
	for _, version := range []int{3, 2} {
		b.Run(fmt.Sprint("version ", version), func(b *testing.B) {
			m, _ := newModel(Options{})
			var frames [2]wire.FrameBuilder
			for k := range frames {
				frames[k].Reset("gw-a")
				for i := range 500 {
					id := fmt.Sprintf("device_%05d", i)
					e := wire.FrameEntry{Device: id, Timestamp: t0, Received: t0, Payload: sized(id, 600)}
					e.Payload[len(e.Payload)-3] = byte('0' + k) // equal times with other bytes count as news
					if version == 3 {
						e.Reading = new(telemetry.Reading)
						require.NoError(b, wire.DecodeReading(e.Payload, e.Reading, nil))
					}
					frames[k].Add(e)
				}
			}
			var f wire.Frame
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				require.NoError(b, f.Open(frames[n%2].Finish()))
				_, err := m.ApplyFrame(&f)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/reading")
		})
	}
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
