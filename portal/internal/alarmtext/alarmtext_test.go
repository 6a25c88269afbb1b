package alarmtext

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the texts of the examples anew")

// examples are alarms and their texts. The page's tests read them, too.
type examples struct {
	Zone    string               `json:"zone"` // of times of day
	Sensors map[string]aboutName `json:"sensors"`
	Alarms  []example            `json:"alarms"`
}

type aboutName struct {
	Zh       string `json:"zh"`
	En       string `json:"en"`
	Unit     string `json:"unit"`
	Decimals int    `json:"decimals"`
}

type example struct {
	Name  string          `json:"name"`
	Alert json.RawMessage `json:"alert"`
	En    string          `json:"en"`
	Zh    string          `json:"zh"`
}

const file = "testdata/texts.json"

func read(tb testing.TB) (examples, *time.Location) {
	tb.Helper()
	data, err := os.ReadFile(file)
	require.NoError(tb, err)
	var x examples
	require.NoError(tb, json.Unmarshal(data, &x))
	zone, err := time.LoadLocation(x.Zone)
	require.NoError(tb, err)
	return x, zone
}

func TestTexts(t *testing.T) {
	x, zone := read(t)
	for i := range x.Alarms {
		e := &x.Alarms[i]
		var a telemetry.Alert
		require.NoError(t, json.Unmarshal(e.Alert, &a), e.Name)
		en, zh := Writer{Zone: zone}.Text(&a), Writer{Lang: "zh", Zone: zone}.Text(&a)
		if *update {
			e.En, e.Zh = en, zh
			continue
		}
		require.Equal(t, e.En, en, e.Name)
		require.Equal(t, e.Zh, zh, e.Name)
	}
	if *update {
		var b strings.Builder
		for i, e := range x.Alarms {
			line := &strings.Builder{}
			out := json.NewEncoder(line)
			out.SetEscapeHTML(false)
			require.NoError(t, out.Encode(e))
			b.WriteString("    " + strings.TrimSpace(line.String()))
			if i < len(x.Alarms)-1 {
				b.WriteString(",")
			}
			b.WriteString("\n")
		}
		known, err := json.Marshal(x.Sensors)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "{\n  \"zone\": %q,\n  \"sensors\": %s,\n  \"alarms\": [\n%s  ]\n}\n", x.Zone, known, b.String()), 0o600))
	}
}

// TestExamplesHaveTheSensorsOfTheCatalogue: what the page's tests are told of sensors is so.
func TestExamplesHaveTheSensorsOfTheCatalogue(t *testing.T) {
	x, _ := read(t)
	require.NotEmpty(t, x.Sensors)
	for name, s := range x.Sensors {
		k := sensors.Default().KindOf(name)
		require.NotNil(t, k, name)
		require.Equal(t, aboutName{k.Zh, k.En, k.Unit, k.Decimals}, s, name)
	}
}

// TestTextsAreThePages compares the texts with the page's dictionaries.
func TestTextsAreThePages(t *testing.T) {
	line := regexp.MustCompile(`(?m)^  '((?:what|type|param|switch|age|week)\.[\w.]+)': '(.*)',$`)
	want := map[string]text{}
	for lang, set := range map[string]func(*text, string){"en": func(x *text, s string) { x.en = s }, "zh": func(x *text, s string) { x.zh = s }} {
		source, err := os.ReadFile("../../ui/src/i18n/" + lang + ".js")
		require.NoError(t, err)
		for _, m := range line.FindAllStringSubmatch(string(source), -1) {
			if m[1] != "age.ago" {
				x := want[m[1]]
				set(&x, m[2])
				want[m[1]] = x
			}
		}
	}
	require.Equal(t, want, texts)
}

// TestExamplesUseEveryText: no text is without an example.
func TestExamplesUseEveryText(t *testing.T) {
	x, _ := read(t)
	var all strings.Builder
	for _, e := range x.Alarms {
		all.WriteString(e.En + "\n")
	}
	for key, words := range texts {
		if !strings.HasPrefix(key, "what.") {
			continue
		}
		parts := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(words.en), ".*")
		require.Regexp(t, "(?m)^"+parts+"$", all.String(), key)
	}
}

func TestNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"1,234,567.9": fixed(1_234_567.85, 1), "0.3": fixed(0.25, 1), "-0.3": fixed(-0.25, 1), "0": fixed(-0.4, 0), "3": fixed(2.5, 0), "85.3": fixed(85.25, 1),
		"0.050": precise(0.05, 1), "0.05": short(0.05, 1), "5": short(5, 1), "1,000": short(1000, 0), "12.3": short(12.34, 1), "0.0": precise(0, 1), "0.000000": fixed(1e-9, 6),
	} {
		require.Equal(t, want, got)
	}
}

func TestLimitsAndTypes(t *testing.T) {
	limit := func(m telemetry.Measure) string {
		return Writer{}.Limit(&telemetry.Alert{Measure: m, Threshold: telemetry.Threshold{Parameter: "temperature", Operator: ">", Value: 5}})
	}
	require.Equal(t, "temperature > 5 °C/s", limit(telemetry.Measure{Kind: "rate", Unit: "°C", Per: "second"}))
	require.Equal(t, "temperature > 5 °C", limit(telemetry.Measure{Kind: "high", Unit: "°C"}))
	require.Equal(t, "temperature > 5", limit(telemetry.Measure{}), "of a former version")
	require.Empty(t, Writer{}.Limit(&telemetry.Alert{}))
	require.Equal(t, "设备离线", Writer{Lang: "zh"}.Type("device_offline"))
	require.Equal(t, "my_rule", Writer{}.Type("my_rule"))
}

func FuzzText(f *testing.F) {
	x, zone := read(f)
	for _, e := range x.Alarms {
		f.Add([]byte(e.Alert))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a telemetry.Alert
		if json.Unmarshal(data, &a) != nil || a.AlertType == "" {
			return
		}
		for _, lang := range []string{"en", "zh"} {
			require.NotEmpty(t, Writer{Lang: lang, Zone: zone}.Text(&a))
		}
	})
}
