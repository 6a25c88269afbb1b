package web

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/tracing/tracingtest"
	"industrial-iot-monitor/internal/wire"
)

func TestTheGatewayOfADeviceIsAskedForATrace(t *testing.T) {
	t.Parallel()
	traces := tracingtest.Start(t)
	r := start(t, func(o *Options) { o.Config.Tracing = traces.Config() })
	r.publish("gw-a", reading("d1", "A栋", time.Now().UnixMilli()))
	r.eventually("the device is known", func() bool { return r.get("/api/v1/devices/d1").status == http.StatusOK })
	const path = "/api/v1/devices/d1?trace=1"
	r.refused(path, http.StatusServiceUnavailable, "gateway_unreachable")
	r.refused("/api/v1/devices/none?trace=1", http.StatusNotFound, "device_not_found")
	r.refused("/api/v1/devices/d1?trace=yes", http.StatusBadRequest, "bad_parameter")

	asked := make(chan wire.TraceRequest, 1)
	answers(r, wire.TraceSubject, func(q wire.TraceRequest) wire.TraceAnswer {
		select {
		case asked <- q:
			return wire.TraceAnswer{Until: 42}
		default:
			return wire.TraceAnswer{Error: "it waits for too many"}
		}
	})
	var got deviceAnswer
	r.getJSON(path, &got)
	require.Equal(t, "d1", got.DeviceID)
	require.NotNil(t, got.Trace)
	require.EqualValues(t, 42, got.Trace.Until)
	q := <-asked
	require.Equal(t, "gw-a", q.Instance)
	require.Equal(t, "d1", q.DeviceID)
	require.Regexp(t, `^00-`+got.Trace.ID+`-[0-9a-f]{16}-01$`, q.TraceParent)
	asked <- q
	require.Contains(t, r.refused(path, http.StatusServiceUnavailable, "not_traced"), "it waits for too many")
	require.NotContains(t, r.get("/api/v1/devices/d1").body, `"trace"`, "asked for by trace=1 alone")
}

func TestATraceNeedsTracesAndThePermission(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, nil)
	r.publish("gw-a", reading("d1", "A栋", time.Now().UnixMilli()))
	viewer, engineer := r.signIn("viewer"), r.signIn("engineer")
	r.eventually("the device is known", func() bool { return r.get("/api/v1/devices/d1", viewer...).status == http.StatusOK })
	a := r.get("/api/v1/devices/d1?trace=1", viewer...)
	require.Equal(t, http.StatusForbidden, a.status, a.body)
	a = r.get("/api/v1/devices/d1?trace=1", engineer...)
	require.Equal(t, http.StatusConflict, a.status, a.body)
	require.Contains(t, a.body, "traces_off")
}
