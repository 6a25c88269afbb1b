package arch_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Libraries and packages banned from some programs.
const (
	sarama           = "github.com/IBM/sarama"
	franz            = "github.com/twmb/franz-go"
	fiber            = "github.com/gofiber"
	fasthttp         = "github.com/valyala/fasthttp"
	natsServer       = "github.com/nats-io/nats-server/v2"
	mochi            = "github.com/mochi-mqtt/server/v2"
	prometheusServer = "github.com/prometheus/prometheus"
	redis            = "github.com/redis/go-redis"
	testify          = "github.com/stretchr/testify"
	devkafka         = "internal/devkafka"
	kafkatest        = "internal/kafkatest"
)

var programs = []string{"edge", "bridge", "core", "portal", "sim"}

// infrastructure lists the packages that every program uses and that depend on no message.
var infrastructure = []string{
	"internal/config", "internal/ops", "internal/lifecycle", "internal/program", "internal/natsconn", "internal/kafka", devkafka,
	"internal/reload", "internal/yamldoc", "internal/durable", "internal/sensors/sensorfile",
}

// ban lists imports that the packages below from must not have, and the reason.
type ban struct {
	name   string
	from   []string
	never  []string
	reason string
}

// TestNothingBannedIsPulledIn checks transitive dependencies.
func TestNothingBannedIsPulledIn(t *testing.T) {
	for _, b := range []ban{
		{
			"a gateway is small",
			[]string{"edge"},
			[]string{sarama, franz, fiber, fasthttp, "internal/kafka", devkafka},
			"a gateway runs on small hardware and speaks NATS and MQTT; Kafka is behind the bridge",
		},
		{
			"the bridge serves no pages and no MQTT",
			[]string{"bridge"},
			[]string{fiber, fasthttp, mochi, franz, devkafka},
			"the bridge moves packs into Kafka; devices and browsers have their own programs",
		},
		{
			"core embeds no server",
			[]string{"core"},
			[]string{fiber, fasthttp, mochi, natsServer, franz, devkafka},
			"core consumes Kafka and publishes to Kafka and the hub",
		},
		{
			"the portal embeds no broker",
			[]string{"portal"},
			[]string{mochi, natsServer, franz, devkafka},
			"portals run behind a load balancer and are stateless",
		},
		{
			"the simulator is a device",
			[]string{"sim"},
			[]string{sarama, franz, fiber, fasthttp, mochi, natsServer, "internal/kafka", devkafka},
			"devices speak NATS or MQTT to a gateway and nothing else",
		},
		{
			"files of the history belong to core",
			[]string{"edge", "bridge", "sim"},
			[]string{"modernc.org/sqlite"},
			"a database weighs megabytes and these programs keep nothing in one",
		},
		{
			"redis is for portals",
			[]string{"edge", "bridge", "core", "sim", "internal"},
			[]string{redis},
			"what has to be kept is on the gateways' disks and in Kafka; Redis may lose everything",
		},
		{
			"PromQL belongs to core",
			[]string{"edge", "bridge", "portal", "sim", "internal"},
			[]string{prometheusServer},
			"Prometheus' engine weighs 2 MB and half a minute of compiling with the race detector; the portal passes requests on to the historian",
		},
		{
			"infrastructure depends on no message", infrastructure,
			[]string{"internal/wire", "internal/telemetry"},
			"packages every program depends on must not change with a message",
		},
		{
			"shared packages import no program",
			[]string{"internal"},
			programs,
			"dependencies point from programs to what they share",
		},
		{
			"no test libraries in the product", append([]string{"deploy", "internal/wire", "internal/telemetry", "internal/sensors"}, append(infrastructure, programs...)...),
			[]string{testify, "go.uber.org/goleak", kafkatest},
			"test libraries weigh megabytes and are useless in production",
		},
	} {
		t.Run(b.name, func(t *testing.T) {
			for _, p := range packages(t, b.from...) {
				for _, dep := range p.Deps {
					for _, never := range b.never {
						require.False(t, within(dep, ours(never)), "%s contains %s: %s", p.path(), dep, b.reason)
					}
				}
			}
		})
	}
}

// TestProgramsTalkOverTheWire includes test files: a bridge test that ran a gateway would
// couple the two.
func TestProgramsTalkOverTheWire(t *testing.T) {
	for _, program := range programs {
		for _, p := range packages(t, program) {
			for _, imported := range p.allImports() {
				for _, other := range programs {
					if other != program {
						require.False(t, within(imported, ours(other)), "%s imports %s: programs communicate only over the wire", p.path(), imported)
					}
				}
			}
		}
	}
}

