package notify

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestAnswersAreClassified(t *testing.T) {
	for _, c := range []struct {
		status int
		want   outcome
	}{
		{200, accepted},
		{202, accepted},
		{204, accepted},
		{301, refused},
		{307, refused},
		{400, refused},
		{401, refused},
		{404, refused},
		{408, failed},
		{413, refused},
		{429, failed},
		{500, failed},
		{502, failed},
		{503, failed},
	} {
		t.Run(strconv.Itoa(c.status), func(t *testing.T) {
			e := newEndpoint(t, func(_ int, w http.ResponseWriter) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
			})
			tr := newTransport()
			defer tr.CloseIdleConnections()
			a := newPoster(e.URL, "", waitTimeout, tr).post(t.Context(), []byte("{}"))
			require.Equal(t, c.want, a.outcome)
			require.Equal(t, c.status, a.status)
			require.Equal(t, 1, e.requests(), "a redirect is not followed")
		})
	}
}

func TestRequestCarriesTheToken(t *testing.T) {
	e := newEndpoint(t, nil)
	tr := newTransport()
	defer tr.CloseIdleConnections()
	require.Equal(t, accepted, newPoster(e.URL, "secret", waitTimeout, tr).post(t.Context(), []byte("[]")).outcome)
	require.Equal(t, "Bearer secret", e.headers[0].Get("Authorization"))
	require.Equal(t, "application/json", e.headers[0].Get("Content-Type"))
	require.Contains(t, e.headers[0].Get("User-Agent"), "industrial-iot-monitor/")
}

func TestReceiverOverTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	tr := newTransport()
	defer tr.CloseIdleConnections()
	require.Equal(t, failed, newPoster(s.URL, "", waitTimeout, tr).post(t.Context(), nil).outcome, "the certificate is not trusted")

	trusting := newTransport()
	defer trusting.CloseIdleConnections()
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:errcheck,forcetypeassert // it is one
	trusting.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	require.Equal(t, accepted, newPoster(s.URL, "", waitTimeout, trusting).post(t.Context(), nil).outcome)
}

func TestSlowReceiverIsNotWaitedFor(t *testing.T) {
	release := make(chan struct{})
	e := newEndpoint(t, func(int, http.ResponseWriter) { <-release })
	defer close(release)
	tr := newTransport()
	defer tr.CloseIdleConnections()
	a := newPoster(e.URL, "", 50*time.Millisecond, tr).post(t.Context(), nil)
	require.Equal(t, failed, a.outcome)
	require.ErrorContains(t, a.err, "no answer in time")
}

func TestRetryAfter(t *testing.T) {
	now := time.Now()
	for text, want := range map[string]time.Duration{
		"": 0, "x": 0, "-1": 0, "0": 0, "7": 7 * time.Second, "86400": maxRetryAfter, "99999999999999999999": 0,
		now.Add(-time.Minute).UTC().Format(http.TimeFormat): 0,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {text}}, now), "%q", text)
	}
	at := now.Add(30 * time.Second).UTC().Format(http.TimeFormat)
	require.InDelta(t, 30, retryAfter(http.Header{"Retry-After": {at}}, now).Seconds(), 1)
}

func TestBackoffGrowsToALimit(t *testing.T) {
	var p backoff
	now := time.Now()
	for i := range 100 {
		require.Equal(t, i+1, p.next(now))
		pause := p.until.Sub(now)
		full := min(minBackoff<<min(i, 20), maxBackoff)
		require.GreaterOrEqual(t, pause, full/2)
		require.LessOrEqual(t, pause, full)
	}
}

// TestSecretsAreNotLogged has them in every place of the URL and lets the receiver echo
// them.
func TestSecretsAreNotLogged(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
	}{
		{"refused", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("no " + r.Header.Get("Authorization") + r.URL.String())) // the test sees what arrived
		}},
		{"unavailable", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(r.URL.Path))
		}},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(c.answer))
			defer s.Close()
			cfg := fast(t)
			cfg.WebhookURL = "http://user:secret1@" + s.Listener.Addr().String() + "/hook/secret2?key=secret3"
			cfg.WebhookToken = "secret4"
			var out bytes.Buffer
			n, err := New(Options{Config: cfg, Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), Registry: prometheus.NewRegistry()})
			require.NoError(t, err)
			defer n.transport.CloseIdleConnections()
			n.outbox.open(0, 0, false)
			n.outbox.start(0, time.Now())
			n.outbox.apply(0, alarm("a", "temperature_high"), 0, time.Now(), time.Now())
			d := n.deliverers[0]
			m, _ := d.planner.plan(time.Now().Add(time.Hour))
			require.NotNil(t, m)
			d.deliver(t.Context(), m)
			require.NotEmpty(t, out.String())
			require.NotContains(t, out.String(), "secret")
		})
	}
	cfg := defaultConfig(t)
	cfg.WebhookURL, cfg.AlertmanagerURLs, cfg.WebhookToken = "ftp://secret", []string{"http://secret\x7f"}, "secret\n"
	err := cfg.Check()
	require.ErrorContains(t, err, "NOTIFY_WEBHOOK_URL")
	require.ErrorContains(t, err, "NOTIFY_ALERTMANAGER_URL")
	require.ErrorContains(t, err, "NOTIFY_WEBHOOK_TOKEN: want one line")
	require.NotContains(t, err.Error(), "secret")
}

