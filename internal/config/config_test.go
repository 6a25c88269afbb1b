package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Network is embedded as shared parts are in the programs' configurations.
type Network struct {
	Addr    string   `env:"CFGTEST_NETWORK_ADDR" envDefault:"127.0.0.1:1" help:"where to listen"`
	Servers []string `env:"CFGTEST_SERVERS" envDefault:"a:1,b:2" envSeparator:"," help:"whom to ask"`
}

type disk struct {
	Addr string `env:"CFGTEST_DISK" help:"which disk"`
	Size int64  `env:"CFGTEST_SIZE" envDefault:"1024" help:"size in bytes"`
}

type program struct {
	Network
	Disk     disk
	Interval time.Duration `env:"CFGTEST_INTERVAL" envDefault:"5s" help:"how often"`
	Ratio    float64       `env:"CFGTEST_RATIO" envDefault:"0.5" help:"share, 0 to 1"`
	On       bool          `env:"CFGTEST_ON" envDefault:"true" help:"whether"`
	Must     string        `env:"CFGTEST_MUST,required" help:"has no default"`
	internal int           // no tag: not a setting
}

// inEmptyDir runs the test in a directory of its own, with the given .env if any.
func inEmptyDir(t *testing.T, dotenv string) {
	t.Helper()
	dir := t.TempDir()
	if dotenv != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(dotenv), 0o600))
	}
	t.Chdir(dir)
}

func load(t *testing.T) (program, error) {
	t.Helper()
	var cfg program
	err := Load(Program{Name: "prog"}, &cfg)
	return cfg, err
}

func TestDefaultsHoldWhereNothingIsSet(t *testing.T) {
	inEmptyDir(t, "")
	t.Setenv("CFGTEST_MUST", "x")
	cfg, err := load(t)
	require.NoError(t, err)
	require.Equal(t, program{
		Network:  Network{Addr: "127.0.0.1:1", Servers: []string{"a:1", "b:2"}},
		Disk:     disk{Size: 1024},
		Interval: 5 * time.Second, Ratio: 0.5, On: true, Must: "x",
	}, cfg)
	require.Zero(t, cfg.internal)
}

func TestDefaultsAreThoseOfAnEmptyEnvironment(t *testing.T) {
	inEmptyDir(t, "CFGTEST_DISK=file\n")
	t.Setenv("CFGTEST_NETWORK_ADDR", "environment")
	var cfg struct {
		Network
		Disk disk
	}
	require.NoError(t, Defaults(&cfg))
	require.Equal(t, Network{Addr: "127.0.0.1:1", Servers: []string{"a:1", "b:2"}}, cfg.Network)
	require.Equal(t, disk{Size: 1024}, cfg.Disk)
	require.ErrorContains(t, Defaults(&program{}), "CFGTEST_MUST")
}

func TestEnvironmentWinsOverDotEnvWinsOverDefault(t *testing.T) {
	inEmptyDir(t, "# a comment\nCFGTEST_MUST=file\nCFGTEST_INTERVAL=7s\nCFGTEST_SIZE=7\n")
	t.Setenv("CFGTEST_INTERVAL", "9s")
	cfg, err := load(t)
	require.NoError(t, err)
	require.Equal(t, 9*time.Second, cfg.Interval, "environment")
	require.EqualValues(t, 7, cfg.Disk.Size, ".env")
	require.InDelta(t, 0.5, cfg.Ratio, 0, "default")
}

func TestEmptyTextIsKeptAndOtherEmptyValuesMeanTheDefault(t *testing.T) {
	inEmptyDir(t, "CFGTEST_MUST=x\nCFGTEST_RATIO=\nCFGTEST_DISK=file\n")
	t.Setenv("CFGTEST_NETWORK_ADDR", "")
	t.Setenv("CFGTEST_SERVERS", "")
	t.Setenv("CFGTEST_DISK", "")
	cfg, err := load(t)
	require.NoError(t, err)
	require.Empty(t, cfg.Addr, "an empty address switches a listener off")
	require.Empty(t, cfg.Disk.Addr, "an empty variable hides the one in .env")
	require.Equal(t, []string{"a:1", "b:2"}, cfg.Servers)
	require.InDelta(t, 0.5, cfg.Ratio, 0)
}

func TestLoadLeavesTheProcessEnvironmentAlone(t *testing.T) {
	inEmptyDir(t, "CFGTEST_MUST=file\n")
	_, err := load(t)
	require.NoError(t, err)
	_, set := os.LookupEnv("CFGTEST_MUST")
	require.False(t, set, "two programs in one process read their own .env")
}

