package trial

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"industrial-iot-monitor/loadtest/bench/report"
)

// Topics in which Kafka keeps the state of groups and of transactions. The embedded broker
// has a file for each instead.
const (
	offsetsTopic      = "__consumer_offsets"
	transactionsTopic = "__transaction_state"
)

// segments returns the sizes of the segments of Kafka's log below dir: records, markers of
// transactions and everything else between them, without indexes. Keys are paths in dir.
func segments(dir string) (map[string]int64, error) {
	files := map[string]int64{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err == nil && d.Type().IsRegular() && (ext == ".log" || ext == ".dat") {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				files[path] = info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted or renamed meanwhile
		}
		return err
	})
	return files, err
}

// topicOf returns the topic of a segment.
func topicOf(path string) string {
	switch path {
	case "groups.log":
		return offsetsTopic
	case "pids.log":
		return transactionsTopic
	}
	partition := filepath.Base(filepath.Dir(path))
	return partition[:max(0, strings.LastIndexByte(partition, '-'))]
}

// growth adds up how segments grow, by topic. Retention and compaction, which make files
// smaller or remove them, do not count.
type growth struct {
	last  map[string]int64 // nil before the first look
	grown map[string]int64
}

// look adds what was written since the last look; the first one is the start.
func (g *growth) look(files map[string]int64) {
	if g.last == nil {
		g.last, g.grown = files, map[string]int64{}
		return
	}
	for path, size := range files {
		if d := size - g.last[path]; d > 0 {
			g.grown[topicOf(path)] += d
		}
	}
	g.last = files
}

// lookAt is look at the segments in dir; "" is an unknown Kafka's, of which nothing is counted.
func (g *growth) lookAt(dir string) error {
	if dir == "" {
		return nil
	}
	files, err := segments(dir)
	if err == nil {
		g.look(files)
	}
	return err
}

// fill stores the bytes a reading, all topics and each.
func (g *growth) fill(s report.Sample, readings float64) {
	if readings <= 0 || len(g.grown) == 0 {
		return
	}
	for topic, n := range g.grown {
		s[report.TopicBytes+topic] = float64(n) / readings
		s[report.LogBytes] += float64(n) / readings
	}
}
