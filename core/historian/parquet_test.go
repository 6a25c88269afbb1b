package historian

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

// TestParquetHasEveryValue: what is read back is what was written, whatever the types and however many
// rows.
func TestParquetHasEveryValue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var out bytes.Buffer
	e := newParquet(&out)
	require.NoError(t, e.begin())
	var want []parquetRow
	for _, device := range []string{"d1", "设备-2", "d3"} {
		for range 3 {
			b := new(samples.Block)
			for i := range int64(500) {
				reading := telemetry.Sensors{{Name: "temperature", Number: math.Round(r.NormFloat64()*1000) / 10, Unit: "°C"}}
				if i%3 == 0 {
					reading = append(reading, telemetry.Switch("on", i%2 == 0))
				}
				if i%7 == 0 {
					reading = append(reading, telemetry.Sensor{Name: "mode", Kind: telemetry.Text, Text: []string{"auto", "手动"}[i%2]})
				}
				at := 1_790_000_000_000 + i*1000
				b.Append(at, reading)
				for k := range reading {
					s := &reading[k]
					row := parquetRow{Device: device, Time: at, Sensor: s.Name, Unit: s.Unit}
					switch s.Kind {
					case telemetry.Text:
						row.Text = &s.Text
					case telemetry.Bool:
						on := s.Number != 0
						row.Switch = &on
					default:
						row.Number = &s.Number
					}
					want = append(want, row)
				}
			}
			require.NoError(t, e.block(device, b))
		}
	}
	require.NoError(t, e.end())
	got, err := parquet.Read[parquetRow](bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(t, err)
	require.Equal(t, want, got)
	t.Logf("%.2f bytes a value", float64(out.Len())/float64(len(want)))

	cut := out.Bytes()[:out.Len()/2]
	_, err = parquet.Read[parquetRow](bytes.NewReader(cut), int64(len(cut)))
	require.Error(t, err, "a file that ended early")
}

func TestParquetWithoutValues(t *testing.T) {
	var out bytes.Buffer
	e := newParquet(&out)
	require.NoError(t, e.end())
	got, err := parquet.Read[parquetRow](bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(t, err)
	require.Empty(t, got)
}

// TestParquetIsNotHeldInMemory: five times the rows need no more memory.
func TestParquetIsNotHeldInMemory(t *testing.T) {
	b := new(samples.Block)
	r := rand.New(rand.NewPCG(2, 2))
	for i := range int64(20_000) {
		b.Append(1_790_000_000_000+i*1000, telemetry.Sensors{{Name: "temperature", Number: r.NormFloat64(), Unit: "°C"}})
	}
	heap := func(days int) uint64 {
		e := newParquet(io.Discard)
		most := uint64(0)
		for range days {
			require.NoError(t, e.block("d1", b))
			var m runtime.MemStats
			runtime.GC()
			runtime.GC() // pools keep what was freed through one
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		require.NoError(t, e.end())
		return most
	}
	few := heap(5)
	many := heap(25)
	t.Logf("most heap %.1f MB of 100,000 rows, %.1f MB of 500,000", float64(few)/1e6, float64(many)/1e6)
	require.Less(t, many, few+4<<20)
}

// TestParquetIsExported from Kafka to a file.
func TestParquetIsExported(t *testing.T) {
	p := newPlant(t)
	p.send("d1", 3, 20)
	r := p.start(t.TempDir())
	r.series(p, "d1", 3)
	file := filepath.Join(t.TempDir(), "out.parquet")
	var out, errs bytes.Buffer
	require.Zero(t, Command(t.Context(), []string{"export", "-url", "http://" + r.Addr(), "-format", history.Parquet, "-o", file}, &out, &errs), errs.String())
	rows, err := parquet.ReadFile[parquetRow](file)
	require.NoError(t, err)
	require.Len(t, rows, 9)
	require.Equal(t, "temperature", rows[0].Sensor)
	require.InDelta(t, 20, *rows[0].Number, 0)
	require.True(t, *rows[1].Switch)
	require.Equal(t, `a"b`, *rows[2].Text)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "PAR1", string(b[:4]))
}
