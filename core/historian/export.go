package historian

import (
	"bufio"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

// exporter writes readings in one format.
type exporter interface {
	begin() error
	block(device string, b *samples.Block) error // the readings of a device
	end() error
}

func newExporter(format string, out *bufio.Writer) exporter {
	switch format {
	case history.CSV:
		return &lines{out: out, append: appendCSV, header: "device_id,timestamp,time,sensor,value,unit\r\n"}
	case history.Parquet:
		return newParquet(out)
	default:
		return &lines{out: out, append: appendJSON}
	}
}

// lines writes text: CSV has a line for each value, NDJSON an object for each reading, whose sensors are as
// in the device's message.
type lines struct {
	out    *bufio.Writer
	buf    []byte
	append func(dst []byte, device string, at int64, b *samples.Block, i int) []byte
	header string
}

func (e *lines) begin() error {
	_, err := e.out.WriteString(e.header)
	return err
}

func (e *lines) end() error { return nil }

func (e *lines) block(device string, b *samples.Block) error {
	for i, at := range b.Times {
		e.buf = e.append(e.buf[:0], device, at, b, i)
		if _, err := e.out.Write(e.buf); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether a reading has a value of a column.
func has(c *samples.Column, i int) bool {
	if c.Kind == telemetry.Text {
		return c.Texts[i] != ""
	}
	return !math.IsNaN(c.Numbers[i])
}

func appendCSV(dst []byte, device string, at int64, b *samples.Block, i int) []byte {
	for k := range b.Columns {
		c := &b.Columns[k]
		if !has(c, i) {
			continue
		}
		dst = append(append(dst, device...), ',')
		dst = append(strconv.AppendInt(dst, at, 10), ',')
		dst = append(time.UnixMilli(at).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00"), ',')
		dst = append(append(dst, c.Name...), ',')
		switch c.Kind {
		case telemetry.Text:
			dst = appendQuoted(dst, c.Texts[i])
		case telemetry.Bool:
			dst = strconv.AppendBool(dst, c.Numbers[i] != 0)
		default:
			dst = strconv.AppendFloat(dst, c.Numbers[i], 'g', -1, 64)
		}
		dst = append(appendQuoted(append(dst, ','), c.Unit), '\r', '\n')
	}
	return dst
}

// appendQuoted appends a field of RFC 4180. A text that a spreadsheet would take for a formula gets
// an apostrophe before it.
func appendQuoted(dst []byte, text string) []byte {
	if text == "" {
		return dst
	}
	dst = append(dst, '"')
	switch text[0] {
	case '=', '+', '-', '@', '\t', '\r':
		dst = append(dst, '\'')
	}
	for i := range len(text) {
		if text[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, text[i])
	}
	return append(dst, '"')
}

// reading is one line of NDJSON.
type reading struct {
	DeviceID  string           `json:"device_id"`
	Timestamp int64            `json:"timestamp"`
	Sensors   map[string]entry `json:"sensors"`
}

type entry struct {
	Value any    `json:"value"`
	Unit  string `json:"unit,omitempty"`
}

func appendJSON(dst []byte, device string, at int64, b *samples.Block, i int) []byte {
	r := reading{DeviceID: device, Timestamp: at, Sensors: make(map[string]entry, len(b.Columns))}
	for k := range b.Columns {
		c := &b.Columns[k]
		if !has(c, i) {
			continue
		}
		e := entry{Unit: c.Unit}
		switch c.Kind {
		case telemetry.Text:
			e.Value = c.Texts[i]
		case telemetry.Bool:
			e.Value = c.Numbers[i] != 0
		default:
			e.Value = c.Numbers[i]
		}
		r.Sensors[c.Name] = e
	}
	if len(r.Sensors) == 0 {
		return dst
	}
	text, _ := json.Marshal(r) // numbers are finite
	return append(append(dst, text...), '\n')
}
