package kafka_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/logtest"
)

const (
	user                   = "core"
	password               = "correct horse, battery"
	wrong    config.Secret = "wrong horse"
)

// signed returns a cluster for a user with the right password.
func signed(addr string, m kafka.Mechanism) kafka.Cluster {
	c := kafka.At(addr)
	c.Protocol = kafka.SASLPlaintext
	c.SASL = kafka.SASL{Mechanism: m, Username: user, Password: password}
	return c
}

// encrypted is signed with TLS.
func encrypted(addr string, m kafka.Mechanism, caFile string) kafka.Cluster {
	c := signed(addr, m)
	c.Protocol, c.CAFile = kafka.SASLTLS, caFile
	return c
}

func TestEveryMechanismWritesAndReads(t *testing.T) {
	ca := kafkatest.NewAuthority(t)
	server := ca.Server(t, time.Now().Add(time.Hour))
	for _, m := range []kafka.Mechanism{kafka.Plain, kafka.SCRAM256, kafka.SCRAM512} {
		plain := signed(kafkatest.Guarded(t, kfake.Superuser(string(m), user, password)), m)
		secure := encrypted(kafkatest.Guarded(t, kfake.Superuser(string(m), user, password), kfake.TLS(server)), m, ca.File)
		for _, c := range []kafka.Cluster{plain, secure, secure.Open()} {
			require.NoError(t, c.Check())
			topic := kafkatest.Name(t, "topic")
			require.NoError(t, kafka.EnsureTopics(within(t), quiet(), c, kafka.Topic{Name: topic, Partitions: 1, Compacted: true}))
			p, err := kafka.NewProducer(within(t), quiet(), kafka.Config{Cluster: c}, "test", topic)
			require.NoError(t, err)
			state, err := kafka.Restore(within(t), quiet(), c, p, topic, 0)
			require.NoError(t, err)
			require.Empty(t, state)
			require.NoError(t, p.Close())
			require.NoError(t, c.Refusal())
		}
	}
}

// TestCertificateSignsIn is mutual TLS, with SASL because the embedded broker insists on it.
func TestCertificateSignsIn(t *testing.T) {
	ca := kafkatest.NewAuthority(t)
	server := ca.Server(t, time.Now().Add(time.Hour))
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool
	c := encrypted(kafkatest.Guarded(t, kfake.Superuser("PLAIN", user, password), kfake.TLS(server)), kafka.Plain, ca.File)
	c.CertFile, c.KeyFile = ca.Issue(t, "core", time.Now().Add(time.Hour))
	require.NoError(t, kafka.EnsureTopics(within(t), quiet(), c, kafka.Topic{Name: "topic", Partitions: 1}))
}

// TestRefusalIsNamedAndRetried holds for certificates and for a mechanism; `make test-kafka` has
// passwords, for which the embedded broker hangs up without an answer.
func TestRefusalIsNamedAndRetried(t *testing.T) {
	ca, other := kafkatest.NewAuthority(t), kafkatest.NewAuthority(t)
	good, expired := ca.Server(t, time.Now().Add(time.Hour)), ca.Server(t, time.Now().Add(-time.Minute))
	mutual := good.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool
	at := func(server *tls.Config) kafka.Cluster {
		return encrypted(kafkatest.Guarded(t, kfake.Superuser("PLAIN", user, password), kfake.TLS(server)), kafka.Plain, ca.File)
	}
	for name, x := range map[string]struct {
		server *tls.Config
		bend   func(*kafka.Cluster)
		want   string
	}{
		"wrong CA":        {good, func(c *kafka.Cluster) { c.CAFile = other.File }, "unknown authority"},
		"expired broker":  {expired, func(*kafka.Cluster) {}, "certificate has expired"},
		"wrong name":      {good, func(c *kafka.Cluster) { c.ServerName = "kafka" }, "wanted to match kafka"},
		"no certificate":  {mutual, func(*kafka.Cluster) {}, "certificate required"},
		"expired program": {mutual, func(c *kafka.Cluster) { c.CertFile, c.KeyFile = ca.Issue(t, "old", time.Now().Add(-time.Minute)) }, "expired certificate"},
		"mechanism": {good, func(c *kafka.Cluster) {
			c.SASL = kafka.SASL{Mechanism: kafka.OAuthBearer, OAuth: kafka.OAuth{TokenURL: "http://127.0.0.1:1", ClientID: user, ClientSecret: password}}
		}, "KAFKA_SASL_MECHANISM=OAUTHBEARER"},
	} {
		t.Run(name, func(t *testing.T) {
			c := at(x.server)
			x.bend(&c)
			refusedFor(t, c, x.want)
		})
	}
}

