package processor

import (
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
)

// reasons are why a record of an input may be refused.
var reasons = []telemetry.Reason{
	telemetry.ReasonEmpty, telemetry.ReasonTooLarge, telemetry.ReasonInvalidUTF8, telemetry.ReasonInvalidJSON,
	telemetry.ReasonTooDeep, telemetry.ReasonDuplicateKey, telemetry.ReasonInvalidReading, telemetry.ReasonInvalidTimestamp,
	telemetry.ReasonDeviceMismatch, telemetry.ReasonInvalidDevice, telemetry.ReasonInvalidCommand,
}

// events are the events of alarms.
var events = []telemetry.AlarmEvent{
	telemetry.EventRaised, telemetry.EventEscalated, telemetry.EventRepeated, telemetry.EventCleared,
	telemetry.EventSuppressed, telemetry.EventUnsuppressed, telemetry.EventChattering, telemetry.EventSettled,
	telemetry.EventStale, telemetry.EventAcknowledged, telemetry.EventShelved, telemetry.EventUnshelved,
	telemetry.EventOutOfService, telemetry.EventInService, telemetry.EventCommented, telemetry.EventAssigned,
	telemetry.EventRemoved, telemetry.EventNotAnomaly,
}

type metrics struct {
	succeeded, failed  prometheus.Counter
	readings, late     prometheus.Counter
	uncounted          prometheus.Counter
	clockAhead         prometheus.Counter
	clockBehind        prometheus.Counter
	committed, aborted prometheus.Counter
	alerts             *prometheus.CounterVec
	events             *prometheus.CounterVec
	commands           *prometheus.CounterVec
	letters            *prometheus.CounterVec
	unknownUnits       *prometheus.CounterVec // by kind of the catalogue
	removed            *prometheus.CounterVec
	ofRemoved          prometheus.Counter
	anomalies          *prometheus.CounterVec
	detect             *histogram
	commit, restore    prometheus.Histogram
	processing         *histogram
	endToEnd           *histogram
}

func newMetrics(reg prometheus.Registerer, p *Processor) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "iot_messages_total",
		Help: "Records of device-data by status: success, or failed, which became dead letters.",
	}, []string{"status"})
	transactions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_transactions_total",
		Help: "Transactions by result: committed, or aborted and retried.",
	}, []string{"result"})
	clocks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_gateway_clock_wrong_total",
		Help: "Readings with an impossible receive time, by direction of the gateway's clock: ahead of Kafka's, or behind the device's and Kafka's.",
	}, []string{"direction"})
	m := &metrics{
		clockAhead: clocks.WithLabelValues("ahead"), clockBehind: clocks.WithLabelValues("behind"),
		succeeded: messages.WithLabelValues("success"),
		failed:    messages.WithLabelValues("failed"),
		readings:  counter("core_readings_total", "Readings processed. Those retried after an aborted transaction count again."),
		late:      counter("core_late_total", "Readings that arrived after their second was closed; they correct aggregates."),
		uncounted: counter("core_window_values_dropped_total", "Values that aggregates lack, because a window or its partition had too many parameters."),
		committed: transactions.WithLabelValues("committed"),
		aborted:   transactions.WithLabelValues("aborted"),
		letters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "core_dead_letters_total",
			Help: "Dead letters committed, by reason.",
		}, []string{"reason"}),
		unknownUnits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "core_unknown_units_total",
			Help: "Values of a known kind of sensor in an unknown unit, by kind. They are shown as sent and compared with nothing.",
		}, []string{"kind"}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "core_commit_duration_seconds",
			Help:    "Kafka transaction duration.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30},
		}),
		restore: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "core_restore_duration_seconds",
			Help:    "Time to restore the state of the assigned partitions.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 30, 60},
		}),
		processing: newHistogram("iot_message_processing_duration_seconds",
			"Processing time of a reading in all stages, averaged over its chunk.",
			[]float64{1e-6, 2e-6, 3e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2}),
		endToEnd: newHistogram("core_end_to_end_seconds",
			"Time from a gateway receiving a live reading to its processing here, by two machines' clocks. Backfilled readings do not count.",
			endToEndBuckets),
	}
	for _, r := range reasons {
		m.letters.WithLabelValues(string(r))
	}
	reg.MustRegister(messages, clocks, m.readings, m.late, m.uncounted, transactions, m.letters, m.unknownUnits, m.commit, m.restore,
		m.processing, m.endToEnd, newAssignment(p))
	m.addAlarms(reg)
	m.addRemovals(reg)
	m.addAnomalies(reg)
	return m
}

