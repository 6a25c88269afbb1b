// Package notify sends notifications of alarms. It reads the alerts topic and posts to a
// webhook, in the format of Prometheus Alertmanager's webhooks, and to Alertmanagers,
// which route to mail, chat and phone. It decides nothing about alarms; the alarm engine
// does.
//
// Notifications are sent when an alarm is raised, escalates, repeats or clears. None are
// sent for an alarm that is historical, suppressed, shelved, out of service or below the
// configured severity. If such an alarm stops being so and still holds, it is sent then;
// if an alarm becomes so after it was sent, it is resolved, with the reason.
//
// Several cores share the topic's partitions as a consumer group. A partition's offset
// is committed only up to the oldest alarm that an output has not received, so a restart
// loses nothing. After a crash, what was sent and not committed is sent again, with the
// same fingerprint and group key. Within a process no revision of an alarm is sent twice,
// except to Alertmanager, which expects firing alerts to be repeated.
//
// To find the alarms that still hold, a new owner of a partition reads the topic from its
// oldest record to the committed offset and treats those records as sent. It does not
// start at some recent offset, because the alarm raised longest ago is the one that must
// not drop out of repeats, and because the topic is small: a record for each change of an
// alarm, not for each reading. An alarm older than the topic's retention is picked up at
// its next change. On the very first start there is no committed offset: alarms that hold
// are sent, ended ones are not.
//
// An unreachable receiver costs little: only the newest state of each alarm is kept, so
// one that was raised and cleared meanwhile is sent once, as resolved.
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

// Notifier is one member of the group that sends notifications.
type Notifier struct {
	cfg     Config
	cluster kafka.Cluster
	topic   string
	spec    kafka.Topic // of topic
	group   string
	log     *slog.Logger

	outbox     *outbox
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
		cfg: o.Config, cluster: o.Kafka.Cluster, topic: o.Topics.Alerts, spec: o.Topics.Specs().Alerts, group: o.GroupID + "-notify",
		log: o.Log.With("component", "notify"), transport: newTransport(),
	}
	if err := n.outputs(o.Registry); err != nil {
		return nil, err
	}
	return n, nil
}

// outputs creates the outbox and its deliverers.
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
	n.outbox = newOutbox(rank(telemetry.Severity(n.cfg.MinSeverity)), keep)
	n.metrics = newMetrics(reg, n)
	for o, out := range all {
		d := &deliverer{
			name: out.kind, o: o, b: n.outbox, counts: n.metrics.counts(out.kind), log: n.log.With("output", out.kind, "number", o+1),
			poster: newPoster(out.url, n.cfg.token(out.kind), n.cfg.Timeout, n.transport),
		}
		if out.kind == kindWebhook {
			d.planner = newWebhook(n.outbox, o, &n.cfg)
		} else {
			d.planner = &alertmanager{b: n.outbox, o: o, cfg: &n.cfg}
		}
		n.deliverers = append(n.deliverers, d)
	}
	n.outbox.overflow = func(o, alarms int) {
		n.deliverers[o].counts.overflow.Add(float64(alarms))
		n.deliverers[o].log.Error("too many ended alarms wait for the receiver, oldest dropped", "alarms", alarms)
	}
	return nil
}

// Run sends notifications until ctx ends. It waits for Kafka to become available. Without
// an output it returns at once. When ctx ends, a request in flight gets 2 s to finish, so
// that its delivery is committed.
func (n *Notifier) Run(ctx context.Context) error {
	if len(n.deliverers) == 0 {
		n.log.Info("notifications disabled: neither NOTIFY_WEBHOOK_URL nor NOTIFY_ALERTMANAGER_URL is set")
		return nil
	}
	defer n.transport.CloseIdleConnections()
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var outputs sync.WaitGroup
	for _, d := range n.deliverers {
		outputs.Go(func() { d.run(ctx) })
	}
	unlink := context.AfterFunc(ctx, func() {
		outputs.Wait() // their deliveries are then in the outbox, and get committed
		stop()
	})
	defer unlink()
	if err := n.consume(reading); err != nil {
		return fmt.Errorf("reading alerts: %w", err)
	}
	outputs.Wait()
	return nil
}