func TestBadValueNamesTheVariableAndTheValue(t *testing.T) {
	for _, c := range []struct{ name, variable, value, want string }{
		{"duration without unit", "CFGTEST_INTERVAL", "5", `CFGTEST_INTERVAL="5": want a duration such as 300ms, 5s or 1m: `},
		{"number", "CFGTEST_RATIO", "half", `CFGTEST_RATIO="half": want a number: invalid syntax`},
		{"nested whole number", "CFGTEST_SIZE", "1GB", `CFGTEST_SIZE="1GB": want a whole number: invalid syntax`},
		{"too large", "CFGTEST_SIZE", "9999999999999999999", "value out of range"},
		{"yes and no", "CFGTEST_ON", "maybe", `CFGTEST_ON="maybe": want true or false: invalid syntax`},
	} {
		t.Run(c.name, func(t *testing.T) {
			inEmptyDir(t, "CFGTEST_MUST=x\n")
			t.Setenv(c.variable, c.value)
			_, err := load(t)
			require.ErrorContains(t, err, c.want)
		})
		t.Run(c.name+" in .env", func(t *testing.T) {
			inEmptyDir(t, "CFGTEST_MUST=x\n"+c.variable+"="+c.value+"\n")
			_, err := load(t)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestEveryBadValueIsReported(t *testing.T) {
	inEmptyDir(t, "CFGTEST_SIZE=x\nCFGTEST_ON=x\n")
	_, err := load(t)
	require.ErrorContains(t, err, "CFGTEST_SIZE")
	require.ErrorContains(t, err, "CFGTEST_ON")
	require.ErrorContains(t, err, "CFGTEST_MUST")
	require.NotContains(t, err.Error(), "CFGTEST_RATIO")
	require.ErrorIs(t, err, strconv.ErrSyntax)
}

func TestFieldsOfOneNameAreToldApart(t *testing.T) {
	var cfg struct {
		A struct {
			Port int `env:"CFGTEST_A_PORT" envDefault:"1"`
		}
		B struct {
			Port int `env:"CFGTEST_B_PORT" envDefault:"2"`
		}
	}
	err := parse(&cfg, map[string]string{"CFGTEST_A_PORT": "x", "CFGTEST_B_PORT": "3"})
	require.ErrorContains(t, err, `CFGTEST_A_PORT="x"`)
	require.NotContains(t, err.Error(), "CFGTEST_B_PORT")
}

func TestBrokenDotEnvIsAnError(t *testing.T) {
	inEmptyDir(t, "CFGTEST_MUST=x\nthis is not a setting\n")
	_, err := load(t)
	require.ErrorContains(t, err, "reading .env")
}

func TestUnknownArgumentIsAnError(t *testing.T) {
	inEmptyDir(t, "CFGTEST_MUST=x\n")
	var cfg program
	err := Load(Program{Name: "prog", Args: []string{"-port=1"}}, &cfg)
	require.ErrorContains(t, err, `prog takes no argument "-port=1"`)
	require.ErrorContains(t, err, "prog --help")
}

func TestHelpListsEveryVariable(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"-help"}, {"--help"}, {"nonsense", "--help"}} {
		inEmptyDir(t, "CFGTEST_SIZE=bad but help does not care\n")
		var out bytes.Buffer
		var cfg program
		err := Load(Program{Name: "prog", Summary: "does things", Args: args, Out: &out}, &cfg)
		require.ErrorIs(t, err, ErrHelp, "%v", args)
		require.Contains(t, out.String(), "prog: does things")
		for _, v := range Describe(&cfg) {
			require.Contains(t, out.String(), v.Name)
			require.Contains(t, out.String(), v.Help)
		}
	}
}

func TestDescribeListsNestedFieldsInOrder(t *testing.T) {
	vars := Describe(&program{})
	names := make([]string, 0, len(vars))
	for _, v := range vars {
		names = append(names, v.Name)
	}
	require.Equal(t, []string{
		"CFGTEST_NETWORK_ADDR", "CFGTEST_SERVERS", "CFGTEST_DISK", "CFGTEST_SIZE",
		"CFGTEST_INTERVAL", "CFGTEST_RATIO", "CFGTEST_ON", "CFGTEST_MUST",
	}, names)
	require.Equal(t, Var{Name: "CFGTEST_SIZE", Default: "1024", Help: "size in bytes", Field: "Size"}, vars[3])
}

func TestDescribeKnowsPrefixesAndListsAVariableOnce(t *testing.T) {
	type part struct {
		Level string `env:"LEVEL" envDefault:"info"`
	}
	vars := Describe(struct {
		A part `envPrefix:"CFGTEST_A_"`
		B part `envPrefix:"CFGTEST_B_"`
		C part `envPrefix:"CFGTEST_A_"`
		D part `env:"-"`
	}{})
	require.Len(t, vars, 2)
	require.Equal(t, "CFGTEST_A_LEVEL", vars[0].Name)
	require.Equal(t, "CFGTEST_B_LEVEL", vars[1].Name)
}
