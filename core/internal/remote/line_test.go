package remote

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSensorsOfOneUnitShareALine(t *testing.T) {
	r := &archive.Reading{Device: "d-1", Building: "Haus, 1=Süd", At: 1_700_000_000_123, Sensors: telemetry.Sensors{
		{Name: "temperature", Number: 21.5, Unit: "°C"},
		{Name: "humidity", Number: 40, Unit: "%"},
		{Name: "return_temperature", Number: -1e-9, Unit: "°C"},
		{Name: "on", Kind: telemetry.Bool, Number: 1},
		{Name: "state", Kind: telemetry.Text, Text: "a b\n~\\"},
		{Name: "count", Number: 3},
	}}
	want := `readings,Building=Haus\,\ 1\=Süd,Device=d-1,Unit=°C temperature=21.5,return_temperature=-1e-09 1700000000123
readings,Building=Haus\,\ 1\=Süd,Device=d-1,Unit=% humidity=40 1700000000123
readings,Building=Haus\,\ 1\=Süd,Device=d-1,Kind=bool on=1 1700000000123
readings,Building=Haus\,\ 1\=Süd,Device=d-1,Kind=text,Text=a\ b~0A~7E~5C state=1 1700000000123
readings,Building=Haus\,\ 1\=Süd,Device=d-1 count=3 1700000000123
`
	assert.Equal(t, want, string(appendReading(nil, r)))
}

func FuzzTagsComeBack(f *testing.F) {
	f.Add("a b\n~\\")
	f.Add("~4")
	f.Fuzz(func(t *testing.T, value string) {
		line := string(appendTag(nil, "T", value))
		if value == "" {
			require.Empty(t, line)
			return
		}
		raw := make([]byte, 0, len(line)) // as an engine reads it
		for i := len(",T="); i < len(line); i++ {
			if line[i] == '\\' {
				i++
			}
			require.NotContains(t, "\n\r", line[i:i+1])
			raw = append(raw, line[i])
		}
		require.Equal(t, value, plain(string(raw)))
	})
}

func TestSpansCoverARangeOnce(t *testing.T) {
	for from := range int64(25) {
		for to := from; to < 40; to++ {
			seen := make([]int, 41)
			for _, s := range spans(from, to, 10) {
				for at := s.first; at <= s.last; at += s.step {
					for ms := at - s.width + 1; ms <= at; ms++ {
						assert.Equal(t, at/10, ms/10, "a window lies in one step")
						seen[ms]++
					}
				}
			}
			for ms, n := range seen {
				want := 0
				if int64(ms) >= from && int64(ms) <= to {
					want = 1
				}
				require.Equal(t, want, n, "%d..%d at %d", from, to, ms)
			}
		}
	}
}

func TestPasswordsStayOutOfNamesAndErrors(t *testing.T) {
	c, err := newConn("http://user:secret@127.0.0.1:1/x?db=plant&p=secret")
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:1/x?db=plant", c.name())
	err = (&writer{conn: c}).write(t.Context(), nil)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
	_, err = newConn("user:secret@host")
	assert.NotContains(t, err.Error(), "secret")
}
