// Package notify tells people and other systems of alarms. It reads the alerts topic
// and posts what it finds to a webhook, in the form that Prometheus Alertmanager gives
// to webhooks, and to Alertmanagers themselves, which route to mail, chat and phone. It
// decides nothing about alarms; that is the engine's work.
//
// Told are alarms that are raised, escalated, repeated and cleared. Nobody is told of an
// alarm that is historical, suppressed, shelved, out of service or milder than asked
// for; one that stops being so and still holds is told then, and one that becomes so
// after it was told is resolved, with the reason.
//
// Several cores share the topic's partitions as a consumer group. A partition's offset
// is committed only up to the oldest alarm that an output was not told yet, so nothing
// is forgotten by a restart. What was told and not committed before a crash is told
// again, with the same fingerprint and group key. Within a process no revision of an
// alarm is told twice, except where Alertmanager wants to hear of it again.
//
// To know which alarms still hold, a new owner of a partition reads what the topic
// retains from the beginning to the committed offset, and takes that as told. It does so
// rather than begin at some recent offset because the alarm that was raised longest ago
// is the one that must not drop out of repeats, and because the topic is small: a record
// for each change of an alarm, not for each reading. An alarm older than the topic's
// retention is known again with its next change. On the very first start there is
// no committed offset: the alarms that hold are told, those that ended are not.
//
// A receiver that is away costs little: of each alarm the newest state is kept, so one
// that was raised and cleared meanwhile is told once, as resolved.
//
// Run blocks until its context ends.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
)

// Options of a Notifier. All are required.
type Options struct {
	Config   Config
	Kafka    kafka.Config
	Topics   topology.Topics
	GroupID  string // of core; the notifier's own group is named after it
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Notifier is one member of the group that tells of alarms.
type Notifier struct {
	cfg     Config
	brokers []string
	topic   string
	spec    kafka.Topic // of topic
	group   string
	log     *slog.Logger

	book       *book
	deliverers []*deliverer
	transport  *http.Transport
	metrics    *metrics
}

// New checks the settings; Run starts the work.
func New(o Options) (*Notifier, error) {
	if o.Log == nil || o.Registry == nil {
		return nil, errors.New("notify: Log and Registry are required")
	}
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	n := &Notifier{
		cfg: o.Config, brokers: o.Kafka.Brokers, topic: o.Topics.Alerts, spec: o.Topics.Specs().Alerts, group: o.GroupID + "-notify",
		log: o.Log.With("component", "notify"), transport: newTransport(),
	}
	if err := n.outputs(o.Registry); err != nil {
		return nil, err
	}
	return n, nil
}

// outputs makes the book and what delivers from it.
func (n *Notifier) outputs(reg prometheus.Registerer) error {
	type output struct {
		kind, url string
		keep      time.Duration
	}
	var all []output
	if n.cfg.WebhookURL != "" {
		all = append(all, output{kindWebhook, n.cfg.WebhookURL, 0})
	}
	for _, base := range n.cfg.AlertmanagerURLs {
		address, err := url.JoinPath(strings.TrimSpace(base), "api", "v2", "alerts")
		if err != nil {
			return errors.New("NOTIFY_ALERTMANAGER_URL: want a base URL") // err would quote it
		}
		all = append(all, output{kindAlertmanager, address, keepResolved})
	}
	keep := make([]time.Duration, len(all))
	for o := range all {
		keep[o] = all[o].keep
	}
	n.book = newBook(rank(telemetry.Severity(n.cfg.MinSeverity)), keep)
	n.metrics = newMetrics(reg, n)
	for o, out := range all {
		d := &deliverer{
			name: out.kind, o: o, b: n.book, counts: n.metrics.counts(out.kind), log: n.log.With("output", out.kind, "number", o+1),
			poster: newPoster(out.url, n.cfg.BearerToken, n.cfg.Timeout, n.transport),
		}
		if out.kind == kindWebhook {
			d.planner = newWebhook(n.book, o, &n.cfg)
		} else {
			d.planner = &alertmanager{b: n.book, o: o, cfg: &n.cfg}
		}
		n.deliverers = append(n.deliverers, d)
	}
	n.book.overflow = func(o, alarms int) {
		n.deliverers[o].counts.overflow.Add(float64(alarms))
		n.deliverers[o].log.Error("too many ended alarms wait for the receiver, the oldest are given up", "alarms", alarms)
	}
	return nil
}

// Run tells of alarms until ctx ends. It waits for a Kafka that is not there. Without an
// output it returns at once. When ctx ends, a request under way is given 2 s to come
// back, so that what it told is committed.
func (n *Notifier) Run(ctx context.Context) error {
	if len(n.deliverers) == 0 {
		n.log.Info("nobody is told of alarms: neither NOTIFY_WEBHOOK_URL nor NOTIFY_ALERTMANAGER_URL is set")
		return nil
	}
	defer n.transport.CloseIdleConnections()
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var outputs sync.WaitGroup
	for _, d := range n.deliverers {
		outputs.Go(func() { d.run(ctx) })
	}
	watch := context.AfterFunc(ctx, func() {
		outputs.Wait() // what they were told is then in the book, and is committed
		stop()
	})
	defer watch()
	if err := n.consume(reading); err != nil {
		return fmt.Errorf("telling of alarms: %w", err)
	}
	outputs.Wait()
	return nil
}
