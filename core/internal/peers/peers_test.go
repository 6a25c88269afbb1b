package peers

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const now = 1_700_000_000_000

// gateways is a Gateways in memory.
type gateways struct {
	names []string
	live  map[string]int64
}

func (w *gateways) Names() []string             { return w.names }
func (w *gateways) Expect(names ...string)      { w.names = append(w.names, names...) }
func (w *gateways) Live() map[string]int64      { return w.live }
func (w *gateways) Alive(name string, at int64) { w.live[name] = at }

func newExchange(t *testing.T, names ...string) (*Exchange, *gateways) {
	t.Helper()
	w := &gateways{names: names, live: map[string]int64{}}
	b, err := New(Options{Log: slog.New(slog.DiscardHandler), Gateways: w, Offsets: clock.NewOffsets()})
	require.NoError(t, err)
	return b, w
}

// deliver passes the messages of one to another.
func deliver(t *testing.T, from, to *Exchange, at int64) {
	t.Helper()
	for _, m := range from.messages() {
		data, err := json.Marshal(m)
		require.NoError(t, err)
		to.receive(data, at)
	}
}

func values(room string, v ...float64) rooms.Values {
	out := rooms.Values{Room: room}
	out.Add(telemetry.Temperature, v)
	return out
}

func TestPeersShareGatewaysAlarmsAndRooms(t *testing.T) {
	a, watchA := newExchange(t, "gw-a")
	b, watchB := newExchange(t)
	watchA.live["gw-a"] = now
	a.Set(1, map[string]string{"gw-a": "alarm"}, []rooms.Values{values("301", 20, 21)})
	a.Set(2, nil, []rooms.Values{values("301", 22), values("302", 5)})
	b.Set(3, nil, []rooms.Values{values("301", 30)})
	deliver(t, a, b, now)
	deliver(t, a, a, now) // the hub echoes its own messages

	require.Equal(t, []string{"gw-a"}, watchB.names)
	require.EqualValues(t, now, watchB.live["gw-a"])
	require.Equal(t, "alarm", b.DownAlarm("gw-a", now))
	require.Equal(t, "alarm", a.DownAlarm("gw-a", now))
	require.Empty(t, b.DownAlarm("gw-b", now))
	of := func(m *Exchange, partition int32, room string) []float64 {
		v := slices.Clone(m.RoomValues(partition, now)(room, telemetry.Temperature))
		slices.Sort(v)
		return v
	}
	require.Equal(t, []float64{20, 21, 22}, of(b, 3, "301"), "all but the partition's own")
	require.Equal(t, []float64{22}, of(a, 1, "301"))
	require.Equal(t, []float64{5}, of(b, 3, "302"))
	require.Empty(t, of(b, 3, "303"))

	a.Forget(1)
	deliver(t, a, b, now+1000)
	require.Empty(t, b.DownAlarm("gw-a", now+1000))
	require.Equal(t, []float64{22}, of(b, 3, "301"))
}

func TestStateOfAPeerExpires(t *testing.T) {
	a, _ := newExchange(t)
	b, _ := newExchange(t)
	a.Set(1, map[string]string{"gw-a": "alarm"}, []rooms.Values{values("301", 20)})
	deliver(t, a, b, now)
	require.Empty(t, b.DownAlarm("gw-a", now+validFor))
	require.Empty(t, b.RoomValues(3, now+validFor)("301", telemetry.Temperature))
	b.receive([]byte("{"), now) // any hub client may publish there
	require.Empty(t, b.others)
}

func TestManyRoomsFitIntoMessages(t *testing.T) {
	a, _ := newExchange(t)
	b, _ := newExchange(t)
	var own []rooms.Values
	for i := range 3*roomsPerMessage + 1 {
		own = append(own, values(string(rune('a'+i%26))+string(rune('a'+i/26)), float64(i)))
	}
	a.Set(1, nil, own)
	require.Len(t, a.messages(), 5)
	deliver(t, a, b, now)
	require.Len(t, b.others[a.member].rooms, len(own))
}

func TestOptionsAreRequired(t *testing.T) {
	_, err := New(Options{})
	require.Error(t, err)
}