// addAlarms adds the metrics of alarms and commands.
func (m *metrics) addAlarms(reg prometheus.Registerer) {
	m.alerts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_alerts_total",
		Help: "Alarms raised (active) and cleared, committed, by status and severity.",
	}, []string{"status", "severity"})
	m.events = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_alarm_events_total",
		Help: "Alarm events committed, by event.",
	}, []string{"event"})
	m.commands = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_alarm_commands_total",
		Help: "Commands to alarms and devices committed, by outcome: applied, nothing_to_do, refused, or conflict, when somebody else was first.",
	}, []string{"outcome"})
	for _, status := range []telemetry.AlertStatus{telemetry.AlertActive, telemetry.AlertCleared} {
		for _, s := range []telemetry.Severity{telemetry.SeverityCritical, telemetry.SeverityHigh, telemetry.SeverityMedium, telemetry.SeverityLow} {
			m.alerts.WithLabelValues(string(status), string(s))
		}
	}
	for _, e := range events {
		m.events.WithLabelValues(string(e))
	}
	for _, o := range []telemetry.Outcome{telemetry.OutcomeApplied, telemetry.OutcomeNothing, telemetry.OutcomeRefused, telemetry.OutcomeConflict} {
		m.commands.WithLabelValues(string(o))
	}
	reg.MustRegister(m.alerts, m.events, m.commands)
}

// addRemovals adds the metrics of removed devices.
func (m *metrics) addRemovals(reg prometheus.Registerer) {
	m.removed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_devices_removed_total",
		Help: "Devices removed, by cause: command, or forgotten, because they were silent for CORE_FORGET_AFTER.",
	}, []string{"cause"})
	m.ofRemoved = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "core_removed_readings_total",
		Help: "Readings of removed devices that had been received before the removal; they are in device-data and do not bring the device back.",
	})
	for _, c := range []cause{byCommand, forgotten} {
		m.removed.WithLabelValues(string(c))
	}
	reg.MustRegister(m.removed, m.ofRemoved)
}

// kinds are the kinds of anomalies.
var kinds = []telemetry.AnomalyKind{
	telemetry.AnomalySpike, telemetry.AnomalyLevel, telemetry.AnomalyDrift, telemetry.AnomalyStuck, telemetry.AnomalyNoise,
	telemetry.AnomalyOscillation, telemetry.AnomalyDropout, telemetry.AnomalyPattern, telemetry.AnomalyCorrelation, telemetry.AnomalyPeers,
}

// addAnomalies adds the metrics of the detector.
func (m *metrics) addAnomalies(reg prometheus.Registerer) {
	m.anomalies = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_anomalies_total",
		Help: "Alarms about unusual sensors, by kind and mode: on, raised; shadow, only counted. Those of an aborted transaction count again.",
	}, []string{"kind", "mode"})
	m.detect = newHistogram("core_detect_seconds", "Time that the detector takes for a reading, of one reading in 64.",
		[]float64{5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 1e-3})
	for _, k := range kinds {
		for _, mode := range []string{detectOn, detectShadow} {
			m.anomalies.WithLabelValues(string(k), mode)
		}
	}
	reg.MustRegister(m.anomalies, m.detect)
}

// alert counts a committed record of an alarm.
func (m *metrics) alert(a *alertRecord) {
	m.events.WithLabelValues(string(a.event)).Inc()
	changed := false
	switch a.event { //nolint:exhaustive // the others leave the status as it was
	case telemetry.EventRaised, telemetry.EventRepeated, telemetry.EventCleared:
		changed = true
	case telemetry.EventNotAnomaly, telemetry.EventRemoved: // of an alarm that may have cleared before
		changed = a.from == telemetry.AlarmUnacknowledged || a.from == telemetry.AlarmAcknowledged
	}
	if changed {
		m.alerts.WithLabelValues(string(a.status), string(a.severity)).Inc()
	}
}

func (m *metrics) deadLetter(r telemetry.Reason) { m.letters.WithLabelValues(string(r)).Inc() }

// counts are the figures of a chunk.
type counts struct {
	refused, late, ahead, behind, removed int
	uncounted                             int // values that no window counted
	endToEnd                              observations
}