// refusedFor tries to connect and requires that Refusal knows why not, that it is in the log
// once, that no secret is anywhere, and that the program goes on trying.
func refusedFor(t *testing.T, c kafka.Cluster, want string) {
	t.Helper()
	log := &logtest.Buffer{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	c, limit := c.Open(), within(t)
	go func() {
		debug := &slog.HandlerOptions{Level: slog.LevelDebug}
		done <- kafka.EnsureTopics(ctx, slog.New(slog.NewTextHandler(log, debug)), c, kafka.Topic{Name: "topic", Partitions: 1})
	}()
	for c.Refusal() == nil || !strings.Contains(log.String(), "kafka refused") {
		select {
		case err := <-done:
			require.Fail(t, "gave up", "%v", err)
		case <-limit.Done():
			require.Fail(t, "not refused", log.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.ErrorContains(t, c.Refusal(), want)
	cancel()
	text := fmt.Sprintf("%s %v %+v %#v", log.String(), <-done, c, c)
	require.Equal(t, 1, strings.Count(text, "kafka refused"))
	require.NotContains(t, text, password)
	require.NotContains(t, text, string(wrong))
}

// TestRenewedFilesNeedNoRestart starts with the CA of another cluster.
func TestRenewedFilesNeedNoRestart(t *testing.T) {
	ca, other := kafkatest.NewAuthority(t), kafkatest.NewAuthority(t)
	addr := kafkatest.Guarded(t, kfake.Superuser("PLAIN", user, password), kfake.TLS(ca.Server(t, time.Now().Add(time.Hour))))
	file := filepath.Join(t.TempDir(), "ca.pem")
	put := func(from string) {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, b, 0o600))
	}
	put(other.File)
	c := encrypted(addr, kafka.Plain, file).Open()
	ctx, done := within(t), make(chan error, 1)
	go func() { done <- kafka.EnsureTopics(ctx, quiet(), c, kafka.Topic{Name: "topic", Partitions: 1}) }()
	require.Eventually(t, func() bool { return c.Refusal() != nil }, waitTimeout, 10*time.Millisecond)
	put(ca.File)
	require.NoError(t, <-done)
	require.NoError(t, c.Refusal())
}

func TestTokenIsKeptUntilItExpires(t *testing.T) {
	asked, lasts := 0, 3600
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		id, secret, _ := r.BasicAuth()
		_ = r.ParseForm()
		if id != user || secret != "s3cret" || r.PostForm.Get("scope") != "kafka plant" || r.PostForm.Get("grant_type") != "client_credentials" {
			http.Error(w, "not "+secret, http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprintf("token-%d", asked), "token_type": "bearer", "expires_in": lasts})
	}))
	defer server.Close()
	c := kafka.At("127.0.0.1:1")
	c.Protocol = kafka.SASLPlaintext
	c.SASL = kafka.SASL{Mechanism: kafka.OAuthBearer, OAuth: kafka.OAuth{TokenURL: server.URL, ClientID: user, ClientSecret: "s3cret", Scopes: []string{"kafka", "plant"}}}
	require.NoError(t, c.Check())
	c = c.Open()
	token := func() string {
		got, err := c.Settings("test").Net.SASL.TokenProvider.Token()
		require.NoError(t, err)
		return got.Token
	}
	require.Equal(t, "token-1", token())
	require.Equal(t, "token-1", token(), "all connections share it")
	lasts = 1
	c = c.Open()
	require.Equal(t, "token-2", token())
	require.Equal(t, "token-3", token(), "a token about to expire is replaced")

	c.OAuth.ClientSecret = wrong
	_, err := c.Open().Settings("test").Net.SASL.TokenProvider.Token()
	require.ErrorContains(t, err, "KAFKA_SASL_OAUTH_TOKEN_URL answers 400")
	require.NotContains(t, err.Error(), string(wrong), "the server's answer has it")
}