// TestOnlyCompositionsHoldSeveralPrograms limits the packages that import several programs.
func TestOnlyCompositionsHoldSeveralPrograms(t *testing.T) {
	composed := 0
	for _, p := range packages(t, "") {
		held := 0
		for _, program := range programs {
			if slices.ContainsFunc(p.Imports, func(i string) bool { return within(i, ours(program)) }) {
				held++
			}
		}
		if held < 2 {
			continue
		}
		composed++
		allowed := within(p.path(), "deploy/allinone") || judges(p.path())
		require.True(t, allowed, "%s imports several programs: only deploy/allinone, loadtest and test compose them", p.path())
	}
	require.Positive(t, composed, "deploy/allinone composes the programs")
}

// TestMainKnowsItsAppAlone keeps main free of anything but starting its app.
func TestMainKnowsItsAppAlone(t *testing.T) {
	start := []string{"internal/program", "internal/lifecycle"}
	for program, apps := range map[string][]string{
		"edge": {"edge/gateway"}, "bridge": {"bridge/relay", "bridge/admin"}, "core": {"core/processor", "core/historian", "core/detection", "core/backup"},
		"portal": {"portal/web", "portal/admin"}, "sim": {"sim/simulator"}, "deploy/allinone": {"deploy/allinone/plant"},
	} {
		main := packages(t, program)
		i := slices.IndexFunc(main, func(p pkg) bool { return p.path() == program })
		require.NotEqual(t, -1, i, "%s has no package", program)
		require.Equal(t, "main", main[i].Name, "%s is a program", program)
		for _, imported := range main[i].Imports {
			known := standard(imported) || slices.ContainsFunc(append(apps, start...), func(s string) bool { return imported == ours(s) })
			require.True(t, known, "%s/main.go imports %s: main starts %s and leaves the rest to internal/program", program, imported, apps)
		}
	}
}

// TestModelStandsOnTheStandardLibrary keeps the stored and transmitted formats free of
// third-party code, so that they stay readable.
func TestModelStandsOnTheStandardLibrary(t *testing.T) {
	allowed := map[string][]string{"internal/telemetry": nil, "internal/wire": {ours("internal/telemetry")}}
	for path, others := range allowed {
		for _, p := range packages(t, path) {
			for _, imported := range p.Imports {
				require.True(t, standard(imported) || slices.Contains(others, imported),
					"%s imports %s: wire depends on telemetry, telemetry on the standard library", p.path(), imported)
			}
		}
	}
}

// TestCatalogueIsPure lets core, portal and tools use one catalogue, whatever they run on.
func TestCatalogueIsPure(t *testing.T) {
	allowed := []string{ours("internal/yamldoc"), "github.com/goccy/go-yaml/ast"}
	for _, p := range packages(t, "internal/sensors") {
		if p.path() != "internal/sensors" {
			continue
		}
		for _, imported := range p.Imports {
			ok := standard(imported) && !slices.Contains([]string{"os", "net"}, imported) || slices.Contains(allowed, imported)
			require.True(t, ok, "%s imports %s: the catalogue is read from bytes and knows no program", p.path(), imported)
		}
	}
}

// TestStagesDoNoIO keeps the stages of core pure: input and clock in, result out.
func TestStagesDoNoIO(t *testing.T) {
	io := []string{"os", "net", "internal/kafka", "internal/natsconn", sarama, "github.com/nats-io/nats.go"}
	for _, p := range packages(t, "core/internal/intake", "core/internal/aggregate", "core/internal/alarm", "core/internal/presence") {
		for _, imported := range p.Imports {
			for _, never := range io {
				require.False(t, within(imported, ours(never)), "%s imports %s: a stage can be tested with a table because it does no I/O", p.path(), imported)
			}
		}
	}
}

// TestDemoBrokerStaysInTheDemo keeps the embedded broker out of production code; tests may
// use it.
func TestDemoBrokerStaysInTheDemo(t *testing.T) {
	importers := map[string][]string{
		devkafka:  {"deploy/allinone", "test", kafkatest},
		franz:     {devkafka, kafkatest, "test", "loadtest"},
		kafkatest: {"test", kafkatest},
	}
	for broker, allowed := range importers {
		used := false
		for _, p := range packages(t, "") {
			imports := func(path string) bool { return within(path, ours(broker)) }
			used = used || slices.ContainsFunc(p.allImports(), imports)
			if slices.ContainsFunc(p.Imports, imports) {
				ok := slices.ContainsFunc(allowed, func(a string) bool { return within(p.path(), a) })
				require.True(t, ok, "%s imports %s: the embedded broker keeps one copy on one disk; it is for the demo and for tests", p.path(), broker)
			}
		}
		require.True(t, used, "nothing imports %s: update this test if it moved", broker)
	}
}
