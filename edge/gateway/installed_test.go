package gateway

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// settingsFile writes a file of settings and returns its name.
func settingsFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "edge.env")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

func TestCommandsUseTheSettingsOfThePackage(t *testing.T) {
	t.Chdir(t.TempDir()) // without a .env
	file := settingsFile(t, "# comment\nEDGE_GATEWAY_ID=gw-p\nEDGE_BUILDING='Hall #3'\nEDGE_MQTT_ADDR=127.0.0.1:2\n")
	t.Setenv("EDGE_MQTT_ADDR", "127.0.0.1:3")
	var cfg Config
	require.NoError(t, cfg.loadFrom(file, true))
	require.Equal(t, "gw-p", cfg.ID)
	require.Equal(t, "Hall #3", cfg.Building)
	require.Equal(t, packagedData, cfg.DataDir, "the unit's")
	require.Equal(t, "127.0.0.1:3", cfg.MQTTAddr, "the environment wins")
	require.Equal(t, "127.0.0.1:4222", cfg.NATSAddr, "the default")

	var other Config
	require.NoError(t, other.loadFrom(file, false))
	require.Equal(t, defaultData, other.DataDir)
	require.ErrorContains(t, new(Config).loadFrom(file+"x", false), file+"x")
	require.ErrorContains(t, new(Config).loadFrom(settingsFile(t, "EDGE_LINGER=1\n"), false), "EDGE_LINGER")
}

func TestThePackageIsNotAskedAboutAnotherGateway(t *testing.T) {
	t.Chdir(t.TempDir())
	file := settingsFile(t, "")
	got, err := packagedFile(file)
	require.NoError(t, err)
	require.Equal(t, file, got)
	got, err = packagedFile(file + "x")
	require.NoError(t, err)
	require.Empty(t, got, "no package is installed")
	t.Setenv("EDGE_DATA_DIR", t.TempDir())
	got, err = packagedFile(file)
	require.NoError(t, err)
	require.Empty(t, got)
}
