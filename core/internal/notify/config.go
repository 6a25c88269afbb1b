package notify

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/telemetry"
)

// Config is the part of core's environment about notifications. Without a URL none are
// sent.
type Config struct {
	WebhookURL       string   `env:"NOTIFY_WEBHOOK_URL" help:"where alarms are posted in the form that Prometheus Alertmanager gives to webhooks; empty for nowhere"`
	AlertmanagerURLs []string `env:"NOTIFY_ALERTMANAGER_URL" envSeparator:"," help:"base URLs of Prometheus Alertmanagers that get every alarm, comma separated (all members of a cluster); empty for none"`
	ExternalURL      string   `env:"NOTIFY_EXTERNAL_URL" envDefault:"http://127.0.0.1:8080" help:"the portal's address as recipients of notifications can open it; notifications link to it"`

	WebhookToken      config.Secret `env:"NOTIFY_WEBHOOK_TOKEN" help:"sent to NOTIFY_WEBHOOK_URL, and nowhere else, as Authorization: Bearer; never logged"`
	AlertmanagerToken config.Secret `env:"NOTIFY_ALERTMANAGER_TOKEN" help:"sent to NOTIFY_ALERTMANAGER_URL, and nowhere else, as Authorization: Bearer; never logged"`
	BearerToken       config.Secret `env:"NOTIFY_BEARER_TOKEN" help:"former name of both, for one kind of receiver alone"`
	TokenInClear      bool          `env:"NOTIFY_TOKEN_IN_CLEAR" envDefault:"false" help:"allow tokens to http:// receivers on other machines, where anybody on the way can read them"`

	MinSeverity    string        `env:"NOTIFY_MIN_SEVERITY" envDefault:"low" help:"the lowest severity that is sent: critical, high, medium or low"`
	GroupWait      time.Duration `env:"NOTIFY_GROUP_WAIT" envDefault:"10s" help:"how long a webhook message waits for more alarms of the same building"`
	GroupInterval  time.Duration `env:"NOTIFY_GROUP_INTERVAL" envDefault:"1m" help:"least time between two webhook messages with news of the same building"`
	RepeatInterval time.Duration `env:"NOTIFY_REPEAT_INTERVAL" envDefault:"4h" help:"after this long a webhook message is sent again while an alarm in it holds unacknowledged"`
	MaxAlerts      int           `env:"NOTIFY_MAX_ALERTS" envDefault:"100" help:"most alarms listed in one webhook message; the rest are counted"`
	ResendInterval time.Duration `env:"NOTIFY_RESEND_INTERVAL" envDefault:"1m" help:"how often an alarm that holds is resent to Alertmanager, which resolves it after four times as long without"`
	Timeout        time.Duration `env:"NOTIFY_TIMEOUT" envDefault:"10s" help:"how long a receiver of alarms may take to answer"`
}

// Enabled reports whether notifications are configured.
func (c *Config) Enabled() bool { return c.WebhookURL != "" || len(c.AlertmanagerURLs) > 0 }

// Check returns an error that names the variable of every bad setting. It never quotes a
// URL or the token: they may be secrets.
func (c *Config) Check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	address := func(name, text string) {
		u, err := url.Parse(text)
		want(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "%s: want http:// or https:// and a host", name)
	}
	if c.WebhookURL != "" {
		address("NOTIFY_WEBHOOK_URL", c.WebhookURL)
	}
	for _, text := range c.AlertmanagerURLs {
		address("NOTIFY_ALERTMANAGER_URL", strings.TrimSpace(text))
	}
	if c.ExternalURL != "" {
		address("NOTIFY_EXTERNAL_URL", c.ExternalURL)
	}
	errs = append(errs, c.checkTokens())
	want(rank(telemetry.Severity(c.MinSeverity)) > 0, "NOTIFY_MIN_SEVERITY=%q: want critical, high, medium or low", c.MinSeverity)
	want(c.GroupWait >= 0, "NOTIFY_GROUP_WAIT=%s: want 0 or more", c.GroupWait)
	want(c.GroupInterval >= 0, "NOTIFY_GROUP_INTERVAL=%s: want 0 or more", c.GroupInterval)
	want(c.RepeatInterval > 0, "NOTIFY_REPEAT_INTERVAL=%s: want more than 0", c.RepeatInterval)
	want(c.MaxAlerts > 0, "NOTIFY_MAX_ALERTS=%d: want 1 or more", c.MaxAlerts)
	want(c.ResendInterval >= 100*time.Millisecond, "NOTIFY_RESEND_INTERVAL=%s: want 100ms or more", c.ResendInterval)
	want(c.Timeout > 0, "NOTIFY_TIMEOUT=%s: want more than 0", c.Timeout)
	return errors.Join(errs...)
}

// checkTokens returns an error for a token that would not be sent, or be seen by others.
func (c *Config) checkTokens() error {
	var errs []error
	bad := func(name, why string) { errs = append(errs, fmt.Errorf("%s: %s", name, why)) }
	webhooks := []string{c.WebhookURL}
	if c.WebhookURL == "" {
		webhooks = nil
	}
	if c.BearerToken != "" && len(webhooks) > 0 && len(c.AlertmanagerURLs) > 0 {
		bad("NOTIFY_BEARER_TOKEN", "it would go to both kinds of receivers: set NOTIFY_WEBHOOK_TOKEN and NOTIFY_ALERTMANAGER_TOKEN in its place")
	}
	for _, t := range []struct {
		name, receiver string
		token          config.Secret
		urls           []string
	}{
		{"NOTIFY_WEBHOOK_TOKEN", "NOTIFY_WEBHOOK_URL", c.WebhookToken, webhooks},
		{"NOTIFY_ALERTMANAGER_TOKEN", "NOTIFY_ALERTMANAGER_URL", c.AlertmanagerToken, c.AlertmanagerURLs},
		{"NOTIFY_BEARER_TOKEN", "the receiver's URL", c.BearerToken, append(webhooks, c.AlertmanagerURLs...)},
	} {
		switch {
		case t.token == "":
		case strings.ContainsAny(string(t.token), "\r\n"):
			bad(t.name, "want one line")
		case len(t.urls) == 0:
			bad(t.name, "there is no "+t.receiver+" to send it to")
		case !c.TokenInClear && slices.ContainsFunc(t.urls, inClear):
			bad(t.name, "it would go to another machine in clear: want https:// in "+t.receiver+", or NOTIFY_TOKEN_IN_CLEAR=true")
		}
	}
	return errors.Join(errs...)
}

// inClear reports whether a receiver is reached without TLS, and not on this machine.
func inClear(address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}

// token returns the token for one kind of receivers.
func (c *Config) token(kind string) string {
	if kind == kindWebhook {
		return string(cmp.Or(c.WebhookToken, c.BearerToken))
	}
	return string(cmp.Or(c.AlertmanagerToken, c.BearerToken))
}

// rank orders severities, 0 for an unknown one.
func rank(s telemetry.Severity) int {
	switch s {
	case telemetry.SeverityCritical:
		return 4
	case telemetry.SeverityHigh:
		return 3
	case telemetry.SeverityMedium:
		return 2
	case telemetry.SeverityLow:
		return 1
	default:
		return 0
	}
}
