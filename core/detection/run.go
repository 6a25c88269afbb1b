package detection

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/core/internal/suite"
)

// checkEvery is how many rows are judged between two looks at the context.
const checkEvery = 10_000

// run judges a file.
func run(ctx context.Context, args []string, out, errs io.Writer) error {
	settings := detect.Defaults()
	f := flags("run", errs)
	file := f.String("file", "", "CSV file")
	f.DurationVar(&settings.Settle, "settle", settings.Settle, "how long another level must last to become usual")
	if err := parse(f, args); err != nil {
		return err
	}
	if *file == "" {
		return fmt.Errorf("%w: -file is missing", errUsage)
	}
	if settings.Settle <= 0 {
		return fmt.Errorf("%w: -settle=%s: want more than 0", errUsage, settings.Settle)
	}
	table, err := suite.ReadTableFile(*file)
	if err != nil {
		return err
	}
	return judgeTable(ctx, settings, table, out)
}

func judgeTable(ctx context.Context, settings detect.Settings, table *suite.Table, out io.Writer) error {
	b := bufio.NewWriter(out)
	w := csv.NewWriter(b)
	write := func(cells ...string) {
		_ = w.Write(cells) // the error is kept and returned at the end
	}
	write("time", "score", "verdict", "sensor", "kind", "low", "high")
	j := newJudge(settings, table.Sensors)
	for i, at := range table.At {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return fmt.Errorf("judging %s: %w", table.Name, ctx.Err())
		}
		score, unusual := j.Row(at, table.Rows[i])
		cells := []string{time.UnixMilli(at).UTC().Format("2006-01-02 15:04:05.999"), number(score), "0", "", "", "", ""}
		if unusual {
			cells[2] = "1"
			copy(cells[3:], j.reason())
		}
		write(cells...)
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("writing the verdicts: %w", err)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing the verdicts: %w", err)
	}
	return nil
}

// reason returns the most unusual sensor of the newest row, its kind of anomaly, and its usual range.
func (j *judge) reason() []string {
	sensor, v, ok := j.worst()
	if !ok {
		return nil
	}
	a, _ := j.device.Describe(sensor)
	return []string{sensor, string(v.Kind), number(a.Low), number(a.High)}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