// TestEachReceiverGetsItsOwnToken: the token of one is not shown to another.
func TestEachReceiverGetsItsOwnToken(t *testing.T) {
	for name, c := range map[string]struct {
		set                   func(*Config)
		webhook, alertmanager string
	}{
		"two tokens": {func(c *Config) { c.WebhookToken, c.AlertmanagerToken = "w", "a" }, "w", "a"},
		"one token":  {func(c *Config) { c.WebhookToken = "w" }, "w", ""},
		"none":       {func(*Config) {}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			webhook, alertmanager := newEndpoint(t, nil), newEndpoint(t, nil)
			cfg := fast(t)
			cfg.WebhookURL, cfg.AlertmanagerURLs = webhook.URL, []string{alertmanager.URL}
			c.set(&cfg)
			require.NoError(t, cfg.Check())
			n, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
			require.NoError(t, err)
			defer n.transport.CloseIdleConnections()
			for _, d := range n.deliverers {
				require.Equal(t, accepted, d.poster.post(t.Context(), []byte("{}")).outcome)
			}
			for e, token := range map[*endpoint]string{webhook: c.webhook, alertmanager: c.alertmanager} {
				want := ""
				if token != "" {
					want = "Bearer " + token
				}
				require.Equal(t, want, e.headers[0].Get("Authorization"))
			}
		})
	}
}

func TestTokenThatOthersCouldReadIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*Config)
		want string // "": it is good
	}{
		"https":         {func(c *Config) { c.WebhookURL, c.WebhookToken = "https://pager.example/hook", "t" }, ""},
		"http":          {func(c *Config) { c.WebhookURL, c.WebhookToken = "http://pager.example/hook", "t" }, "NOTIFY_WEBHOOK_TOKEN: it would go to another machine in clear: want https:// in NOTIFY_WEBHOOK_URL"},
		"http, told":    {func(c *Config) { c.WebhookURL, c.WebhookToken, c.TokenInClear = "http://pager.example/hook", "t", true }, ""},
		"without token": {func(c *Config) { c.WebhookURL = "http://pager.example/hook" }, ""},
		"this machine":  {func(c *Config) { c.WebhookURL, c.WebhookToken = "http://localhost:9/hook", "t" }, ""},
		"by its address": {func(c *Config) {
			c.AlertmanagerURLs, c.AlertmanagerToken = []string{"http://127.0.0.1:9", " http://[::1]:9"}, "t"
		}, ""},
		"one of several": {func(c *Config) {
			c.AlertmanagerURLs, c.AlertmanagerToken = []string{"https://a.example", " http://10.0.0.7:9093"}, "t"
		}, "NOTIFY_ALERTMANAGER_TOKEN: it would"},
		"no receiver": {func(c *Config) { c.WebhookURL, c.AlertmanagerToken = "https://pager.example", "t" }, "NOTIFY_ALERTMANAGER_TOKEN: there is no NOTIFY_ALERTMANAGER_URL"},
		"former name": {func(c *Config) { c.WebhookURL, c.BearerToken = "https://pager.example", "t" }, ""},
		"for two kinds": {func(c *Config) {
			c.WebhookURL, c.AlertmanagerURLs, c.BearerToken = "https://pager.example", []string{"https://a.example"}, "t"
		}, "NOTIFY_BEARER_TOKEN: it would go to both"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := defaultConfig(t)
			c.set(&cfg)
			if c.want == "" {
				require.NoError(t, cfg.Check())
				return
			}
			require.ErrorContains(t, cfg.Check(), c.want)
		})
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	good := defaultConfig(t)
	require.NoError(t, good.Check())
	require.False(t, good.Enabled())
	for name, spoil := range map[string]func(*Config){
		"NOTIFY_EXTERNAL_URL":    func(c *Config) { c.ExternalURL = "portal" },
		"NOTIFY_MIN_SEVERITY":    func(c *Config) { c.MinSeverity = "bad" },
		"NOTIFY_GROUP_WAIT":      func(c *Config) { c.GroupWait = -1 },
		"NOTIFY_GROUP_INTERVAL":  func(c *Config) { c.GroupInterval = -1 },
		"NOTIFY_REPEAT_INTERVAL": func(c *Config) { c.RepeatInterval = 0 },
		"NOTIFY_MAX_ALERTS":      func(c *Config) { c.MaxAlerts = 0 },
		"NOTIFY_RESEND_INTERVAL": func(c *Config) { c.ResendInterval = 0 },
		"NOTIFY_TIMEOUT":         func(c *Config) { c.Timeout = 0 },
	} {
		bad := good
		spoil(&bad)
		require.ErrorContains(t, bad.Check(), name)
	}
}
