package arch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/config"
)

// TestPackagedSettingsListEveryVariableOfTheGateway compares the file of settings of the packages with the
// configuration of the gateway.
func TestPackagedSettingsListEveryVariableOfTheGateway(t *testing.T) {
	file := filepath.Join(root, "deploy", "packages", "edge.env")
	want := edgeEnv(config.Describe(gateway.Config{}))
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o600))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run: go test ./internal/arch -run Packaged -update")
}

func edgeEnv(vars []config.Var) string {
	var b strings.Builder
	b.WriteString("# Settings of this gateway: the unit iot-edge.service reads them, and the commands edge enroll, edge device,\n" +
		"# edge key and edge doctor. After a change: systemctl restart iot-edge, or edge doctor first.\n" +
		"# Upgrades keep this file. A gateway that was enrolled by edge enroll needs nothing here.\n" +
		"# Values with a space, a # or a $ have to be in single quotes; no comment behind a value.\n" +
		"\n# Where readings wait until the hub has them. Another place needs ReadWritePaths= too: systemctl edit iot-edge.\n" +
		"EDGE_DATA_DIR=/var/lib/iot-edge\n")
	for _, v := range vars {
		if v.Name != "EDGE_DATA_DIR" {
			fmt.Fprintf(&b, "\n# %s\n#%s=%s\n", v.Help, v.Name, v.Default)
		}
	}
	return b.String()
}
