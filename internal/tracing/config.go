package tracing

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Config is the part of a program's environment that sets its traces, by the names of the OpenTelemetry
// specification. Without an endpoint there are none.
type Config struct {
	Endpoint       string  `env:"OTEL_EXPORTER_OTLP_ENDPOINT" help:"base URL of an OpenTelemetry collector that takes traces by OTLP over HTTP, such as http://127.0.0.1:4318; empty: no traces, unless OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set; see docs/tracing.md"`
	TracesEndpoint string  `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" help:"full URL for traces in place of OTEL_EXPORTER_OTLP_ENDPOINT with /v1/traces"`
	Protocol       string  `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf" help:"how traces are sent; only http/protobuf"`
	Service        string  `env:"OTEL_SERVICE_NAME" help:"name of the program in traces; empty: edge, bridge, core or portal"`
	Resource       string  `env:"OTEL_RESOURCE_ATTRIBUTES" help:"attributes of all traces of this program: key=value, comma separated, percent-encoded"`
	Sampler        string  `env:"OTEL_TRACES_SAMPLER" envDefault:"parentbased_traceidratio" help:"which packs of readings are traced: parentbased_traceidratio, parentbased_always_on, parentbased_always_off, traceidratio, always_on or always_off; the parentbased ones also trace every reading that was asked for"`
	SamplerArg     float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"0.01" help:"share of the packs that the samplers with traceidratio trace, 0 to 1"`
	Disabled       bool    `env:"OTEL_SDK_DISABLED" envDefault:"false" help:"true: no traces, whatever the other variables say"`
}

// On reports whether traces are sent.
func (c *Config) On() bool { return !c.Disabled && (c.Endpoint != "" || c.TracesEndpoint != "") }

// Check names the variable of an unusable value. While traces are off, none is looked at.
func (c *Config) Check() error {
	if !c.On() {
		return nil
	}
	_, err := c.sampler()
	_, attributes := c.attributes()
	_, target := c.target()
	return errors.Join(c.checkProtocol(), target, err, attributes)
}

func (c *Config) checkProtocol() error {
	if c.Protocol != "http/protobuf" {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL=%s: want http/protobuf; collectors take it on port 4318", c.Protocol)
	}
	return nil
}

// target returns the URL that takes the traces.
func (c *Config) target() (string, error) {
	name, value := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.TracesEndpoint
	if value == "" {
		name, value = "OTEL_EXPORTER_OTLP_ENDPOINT", c.Endpoint
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", fmt.Errorf("%s=%q: want a URL such as http://127.0.0.1:4318", name, value)
	}
	if c.TracesEndpoint == "" {
		u = u.JoinPath("v1/traces")
	}
	return u.String(), nil
}

// sampler returns the sampler, which always takes what Asked marks.
func (c *Config) sampler() (sdktrace.Sampler, error) {
	if c.SamplerArg < 0 || c.SamplerArg > 1 || math.IsNaN(c.SamplerArg) {
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG=%g: want 0 to 1", c.SamplerArg)
	}
	root, parentBased := strings.CutPrefix(c.Sampler, "parentbased_")
	var s sdktrace.Sampler
	switch root {
	case "always_on":
		s = sdktrace.AlwaysSample()
	case "always_off":
		s = sdktrace.NeverSample()
	case "traceidratio":
		s = sdktrace.TraceIDRatioBased(c.SamplerArg)
	default:
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER=%s: want always_on, always_off or traceidratio, each also with parentbased_ before it", c.Sampler)
	}
	if parentBased {
		s = sdktrace.ParentBased(s)
	}
	return s, nil
}

// attributes returns those of OTEL_RESOURCE_ATTRIBUTES.
func (c *Config) attributes() (out []attribute.KeyValue, err error) {
	for pair := range strings.SplitSeq(c.Resource, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		text, bad := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !found || key == "" || bad != nil {
			return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %q: want key=value, percent-encoded", pair)
		}
		out = append(out, attribute.String(key, text))
	}
	return out, nil
}
