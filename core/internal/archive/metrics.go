package archive

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	readings, repeated, written prometheus.Counter
	damaged, expired, unkept    prometheus.Counter
	flush, compaction           prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, a *Archive) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	timing := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)})
	}
	m := &metrics{
		readings:   counter("core_history_readings_total", "Readings written to files of days."),
		repeated:   counter("core_history_repeated_total", "Readings with a time that their device has already sent, kept once."),
		written:    counter("core_history_written_bytes_total", "Bytes of encoded readings written to files of days."),
		damaged:    counter("core_history_damaged_total", "Damaged files that were set aside."),
		expired:    counter("core_history_expired_days_total", "Days whose files were removed because of HISTORY_RETENTION or HISTORY_MAX_BYTES."),
		unkept:     counter("core_history_unkept_total", "Readings of days beyond HISTORY_RETENTION, of days removed because of HISTORY_MAX_BYTES, or of days in the future, which the history leaves out."),
		flush:      timing("core_history_flush_seconds", "Time to write the readings of a partition to files."),
		compaction: timing("core_history_compaction_seconds", "Time to compact the file of a day that is over."),
	}
	reg.MustRegister(m.readings, m.repeated, m.written, m.damaged, m.expired, m.unkept, m.flush, m.compaction,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "core_history_bytes", Help: "Size of the files of the history."}, func() float64 { return float64(a.size()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "core_history_files", Help: "Files of the history, one a day."}, func() float64 { return float64(len(a.all())) }),
	)
	return m
}

// size returns the bytes of all files of days.
func (a *Archive) size() (n int64) {
	for _, d := range a.all() {
		n += d.size()
	}
	return n
}

func (d *day) size() (n int64) {
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(d.path + suffix); err == nil {
			n += info.Size()
		}
	}
	return n
}
