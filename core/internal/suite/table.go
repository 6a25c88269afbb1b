package suite

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// Table is a series of readings of one device with labels, if it has any.
type Table struct {
	Name    string
	Sensors []string
	At      []int64     // of each row, ms since 1970
	Rows    [][]float64 // of each row, a value for each sensor; NaN: missing
	// Anomaly is whether a row is labelled as anomalous, Changepoint whether a change of the state
	// is; nil: the table has no such column.
	Anomaly, Changepoint []bool
}

// ErrTable is what all errors about the content of a table wrap.
var ErrTable = errors.New("not a table of readings")

// ReadTableFile reads a file as ReadTable does.
func ReadTableFile(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a table: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	return ReadTable(path, f)
}

// ReadTable reads a table of readings: CSV by commas or semicolons with a line of names, of which
// the first column is the time and each other a sensor, but `anomaly` and `changepoint`, which are
// labels. A time is `2006-01-02 15:04:05` in UTC, with or without a fraction, RFC 3339, or seconds
// or milliseconds since 1970. An empty cell or NaN is a missing value. name is that of the file, for
// errors, which also name line and column.
func ReadTable(name string, r io.Reader) (*Table, error) {
	b := bufio.NewReader(r)
	in := csv.NewReader(b)
	in.Comma, in.ReuseRecord = separator(b), true
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the names of columns of %s: %w: %w", name, ErrTable, err)
	}
	if len(head) < 2 {
		return nil, fmt.Errorf("%w: %s line 1 names no sensor", ErrTable, name)
	}
	p := newTableParser(name, head)
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return &p.table, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w: %w", name, ErrTable, err)
		}
		line, _ := in.FieldPos(0)
		if err := p.row(line, cells); err != nil {
			return nil, err
		}
	}
}

// separator returns which of the two separators the first line has more of, without reading it. A
// byte order mark is skipped.
func separator(b *bufio.Reader) rune {
	if mark, _ := b.Peek(3); string(mark) == "\ufeff" {
		_, _ = b.Discard(3)
	}
	start, _ := b.Peek(b.Size())
	line, _, _ := strings.Cut(string(start), "\n")
	if strings.Count(line, ";") > strings.Count(line, ",") {
		return ';'
	}
	return ','
}

// tableParser adds rows to a table.
type tableParser struct {
	table       Table
	head        []string
	anomaly     int // column; 0: there is none
	changepoint int
}

func newTableParser(name string, head []string) *tableParser {
	p := &tableParser{head: make([]string, len(head))}
	p.table.Name = name
	for i, h := range head {
		h = strings.TrimSpace(h)
		p.head[i] = h
		switch {
		case i == 0:
		case strings.EqualFold(h, "anomaly"):
			p.anomaly = i
		case strings.EqualFold(h, "changepoint"):
			p.changepoint = i
		default:
			p.table.Sensors = append(p.table.Sensors, h)
		}
	}
	return p
}

// row adds one row. The reader has checked that it has as many cells as the first line.
func (p *tableParser) row(line int, cells []string) error {
	at, err := parseTime(cells[0])
	if err != nil {
		return p.fault(line, 0, err)
	}
	t := &p.table
	values := make([]float64, 0, len(t.Sensors))
	for i := 1; i < len(cells); i++ {
		v, err := parseCell(cells[i])
		if err != nil {
			return p.fault(line, i, err)
		}
		switch i {
		case p.anomaly:
			t.Anomaly = append(t.Anomaly, v > 0.5)
		case p.changepoint:
			t.Changepoint = append(t.Changepoint, v > 0.5)
		default:
			values = append(values, v)
		}
	}
	t.At, t.Rows = append(t.At, at), append(t.Rows, values)
	return nil
}

func (p *tableParser) fault(line, column int, err error) error {
	return fmt.Errorf("%w: %s line %d column %d (%s): %w", ErrTable, p.table.Name, line, column+1, p.head[column], err)
}

// parseCell returns NaN for a cell without a number that can be judged.
func parseCell(s string) (float64, error) {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case "", "nan", "null", "na":
		return math.NaN(), nil
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is no finite number", s)
	}
	return v, nil
}

// tableTimes are the layouts of a time. Go's parser accepts a fraction after the seconds of each.
var tableTimes = [...]string{"2006-01-02 15:04:05", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04", "2006/01/02 15:04:05"}

// parseTime returns a time in ms since 1970.
func parseTime(s string) (int64, error) {
	s = strings.TrimSpace(s)
	if v, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(v) < 1e15 {
		if math.Abs(v) < 1e11 { // seconds until the year 5138
			v *= 1000
		}
		return int64(math.Round(v)), nil
	}
	for _, layout := range tableTimes {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is no time", s)
}
