package intake

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestOriginIsReadFromTheHeaders(t *testing.T) {
	const written = now + 1000
	tests := []struct {
		name    string
		headers [][2]string
		want    Origin
	}{
		{"none", nil, Origin{Received: written, Written: written}},
		{
			"all",
			[][2]string{{wire.HeaderGateway, "gw-a"}, {wire.HeaderReceived, "1700000000000"}, {wire.HeaderBackfill, "1"}, {wire.HeaderSeq, "7"}},
			Origin{Gateway: []byte("gw-a"), Received: now, Written: written, Backfill: true},
		},
		{"nonsense", [][2]string{{wire.HeaderReceived, "-4000"}, {wire.HeaderBackfill, "yes"}}, Origin{Received: written, Written: written}},
		{"not digits", [][2]string{{wire.HeaderReceived, "17000000000:0"}, {wire.HeaderBackfill, "10"}}, Origin{Received: written, Written: written}},
		{"empty", [][2]string{{wire.HeaderReceived, ""}, {wire.HeaderBackfill, ""}}, Origin{Received: written, Written: written}},
		{"too many digits", [][2]string{{wire.HeaderReceived, strings.Repeat("9", 30)}}, Origin{Received: written, Written: written}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Origin{Written: written}
			for _, h := range tt.headers {
				o.ReadHeader([]byte(h[0]), []byte(h[1]))
			}
			_, refusal := new(Intake).Accept([]byte("d1"), reading("d1", now), &o)
			require.Nil(t, refusal)
			require.Equal(t, tt.want, o)
		})
	}
	require.Equal(t, "gw-a", GatewayName([]byte("gw-a")))
	require.Equal(t, Direct, GatewayName(nil))
	require.Equal(t, Direct, GatewayName([]byte("a.b >")))
}

func TestWrongGatewayClockIsCorrected(t *testing.T) {
	const (
		hour = 60 * minute
		year = 365 * 24 * hour
		slip = int64(60_000)
	)
	age := wire.BackfillAge.Milliseconds()
	tests := []struct {
		name              string
		received, written int64
		backfill          bool
		ts                int64
		clock             Clock
		corrected         int64
		waited            bool
	}{
		{"all agree", now - 50, now, false, now - 100, ClockGood, now - 50, false},
		{"a buffer's backlog", now - hour, now, true, now - hour - 100, ClockGood, now - hour, true},
		{"ten years ahead", now + 10*year, now, false, now - 100, ClockAhead, now - 100, false},
		{"ten years ahead and a backlog", now + 10*year, now, false, now - hour, ClockAhead, now - hour, true},
		{"1970 at boot", 5000, now, true, now - 100, ClockBehind, now - 100, false},
		{"1970 at boot and a backlog", 5000, now, true, now - hour, ClockBehind, now - hour, true},
		{"an hour behind", now - hour, now, true, now - 100, ClockBehind, now - 100, false},
		{"a device that is fast", now - 50, now, false, now + 90_000, ClockGood, now - 50, false},
		{"a device that is slow", now - 50, now, false, now - hour, ClockGood, now - 50, false},
		{"ahead within the slack", now + slip, now, false, now, ClockGood, now + slip, false},
		{"ahead beyond the slack", now + slip + 1, now, false, now, ClockAhead, now, false},
		{"behind within the slack", now - slip, now, true, now, ClockGood, now - slip, true},
		{"behind beyond the slack", now - slip - 1, now, true, now, ClockBehind, now, false},
		{"a fast device within the slack", now - slip, now, true, now + slip, ClockBehind, now, false},
		{"live to the last", now + year, now, false, now - age, ClockAhead, now - age, false},
		{"backfilled from then on", now + year, now, false, now - age - 1, ClockAhead, now - age - 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Origin{Received: tt.received, Written: tt.written, Backfill: tt.backfill}
			o.Place(new(clock.Clock), &telemetry.Reading{Timestamp: tt.ts})
			require.Equal(t, tt.clock, o.Clock)
			require.Equal(t, tt.corrected, o.Received)
			require.Equal(t, tt.waited, o.Backfill)
		})
	}
}

// TestWaitingCountsFromThePlantTime: the alarm engine gets a reading's whole delay.
func TestWaitingCountsFromThePlantTime(t *testing.T) {
	const hour = 60 * minute
	var slow, fast clock.Clock
	slow, fast = clock.Restore(-5*hour), clock.Restore(8*hour)
	tests := []struct {
		name         string
		clock        clock.Clock
		o            Origin
		ts           int64
		at, received int64
		waited       int64
		backfill     bool
	}{
		{"live", clock.Clock{}, Origin{Received: now - 50, Written: now}, now - 100, now - 100, now - 50, 0, false},
		{"in the gateway's buffer", clock.Clock{}, Origin{Received: now - hour, Written: now, Backfill: true}, now - hour - 100, now - hour - 100, now - hour, hour, true},
		{"in the device", clock.Clock{}, Origin{Received: now - 50, Written: now}, now - hour, now - hour, now - hour, hour, true},
		{"in both", clock.Clock{}, Origin{Received: now - hour, Written: now, Backfill: true}, now - 2*hour, now - 2*hour, now - 2*hour, 2 * hour, true},
		{"a slow device", slow, Origin{Received: now - 50, Written: now}, now - 5*hour - 100, now - 100, now - 50, 0, false},
		{"a slow device, in the buffer", slow, Origin{Received: now - hour, Written: now, Backfill: true}, now - 6*hour - 100, now - hour - 100, now - hour, hour, true},
		{"a slow device's old reading", slow, Origin{Received: now - 50, Written: now}, now - 6*hour, now - hour, now - hour, hour, true},
		{"a fast device", fast, Origin{Received: now - 50, Written: now}, now + 8*hour - 100, now - 100, now - 50, 0, false},
		{"a fast device, in the buffer for longer", fast, Origin{Received: now - 9*hour, Written: now, Backfill: true}, now - hour - 100, now - 9*hour - 100, now - 9*hour, 9 * hour, true},
		{"a slow device behind a gateway that is ahead", slow, Origin{Received: now + 9*hour, Written: now}, now - 5*hour - 100, now - 100, now - 100, 0, false},
		{"a slow device behind a gateway that is slower", slow, Origin{Received: 5000, Written: now, Backfill: true}, now - 5*hour - 100, now - 100, now - 100, 0, false},
		{"never set", clock.Clock{}, Origin{Received: now - 50, Written: now}, 5000, now - 50, now - 50, 50, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.o.Place(&tt.clock, &telemetry.Reading{Timestamp: tt.ts})
			require.Equal(t, []int64{tt.at, tt.received, tt.waited}, []int64{p.At, p.Received, p.Waited})
			require.Equal(t, tt.backfill, p.Backfill)
		})
	}
}

func TestAnnouncedEndShowsNothingOfTheClock(t *testing.T) {
	slow := clock.Restore(-5 * 60 * minute)
	o := Origin{Received: now - 50, Written: now}
	p := o.Place(&slow, &telemetry.Reading{Timestamp: now - 60, Offline: true})
	require.EqualValues(t, now-50, p.At)
	require.EqualValues(t, -5*60*minute, p.Offset)
	require.EqualValues(t, -5*60*minute, slow.Offset())
	p = o.Place(&slow, &telemetry.Reading{Timestamp: now - 60, Offline: true, Sensors: telemetry.Sensors{{Name: "temperature"}}})
	require.Zero(t, p.Offset, "it is the device's own reading")
}