func TestContradictionNamesTheVariable(t *testing.T) {
	ca := kafkatest.NewAuthority(t)
	cert, key := ca.Issue(t, "core", time.Now().Add(time.Hour))
	scram := signed("kafka:9092", kafka.SCRAM512)
	oauth := kafka.At("kafka:9092")
	oauth.Protocol = kafka.SASLTLS
	oauth.SASL = kafka.SASL{Mechanism: kafka.OAuthBearer, OAuth: kafka.OAuth{TokenURL: "https://idp/token", ClientID: "core", ClientSecret: password}}
	mutual := kafka.At("kafka:9092")
	mutual.Protocol, mutual.SSL = kafka.TLS, kafka.SSL{CAFile: ca.File, CertFile: cert, KeyFile: key}
	for _, good := range []kafka.Cluster{kafka.At("kafka:9092"), scram, oauth, mutual} {
		require.NoError(t, good.Check())
	}
	for want, x := range map[string]struct {
		c    kafka.Cluster
		bend func(*kafka.Cluster)
	}{
		"KAFKA_SECURITY_PROTOCOL=TLS: want":                                                    {scram, func(c *kafka.Cluster) { c.Protocol = "TLS" }},
		"KAFKA_SASL_MECHANISM is empty":                                                        {scram, func(c *kafka.Cluster) { c.Mechanism = "" }},
		"KAFKA_SASL_MECHANISM=GSSAPI: want PLAIN":                                              {scram, func(c *kafka.Cluster) { c.Mechanism = "GSSAPI" }},
		"KAFKA_SASL_MECHANISM is set, which counts only with KAFKA_SECURITY_PROTOCOL=SASL_SSL": {scram, func(c *kafka.Cluster) { c.Protocol = kafka.TLS }},
		"KAFKA_SASL_USERNAME is empty":                                                         {scram, func(c *kafka.Cluster) { c.Username = "" }},
		"KAFKA_SASL_PASSWORD is empty":                                                         {scram, func(c *kafka.Cluster) { c.Password = "" }},
		"KAFKA_SASL_OAUTH_SCOPES is set":                                                       {scram, func(c *kafka.Cluster) { c.OAuth.Scopes = []string{"kafka"} }},
		"KAFKA_SSL_CA_FILE is set, which counts only":                                          {scram, func(c *kafka.Cluster) { c.CAFile = ca.File }},
		"KAFKA_SASL_OAUTH_TOKEN_URL is empty":                                                  {oauth, func(c *kafka.Cluster) { c.OAuth.TokenURL = "" }},
		"KAFKA_SASL_OAUTH_TOKEN_URL: want https":                                               {oauth, func(c *kafka.Cluster) { c.OAuth.TokenURL = "https://me:correct@idp/" }},
		"KAFKA_SASL_OAUTH_CLIENT_SECRET is empty":                                              {oauth, func(c *kafka.Cluster) { c.OAuth.ClientSecret = "" }},
		"KAFKA_SASL_USERNAME is set":                                                           {oauth, func(c *kafka.Cluster) { c.Username = "core" }},
		"KAFKA_SSL_KEY_FILE is empty":                                                          {mutual, func(c *kafka.Cluster) { c.KeyFile = "" }},
		"KAFKA_SSL_CERT_FILE is empty":                                                         {mutual, func(c *kafka.Cluster) { c.CertFile = "" }},
		"KAFKA_SSL_CA_FILE: open":                                                              {mutual, func(c *kafka.Cluster) { c.CAFile = "/nowhere" }},
		"KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE: tls":                                      {mutual, func(c *kafka.Cluster) { c.KeyFile = cert }},
		key + " holds no certificate":                                                          {mutual, func(c *kafka.Cluster) { c.CAFile = key }},
	} {
		x.bend(&x.c)
		err := x.c.Check()
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "correct")
	}
}
