package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/listen"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/people"
)

// securityRecords are those in Kafka, which have to hold.
func (r *rig) securityRecords() (out []*securityaudit.Record) {
	r.tb.Helper()
	v, err := auditlog.Verify(r.tb.Context(), r.portal.log, r.cfg.Cluster, r.cfg.Specs().Security)
	require.NoError(r.tb, err)
	require.Empty(r.tb, v.Faults())
	reader, err := kafkatest.NewReader(r.brokers, r.cfg.Security)
	require.NoError(r.tb, err)
	defer reader.Close()
	require.NoError(r.tb, reader.CatchUp(r.tb.Context(), func(m *kgo.Record) error {
		record, err := securityaudit.Decode(m.Value)
		out = append(out, record)
		return err
	}))
	return out
}

// TestSecurityAuditHasWhoDidWhat signs in and out, changes what people may do, and tries what is forbidden.
func TestSecurityAuditHasWhoDidWhat(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, func(o *Options) { o.AnswerWithin = time.Millisecond })
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	admin := r.signIn(firstAdmin)
	r.add(people.Viewer)
	viewer := r.signIn("viewer")
	for range 10 {
		require.Equal(t, http.StatusForbidden, r.post("/api/v1/alerts/a1/acknowledge", `{}`, viewer...).status)
	}
	require.Equal(t, http.StatusForbidden, r.get("/api/v1/users", viewer...).status)
	for name, password := range map[string]string{"VIEWER": "wrong password", "my secret pass": "x"} {
		require.Equal(t, http.StatusUnauthorized, r.ask(http.MethodPost, sessionPath, fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)).status)
	}
	require.Equal(t, http.StatusUnauthorized, r.get("/api/v1/devices", "Authorization", "Bearer iotp_unknown").status)
	require.Equal(t, http.StatusOK, r.ask(http.MethodPost, "/api/v1/users", `{"name":"王工","role":"operator","password":"`+goodPassword+`"}`, admin...).status)
	require.Equal(t, http.StatusConflict, r.ask(http.MethodPatch, "/api/v1/users/admin", `{"role":"viewer","disabled":true,"password":"`+goodPassword+`"}`, admin...).status)
	made := r.ask(http.MethodPost, "/api/v1/tokens", `{"name":"mes","role":"operator","ttl":"1d","act_as":true}`, admin...)
	require.Equal(t, http.StatusOK, made.status, made.body)
	require.Equal(t, http.StatusNotFound, r.ask(http.MethodDelete, "/api/v1/tokens/0123456789ab", "", admin...).status)
	require.Equal(t, http.StatusOK, r.ask(http.MethodDelete, sessionPath, "", viewer...).status)
	r.stop()
	got := map[string]int{}
	for _, x := range r.securityRecords() {
		require.Equal(t, "portal", x.Program)
		require.NotContains(t, string(x.Encode()), "my secret pass")
		require.NotContains(t, string(x.Encode()), goodPassword)
		if x.Who == "viewer" && x.Outcome != securityaudit.Failed {
			require.Equal(t, []string{"local", "127.0.0.1"}, []string{x.Via, x.Address})
			require.NotEmpty(t, x.Session)
		}
		detail, _, _ := strings.Cut(x.Detail, ", id ")
		got[strings.TrimSpace(strings.Join([]string{x.Who, string(x.What), x.About, detail, string(x.Outcome)}, " "))] += max(x.Count, 1)
	}
	require.Equal(t, map[string]int{
		"user_add admin PORTAL_ADMIN_PASSWORD done": 1, "admin sign_in   done": 1, "viewer sign_in   done": 1,
		"viewer command POST /api/v1/alerts/:id/:action  refused": 10,
		"viewer sign_in   failed":                                 1, "sign_in   failed": 2,
		"admin user_add 王工 operator begun": 1, "admin user_add 王工 operator done": 1,
		"admin user_change admin role viewer, disabled, password begun": 1, "admin user_change admin role viewer, disabled, password failed": 1,
		"admin token_add mes operator for 1d, may act for others begun": 1, "admin token_add mes operator for 1d, may act for others done": 1,
		"admin token_revoke 0123456789ab  begun": 1, "admin token_revoke 0123456789ab  failed": 1,
		"viewer sign_out viewer  done": 1,
	}, got)
}

// lost is an audit that cannot be written.
type lost struct {
	mu    sync.Mutex
	notes []securityaudit.Record
}

func (*lost) Write(context.Context, securityaudit.Record) error { return securityaudit.ErrUnavailable }

func (l *lost) Note(r securityaudit.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, r)
}

// TestNothingIsChangedWithoutTheAudit: administrators wait, operators do not.
func TestNothingIsChangedWithoutTheAudit(t *testing.T) {
	t.Parallel()
	audit := &lost{}
	r := signedInRig(t, func(o *Options) {
		o.AnswerWithin, o.Audit, o.Config.Insecure = time.Millisecond, audit, []string{listen.Plaintext}
	})
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	admin := r.signIn(firstAdmin)
	for path, body := range map[string]string{
		"POST /api/v1/users":                 `{"name":"x","role":"operator","password":"` + goodPassword + `"}`,
		"PATCH /api/v1/users/admin":          `{"disabled":false}`,
		"POST /api/v1/tokens":                `{"name":"x","role":"viewer","ttl":"1d"}`,
		"DELETE /api/v1/tokens/0123456789ab": ``,
	} {
		method, path, _ := strings.Cut(path, " ")
		a := r.ask(method, path, body, admin...)
		require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
		require.Equal(t, "audit_unavailable", a.failure(t).Code)
	}
	all, err := r.portal.people.Users(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	tokens, err := r.portal.people.Tokens(t.Context())
	require.NoError(t, err)
	require.Empty(t, tokens)
	a := r.post("/api/v1/alerts/a1/acknowledge", `{}`, admin...)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	audit.mu.Lock()
	defer audit.mu.Unlock()
	require.True(t, slices.ContainsFunc(audit.notes, func(x securityaudit.Record) bool {
		return x.What == securityaudit.InsecureStart && x.Detail == listen.Plaintext
	}))
	require.Equal(t, securityaudit.Done, audit.notes[len(audit.notes)-1].Outcome, "the sign-in waits for Kafka")
}
