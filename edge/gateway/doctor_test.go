package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/edge/internal/doctor"
	"industrial-iot-monitor/edge/internal/enrolment"
	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/test/freeport"
)

// examine runs "edge doctor -json" and returns its report by the names of the checks.
func examine(t *testing.T, args ...string) (code int, checks map[string]doctor.Result) {
	t.Helper()
	var out, errs bytes.Buffer
	code = DoctorCommand(t.Context(), append([]string{"-json"}, args...), &out, &errs)
	require.Empty(t, errs.String())
	var report doctor.Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &report), out.String())
	checks = map[string]doctor.Result{}
	for _, c := range report.Checks {
		checks[c.Check] = c
	}
	require.Len(t, checks, len(report.Checks), "each check has a name of its own: %s", out.String())
	return code, checks
}

// asEnvironment puts settings into the environment, where commands find them.
func asEnvironment(t *testing.T, cfg Config) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, value := range map[string]string{
		"EDGE_GATEWAY_ID": cfg.ID, "EDGE_DATA_DIR": cfg.DataDir, "EDGE_HUB_URL": cfg.HubURL, "EDGE_NATS_ADDR": cfg.NATSAddr,
		"EDGE_MQTT_ADDR": cfg.MQTTAddr, "EDGE_HTTP_ADDR": cfg.HTTPAddr, "EDGE_BUFFER_BYTES": "1073741824",
	} {
		t.Setenv(name, value)
	}
}

func TestDoctorExaminesARunningGatewayWithoutDisturbingIt(t *testing.T) {
	g, h := startWithHub(t)
	require.Eventually(t, g.HubConnected, waitTimeout, 5*time.Millisecond)
	cfg := g.cfg
	cfg.NATSAddr, cfg.MQTTAddr, cfg.HTTPAddr, cfg.HubURL = g.NATSAddr(), g.MQTTAddr(), g.Addr(), h.url()
	asEnvironment(t, cfg)
	require.Eventually(t, func() bool { // its metrics are a second old at most
		_, checks := examine(t)
		return checks["link"].Verdict == doctor.OK
	}, waitTimeout, 50*time.Millisecond)
	code, checks := examine(t, "-rate", "0.001")
	for _, name := range []string{"settings", "gateway", "data directory", "hub", "link", "room for the buffer", "buffer horizon", "EDGE_NATS_ADDR", "EDGE_MQTT_ADDR", "EDGE_HTTP_ADDR"} {
		require.Equal(t, doctor.OK, checks[name].Verdict, "%s: %+v", name, checks[name])
	}
	require.Contains(t, checks["gateway"].Value, "ready")
	require.Zero(t, code, "%+v", checks)
	require.True(t, g.HubConnected())
	_, refused := g.broker.HubRefused()
	require.False(t, refused)

	t.Setenv("EDGE_LINGER", "5s")
	code, checks = examine(t)
	require.Equal(t, 1, code)
	require.Equal(t, doctor.Fail, checks["settings"].Verdict)
	require.Contains(t, checks["settings"].Value, "EDGE_LINGER")
}

func TestDoctorTriesTheKeyWhileNoGatewayRuns(t *testing.T) {
	claim := access.Claim{Gateway: "gw-a", Secret: "s"}
	for name, enrolled := range map[string]bool{"enrolled": true, "revoked": false} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			seed, err := enrolment.Draw(cfg.DataDir, claim)
			require.NoError(t, err)
			known := publicOf(t, seed)
			if !enrolled {
				other, err := enrolment.Draw(t.TempDir(), claim)
				require.NoError(t, err)
				known = publicOf(t, other)
			}
			cfg.HubURL = startGate(t, known)
			require.NoError(t, enrolment.Finish(cfg.DataDir, claim, nil))
			asEnvironment(t, cfg)
			code, checks := examine(t)
			require.Equal(t, doctor.OK, checks["key of the gateway"].Verdict, "%+v", checks)
			require.Equal(t, doctor.OK, checks["hub"].Verdict, "%+v", checks)
			want := map[bool]doctor.Verdict{true: doctor.OK, false: doctor.Fail}[enrolled]
			require.Equal(t, want, checks["link"].Verdict, "%+v", checks["link"])
			require.Equal(t, map[bool]int{true: 0, false: 1}[enrolled], code)
			require.NoFileExists(t, filepath.Join(cfg.DataDir, "gw-a", "lock"), "nothing is locked")
			require.NoFileExists(t, filepath.Join(cfg.DataDir, "gw-a", "instance"), "nothing is written")
		})
	}
}

func TestTryHubSaysWhyNot(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	o := broker.Options{Gateway: "gw-a", HubURL: "nats-leaf://" + freeport.Address(t), Dir: t.TempDir(), Log: discard()}
	require.ErrorIs(t, broker.TryHub(ctx, o), broker.ErrUnreachable)
	o.HubURL = "nonsense"
	require.ErrorContains(t, broker.TryHub(ctx, o), "EDGE_HUB_URL")
}

func TestDoctorRefusesWrongUsage(t *testing.T) {
	t.Setenv("EDGE_DATA_DIR", t.TempDir())
	for _, args := range [][]string{{"-x"}, {"word"}, {"-rate", "-1"}, {"-h"}} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, DoctorCommand(t.Context(), args, &out, &errs), args)
		require.Contains(t, errs.String(), "usage: edge doctor")
		require.Empty(t, out.String())
	}
	var out, errs bytes.Buffer
	require.Equal(t, 1, DoctorCommand(t.Context(), []string{"-env-file", "/none"}, &out, &errs))
	require.Contains(t, errs.String(), "/none")
}

func TestDoctorPrintsOneLineACheck(t *testing.T) {
	asEnvironment(t, config(t))
	var out, errs bytes.Buffer
	DoctorCommand(t.Context(), nil, &out, &errs)
	require.Empty(t, errs.String())
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Greater(t, len(lines), 10)
	for _, line := range lines {
		require.Regexp(t, `^(ok  |warn|fail|skip)  \S.{22} \S`, line)
	}
}
