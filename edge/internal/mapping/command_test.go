package mapping

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// command runs "edge mappings" with args and a payload.
func command(payload string, args ...string) (code int, out, errs string) {
	var o, e strings.Builder
	c := Command{In: strings.NewReader(payload), Out: &o, Err: &e, Building: building, Now: received}
	code = c.Run(args)
	return code, o.String(), e.String()
}

func TestCommand(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("mappings:\n  - id: x\n"), 0o600))
	values, spark := folder+"values.yaml", folder+"sparkplug.yaml"
	births := []string{"-after", "spBv1.0/line/NBIRTH/press=" + folder + "samples/sparkplug-nbirth.bin", "-after", "spBv1.0/line/DBIRTH/press/motor=" + folder + "samples/sparkplug-dbirth.bin"}
	ddata := string(payloadOf(t, "sparkplug-ddata.bin"))
	for _, tt := range []struct {
		name, payload string
		args          []string
		code          int
		out, errs     string
	}{
		{"a reading", "4.2\n", []string{"test", "-f", values, "-topic", "plant/press/oil_pressure"}, 0, `"oil_pressure":{"value":4.2,"unit":"bar"}`, ""},
		{"by NATS", "4.2\n", []string{"test", "-f", values, "-subject", "plant.press.oil_pressure"}, 0, `"oil_pressure"`, ""},
		{"another building", "1", []string{"test", "-f", values, "-topic", "plant/a/b", "-building", "C栋"}, 0, `"building":"C栋"`, ""},
		{"ignored", "n/a", []string{"test", "-f", values, "-topic", "plant/a/b"}, 0, "", "mapping plc ignores this message"},
		{"refused", strings.Repeat("x", 100), []string{"test", "-f", values, "-topic", "plant/a/b"}, 1, "", "mapping plc: refused: invalid_mapping: sensors.b: "},
		{"no mapping", "1", []string{"test", "-f", values, "-topic", "elsewhere"}, 1, "", "no mapping applies"},
		{"data before its birth", ddata, []string{"test", "-f", spark, "-topic", "spBv1.0/line/DDATA/press/motor"}, 1, "", "before_birth"},
		{"data after its birth", ddata, append([]string{"test", "-f", spark, "-topic", "spBv1.0/line/DDATA/press/motor"}, births...), 0, `"temperature":{"value":72.5`, ""},
		{"valid", "", []string{"check", "-f", values}, 0, "is valid: 1 mappings", ""},
		{"invalid", "", []string{"check", "-f", bad}, 2, "", "line 2: mappings[0].topic: missing"},
		{"no such file", "", []string{"test", "-f", "none.yaml", "-topic", "a"}, 2, "", "no such file"},
		{"no file", "", []string{"test", "-topic", "a"}, 2, "", "-f is missing"},
		{"no topic", "", []string{"test", "-f", values}, 2, "", "want either -topic or -subject"},
		{"both", "", []string{"test", "-f", values, "-topic", "a", "-subject", "a"}, 2, "", "want either -topic or -subject"},
		{"an argument", "", []string{"test", "-f", values, "-topic", "a", "x.json"}, 2, "", "unexpected argument x.json"},
		{"after what", "", []string{"test", "-f", values, "-topic", "a", "-after", "x"}, 2, "", "want TOPIC=FILE"},
		{"after no file", "", []string{"test", "-f", values, "-topic", "a", "-after", "x=none"}, 2, "", "none: no such file"},
		{"unknown flag", "", []string{"test", "-x"}, 2, "", "flag provided but not defined"},
		{"help", "", []string{"test", "-h"}, 0, "", "usage: edge mappings"},
		{"nothing", "", nil, 2, "", "usage: edge mappings"},
		{"unknown", "", []string{"run"}, 2, "", "usage: edge mappings"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := command(tt.payload, tt.args...)
			require.Equal(t, tt.code, code, errs)
			require.Contains(t, out, tt.out)
			require.Contains(t, errs, tt.errs)
			if tt.out == "" {
				require.Empty(t, out)
			}
			if tt.errs == "" {
				require.Empty(t, errs)
			}
		})
	}
}
