package program

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/ops"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	goleak.VerifyTestMain(m)
}

type settings struct{ ops.LogConfig }

// service ends with err, or with nil when its context ends.
type service struct{ err error }

func (s service) Run(ctx context.Context) error {
	if s.err == nil {
		<-ctx.Done()
	}
	return s.err
}

func TestExitCodeSaysHowItEnded(t *testing.T) {
	usable := settings{ops.LogConfig{Level: "info", Format: "text"}}
	for name, tc := range map[string]struct {
		cfg                settings
		load, start, serve error
		code               int
		says               string
	}{
		"stopped":         {cfg: usable},
		"help":            {load: config.ErrHelp},
		"bad settings":    {load: errors.New(`X="y": want a number`), code: 2, says: "gate: X=\"y\": want a number\n"},
		"bad log level":   {cfg: settings{ops.LogConfig{Level: "loud"}}, code: 2, says: "gate: LOG_LEVEL=\"loud\": want debug, info, warn or error\n"},
		"does not start":  {cfg: usable, start: errors.New("port in use"), code: 1, says: "gate: port in use\n"},
		"ends by itself":  {cfg: usable, serve: errors.New("disk is gone"), code: 1, says: "gate: disk is gone\n"},
		"help is wrapped": {load: errors.Join(config.ErrHelp)},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			stop()
			var stderr bytes.Buffer
			code := run(ctx, "gate", &stderr,
				func() (settings, error) { return tc.cfg, tc.load },
				func(cfg settings, log *slog.Logger) (service, error) {
					require.Equal(t, tc.cfg, cfg)
					require.NotNil(t, log)
					return service{tc.serve}, tc.start
				})
			require.Equal(t, tc.code, code)
			require.Equal(t, tc.says, stderr.String())
		})
	}
}

func TestSettingsComeFromTheEnvironmentAlone(t *testing.T) {
	t.Chdir(t.TempDir()) // without a .env
	t.Setenv("LOG_LEVEL", "debug")
	cfg, err := FromEnvironment[settings]("gate", "opens", nil)()
	require.NoError(t, err)
	require.Equal(t, settings{ops.LogConfig{Level: "debug", Format: "text"}}, cfg)
	_, err = FromEnvironment[settings]("gate", "opens", []string{"wide"})()
	require.ErrorContains(t, err, `gate takes no argument "wide"`)
}

type checked struct{ ops.LogConfig }

func (*checked) Check() error { return errors.New(`X="y": want a number`) }

func TestUnusableSettingsAreMisuse(t *testing.T) {
	t.Chdir(t.TempDir()) // without a .env
	var stderr bytes.Buffer
	code := run(t.Context(), "gate", &stderr, FromEnvironment[checked]("gate", "opens", nil),
		func(checked, *slog.Logger) (service, error) { return service{}, errors.New("started") })
	require.Equal(t, 2, code)
	require.Equal(t, "gate: X=\"y\": want a number\n", stderr.String())
}

func TestVersionAloneEndsWithoutSettings(t *testing.T) {
	type none struct {
		Missing string `env:"PROGRAM_TEST_MISSING,required"`
	}
	_, err := FromEnvironment[none]("edge", "", []string{"--version"})()
	require.ErrorIs(t, err, config.ErrHelp)
	_, err = FromEnvironment[none]("edge", "", []string{"--version", "x"})()
	require.NotErrorIs(t, err, config.ErrHelp)
	require.Error(t, err)
}
