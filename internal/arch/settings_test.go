package arch_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/deploy/allinone/plant"
	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/portal/web"
	"industrial-iot-monitor/sim/simulator"
)

var update = flag.Bool("update", false, "write .env.example from the programs' configurations")

// setting is a variable with the programs that share its description.
type setting struct {
	config.Var
	programs []string
}

// settings lists the variables of all programs. A variable that programs describe
// differently appears once per description.
func settings(t *testing.T) []setting {
	t.Helper()
	var all []setting
	for _, program := range []struct {
		name string
		cfg  any
	}{
		{"edge", gateway.Config{}},
		{"bridge", relay.Config{}},
		{"core", processor.Config{}},
		{"portal", web.Config{}},
		{"sim", simulator.Config{}},
		{"allinone", plant.Config{}},
	} {
		vars := config.Describe(program.cfg)
		require.NotEmpty(t, vars, program.name)
		for _, v := range vars {
			same := func(s setting) bool { return s.Name == v.Name && s.Default == v.Default && s.Help == v.Help }
			if i := slices.IndexFunc(all, same); i >= 0 {
				all[i].programs = append(all[i].programs, program.name)
			} else {
				all = append(all, setting{v, []string{program.name}})
			}
		}
	}
	return all
}

func TestEveryVariableHasAMeaning(t *testing.T) {
	for _, s := range settings(t) {
		require.NotEmpty(t, s.Help, "%s of %v has no help", s.Name, s.programs)
		require.Regexp(t, `^[A-Z][A-Z0-9_]*$`, s.Name)
	}
}

// TestEnvExampleListsEveryVariable compares .env.example with the configuration structs.
func TestEnvExampleListsEveryVariable(t *testing.T) {
	file := filepath.Join(root, ".env.example")
	want := envExample(settings(t))
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o600))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run: go test ./internal/arch -run EnvExample -update")
}

func envExample(all []setting) string {
	var b strings.Builder
	b.WriteString("# Every setting of every program, with its default. A program reads .env in its working\n" +
		"# directory; the environment wins over it. Uncomment what you want to change.\n")
	section := func(title string, in func(setting) bool) {
		fmt.Fprintf(&b, "\n# ---- %s ----\n", title)
		for _, s := range all {
			if !in(s) {
				continue
			}
			fmt.Fprintf(&b, "\n# %s", s.Help)
			if len(s.programs) > 1 {
				fmt.Fprintf(&b, " (%s)", strings.Join(s.programs, ", "))
			}
			fmt.Fprintf(&b, "\n#%s=%s\n", s.Name, s.Default)
		}
	}
	section("several programs", func(s setting) bool { return len(s.programs) > 1 })
	for _, program := range []string{"edge", "bridge", "core", "portal", "sim", "allinone"} {
		section(program, func(s setting) bool { return len(s.programs) == 1 && s.programs[0] == program })
	}
	return b.String()
}

// TestComposeSetsVariablesThatExist catches misspelled variables.
func TestComposeSetsVariablesThatExist(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	known := settings(t)
	foreign := []string{"kafka", "redis", "postgres", "victoriametrics", "prometheus", "alertmanager", "grafana", "jaeger"}
	service := regexp.MustCompile(`^  ([a-z-]+):`)
	variable := regexp.MustCompile(`^ +([A-Z][A-Z0-9_]+): `)
	in, found := "", 0
	for line := range strings.Lines(string(b)) {
		if m := service.FindStringSubmatch(line); m != nil {
			in = m[1]
		}
		m := variable.FindStringSubmatch(line)
		if m == nil || slices.Contains(foreign, in) { // settings of their own
			continue
		}
		found++
		require.True(t, slices.ContainsFunc(known, func(s setting) bool { return s.Name == m[1] }), "%s sets %s, which no program reads", in, m[1])
	}
	require.Greater(t, found, 10, "docker-compose.yml sets variables")
}