// reading counts an accepted reading. The time a backfilled one waited is no latency.
func (c *counts) reading(o *intake.Origin, now int64) {
	switch o.Clock {
	case intake.ClockAhead:
		c.ahead++
	case intake.ClockBehind:
		c.behind++
	case intake.ClockGood:
	}
	if !o.Backfill {
		c.endToEnd.add(seconds(now - o.Received))
	}
}

// chunk adds the counts of a chunk of records, which took some time, and empties them.
func (m *metrics) chunk(c *counts, records int, took time.Duration) {
	m.succeeded.Add(float64(records - c.refused))
	m.failed.Add(float64(c.refused))
	m.readings.Add(float64(records - c.refused))
	m.late.Add(float64(c.late))
	m.ofRemoved.Add(float64(c.removed))
	m.uncounted.Add(float64(c.uncounted))
	m.clockAhead.Add(float64(c.ahead))
	m.clockBehind.Add(float64(c.behind))
	m.processing.observe(took.Seconds()/float64(records), uint64(records))
	m.endToEnd.absorb(&c.endToEnd)
	*c = counts{}
}

// assignment collects the metrics of the assigned partitions when scraped.
type assignment struct {
	p                      *Processor
	partitions, lag, alive *prometheus.Desc
	clocks                 *prometheus.Desc
	streams, tightest      *prometheus.Desc
	detectLag              *prometheus.Desc
}

func newAssignment(p *Processor) *assignment {
	return &assignment{
		p:          p,
		partitions: prometheus.NewDesc("core_partitions_owned", "Partitions of device-data assigned to this process.", nil, nil),
		lag: prometheus.NewDesc("core_partition_lag",
			"Unread offsets of an assigned partition, transaction markers included.", []string{"partition"}, nil),
		streams: prometheus.NewDesc("core_detect_streams", "Sensors whose usual values the detector knows, in the assigned partitions.", nil, nil),
		detectLag: prometheus.NewDesc("core_detect_lag",
			"Offsets that the detector of anomalies still has to read in an assigned partition after a start.", []string{"partition"}, nil),
		tightest: prometheus.NewDesc("core_anomaly_budget_spent",
			"Highest share of its budget of anomaly alarms that a building has spent in a partition, 0 to 1.", nil, nil),
		alive: prometheus.NewDesc("iot_active_devices_total", "Devices online in the assigned partitions.", nil, nil),
		clocks: prometheus.NewDesc("core_device_clocks",
			"Devices of the assigned partitions with a wrong clock, by state: ahead or behind.", []string{"state"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (a *assignment) Describe(ch chan<- *prometheus.Desc) {
	ch <- a.partitions
	ch <- a.lag
	ch <- a.alive
	ch <- a.clocks
	ch <- a.streams
	ch <- a.tightest
	ch <- a.detectLag
}

// Collect implements prometheus.Collector.
func (a *assignment) Collect(ch chan<- prometheus.Metric) {
	var tasks []*task
	if s := a.p.session.Load(); s != nil {
		tasks = s.order
	}
	online, ahead, behind := int64(0), int64(0), int64(0)
	streams, spent := int64(0), 0.0
	for _, t := range tasks {
		online += t.presence.online.Load()
		streams += t.detects.streams.Load()
		spent = max(spent, math.Float64frombits(t.detects.spent.Load()))
		ahead += t.presence.ahead.Load()
		behind += t.presence.behind.Load()
		partition := strconv.Itoa(int(t.partition))
		ch <- prometheus.MustNewConstMetric(a.lag, prometheus.GaugeValue, float64(t.progress.lag()), partition)
		ch <- prometheus.MustNewConstMetric(a.detectLag, prometheus.GaugeValue, float64(t.detects.lag.Load()), partition)
	}
	ch <- prometheus.MustNewConstMetric(a.streams, prometheus.GaugeValue, float64(streams))
	ch <- prometheus.MustNewConstMetric(a.tightest, prometheus.GaugeValue, spent)
	ch <- prometheus.MustNewConstMetric(a.partitions, prometheus.GaugeValue, float64(len(tasks)))
	ch <- prometheus.MustNewConstMetric(a.clocks, prometheus.GaugeValue, float64(ahead), "ahead")
	ch <- prometheus.MustNewConstMetric(a.clocks, prometheus.GaugeValue, float64(behind), "behind")
	ch <- prometheus.MustNewConstMetric(a.alive, prometheus.GaugeValue, float64(online))
}