// TestOlderAndNewerMembersUnderstandEachOther: during an upgrade both exchange values. The
// older ones know four parameters by their place.
func TestOlderAndNewerMembersUnderstandEachOther(t *testing.T) {
	e, _ := newExchange(t)
	e.receive([]byte(`{"member":"old","round":1,"first":true,"rooms":[{"room":"301","values":[[20,21],[50],null,[]]}]}`), now)
	of := e.RoomValues(3, now)
	require.Equal(t, []float64{20, 21}, of("301", telemetry.Temperature))
	require.Equal(t, []float64{50}, of("301", telemetry.Humidity))
	require.Empty(t, of("301", "co2"))

	v := values("301", 22)
	v.Add("co2", []float64{400})
	e.Set(1, nil, []rooms.Values{v})
	data, err := json.Marshal(e.messages()[1])
	require.NoError(t, err)
	var former struct {
		Rooms []struct {
			Room   string       `json:"room"`
			Values [4][]float64 `json:"values"`
		} `json:"rooms"`
	}
	require.NoError(t, json.Unmarshal(data, &former))
	require.Equal(t, "301", former.Rooms[0].Room)
	require.Equal(t, []float64{22}, former.Rooms[0].Values[0])

	b, _ := newExchange(t)
	b.receive(data, now)
	require.Equal(t, []float64{400}, b.RoomValues(3, now)("301", "co2"))
	for _, odd := range []string{
		`{"member":"x","rooms":[{"room":"301","values":[[1],[2],[3],[4],[5]]}]}`,
		`{"member":"x","rooms":[{"room":"301","values":{"co2":[1]}}]}`,
		`{"member":"x","rooms":[{"room":"301","others":{"CO2":[1],"":null}}]}`,
		`{"member":"x","rooms":[{"room":"301","others":[1]}]}`,
		`{"member":"x","rooms":[{"values":[[1e400]]}]}`,
	} {
		b.receive([]byte(odd), now) // any hub client may publish there
	}
	require.Equal(t, []float64{400}, b.RoomValues(3, now)("301", "co2"))
}

func TestMessagesStayBelowTheHubsLimit(t *testing.T) {
	e, _ := newExchange(t)
	var own []rooms.Values
	for i := range 100 {
		v := rooms.Values{Room: string(rune('a'+i%26)) + string(rune('a'+i/26))}
		for k := range 9 {
			long := make([]float64, 1000)
			for j := range long {
				long[j] = -1.2345678901234567e-300
			}
			v.Add("a_sensor_with_a_rather_long_name"[:20+k], long)
		}
		own = append(own, v)
	}
	e.Set(1, nil, own)
	b, _ := newExchange(t)
	sent := e.messages()
	require.Greater(t, len(sent), 2)
	for _, m := range sent {
		data, err := json.Marshal(m)
		require.NoError(t, err)
		require.Less(t, len(data), 1<<20)
		b.receive(data, now)
	}
	of := b.RoomValues(3, now)
	for i := range own {
		require.Len(t, of(own[i].Room, "a_sensor_with_a_rather"), 1000)
	}
}

// TestPeersKnowTheOffsetsOfClocks: a peer that appears gets all of them, later the changes.
func TestPeersKnowTheOffsetsOfClocks(t *testing.T) {
	a, _ := newExchange(t)
	b, _ := newExchange(t)
	offsetsOf := func(e *Exchange) map[string]int64 { return e.offsets.All() }
	set, ok := a.offsets.(*clock.Offsets)
	require.True(t, ok)
	for i := range int64(offsetsPerMessage + 1) {
		set.Set(fmt.Sprint("d", i), 10_000)
	}
	require.NotEmpty(t, a.messages(), "before any peer listens")
	deliver(t, a, b, now)
	require.Empty(t, offsetsOf(b))
	deliver(t, b, a, now)
	deliver(t, a, b, now)
	require.Equal(t, offsetsOf(a), offsetsOf(b))

	set.Set("d0", 0)
	messages := a.messages()
	require.Len(t, messages, 2)
	require.Equal(t, map[string]int64{"d0": 0}, messages[1].Offsets)

	for a.round%offsetsEvery != 0 { // some may have been lost
		messages = a.messages()
	}
	offsets := 0
	for _, m := range messages {
		data, err := json.Marshal(m)
		require.NoError(t, err)
		require.Less(t, len(data), 1<<20)
		offsets += len(m.Offsets)
	}
	require.Equal(t, offsetsPerMessage, offsets)
}

// A stranger on the hub speaks as many members, or repeats one round.
func TestWhatPeersMakeKeptIsBounded(t *testing.T) {
	e, g := newExchange(t)
	say := func(m Message, at int64) {
		data, err := json.Marshal(m)
		require.NoError(t, err)
		e.receive(data, at)
	}
	for i := range 10 * maxPeers {
		say(Message{Member: fmt.Sprint("m", i), Round: 1, First: true, Gateways: []string{fmt.Sprint("gw-", i)}}, 1000)
	}
	require.Len(t, e.others, maxPeers)
	require.Len(t, g.names, maxPeers, "what one too many names does not count")
	say(Message{Member: strings.Repeat("x", maxMember+1), Round: 1}, 1000+validFor)
	say(Message{Round: 1}, 1000+validFor)
	require.Len(t, e.others, maxPeers, "no member says that")
	say(Message{Member: "new", Round: 1}, 20_000)
	require.Len(t, e.others, 1, "those that fell silent are forgotten")

	many := values("r", make([]float64, 1000)...)
	e.others["new"].held = maxPeerValues - 2500
	for range 5 {
		many.Room += "x"
		say(Message{Member: "m", Round: 7, Rooms: []rooms.Values{many}}, 20_000)
	}
	require.Equal(t, 2000, e.others["m"].held, "all of them together")
	say(Message{Member: "m", Round: 8, Rooms: []rooms.Values{many}}, 20_100)
	require.Equal(t, 1000, e.others["m"].held, "the next round counts by itself")
}
