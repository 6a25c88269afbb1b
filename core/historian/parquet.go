package historian

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/telemetry"
)

// parquetRow is a value in Parquet, as a line is in CSV. One of number, switch and text is there.
type parquetRow struct {
	Device string   `parquet:"device_id,dict"`
	Time   int64    `parquet:"time,timestamp(millisecond),delta"`
	Sensor string   `parquet:"sensor,dict"`
	Number *float64 `parquet:"number,optional"`
	Switch *bool    `parquet:"switch,optional"`
	Text   *string  `parquet:"text,optional,dict"`
	Unit   string   `parquet:"unit,dict"`
}

const (
	// groupRows are the rows of a row group, which is in memory until it is complete: about 5 MB.
	groupRows = 64 << 10
	// writeRows are the rows that are handed over at once.
	writeRows = 1024
)

// parquetExporter writes readings as Parquet. What ends early has no footer, so that no reader takes it.
type parquetExporter struct {
	w       *parquet.GenericWriter[parquetRow]
	rows    []parquetRow
	numbers [writeRows]float64 // those that rows point at
	bools   [writeRows]bool
	texts   [writeRows]string
}

func newParquet(out io.Writer) *parquetExporter {
	w := parquet.NewGenericWriter[parquetRow](out, parquet.MaxRowsPerRowGroup(groupRows), parquet.Compression(&zstd.Codec{}),
		parquet.CreatedBy("industrial-iot-monitor", "", ""))
	return &parquetExporter{w: w, rows: make([]parquetRow, 0, writeRows)}
}

func (e *parquetExporter) begin() error { return nil }

func (e *parquetExporter) block(device string, b *samples.Block) error {
	for i, at := range b.Times {
		for k := range b.Columns {
			c := &b.Columns[k]
			if !has(c, i) {
				continue
			}
			n := len(e.rows)
			r := parquetRow{Device: device, Time: at, Sensor: c.Name, Unit: c.Unit}
			switch c.Kind {
			case telemetry.Text:
				e.texts[n], r.Text = c.Texts[i], &e.texts[n]
			case telemetry.Bool:
				e.bools[n], r.Switch = c.Numbers[i] != 0, &e.bools[n]
			default:
				e.numbers[n], r.Number = c.Numbers[i], &e.numbers[n]
			}
			if e.rows = append(e.rows, r); len(e.rows) == writeRows {
				if err := e.write(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (e *parquetExporter) write() error {
	if _, err := e.w.Write(e.rows); err != nil {
		return fmt.Errorf("writing Parquet: %w", err)
	}
	e.rows = e.rows[:0]
	return nil
}

// end writes the last row group and the footer.
func (e *parquetExporter) end() error {
	if err := e.write(); err != nil {
		return err
	}
	if err := e.w.Close(); err != nil {
		return fmt.Errorf("writing Parquet: %w", err)
	}
	return nil
}
