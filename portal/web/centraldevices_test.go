package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/devicebook"
	"industrial-iot-monitor/portal/internal/people"
)

const devicesOfA = "/api/v1/gateways/gw-a/devices"

// startDevices starts a portal that has heard a gateway with nothing stored.
func startDevices(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := start(t, change)
	r.stores(wire.DeviceVersion{})
	r.eventually("the records are read", func() bool { return r.get(devicesOfA).status == http.StatusOK })
	return r
}

// stores has the gateway say what it has stored.
func (r *rig) stores(v wire.DeviceVersion) {
	r.tb.Helper()
	data, err := wire.GatewayStatus{Gateway: "gw-a", Devices: &v}.Encode()
	require.NoError(r.tb, err)
	require.NoError(r.tb, r.nc.Publish(wire.StatusSubject("gw-a"), data))
	r.eventually("the heartbeat is here", func() bool {
		got := r.portal.storedBy("gw-a")
		return got != nil && *got == v
	})
}

// changed is the answer to a change of a device's credential, which must work.
func (r *rig) changed(method, path, body string, header ...string) (a centralDeviceAnswer) {
	r.tb.Helper()
	got := r.ask(method, path, body, header...)
	require.Equal(r.tb, http.StatusOK, got.status, got.body)
	require.NoError(r.tb, json.Unmarshal([]byte(got.body), &a))
	return a
}

func (r *rig) central() []centralDevice {
	r.tb.Helper()
	var l list[centralDevice]
	r.getJSON(devicesOfA, &l)
	require.Len(r.tb, l.Items, l.Total)
	return l.Items
}

// record returns the record of a device that the portal has read from Kafka.
func (r *rig) record(id string) *access.Device {
	r.tb.Helper()
	d, ok := r.portal.devices.Device("gw-a", id)
	require.True(r.tb, ok)
	return d.Device
}

// TestDeviceFromTheCentre is added, rotated and revoked; each step is pending until the gateway has stored it.
func TestDeviceFromTheCentre(t *testing.T) {
	r := startDevices(t, nil)
	added := r.changed(http.MethodPost, devicesOfA, `{"by":"李工","device_id":"d1","publishes":["plc7_*"]}`)
	require.True(t, strings.HasPrefix(added.Secret, "iotd_"))
	require.Equal(t, devicebook.Pending, added.Device.State)
	require.Equal(t, "李工", added.Device.ChangedBy)
	require.Equal(t, []string{"plc7_*"}, added.Device.Publishes)
	record := r.record("d1")
	require.NotNil(t, record.Hash(added.Secret))
	written := kafkatest.ReadAll(t, r.brokers, r.cfg.Topics.Access, 1, waitTimeout)[0]
	require.Equal(t, "device/gw-a/d1", string(written.Key))
	require.NotContains(t, string(written.Value), added.Secret)
	d, _ := r.portal.devices.Device("gw-a", "d1")
	topic := d.Topic
	r.stores(wire.DeviceVersion{Topic: topic, Version: 1})
	require.Equal(t, devicebook.Held, r.central()[0].State)

	second := r.changed(http.MethodPost, devicesOfA+"/d1/rotate", `{"by":"李工"}`)
	require.Equal(t, 2, second.Device.Secrets)
	require.Equal(t, devicebook.Pending, second.Device.State)
	require.NotNil(t, r.record("d1").Hash(added.Secret), "both hold")
	require.NotNil(t, r.record("d1").Hash(second.Secret))
	ended := r.changed(http.MethodPost, devicesOfA+"/d1/rotate", `{"by":"李工","end":true}`)
	require.Empty(t, ended.Secret)
	require.Nil(t, r.record("d1").Hash(added.Secret))

	gone := r.changed(http.MethodDelete, devicesOfA+"/d1", "", headerOperator, "wang")
	require.NotZero(t, gone.Device.RevokedAt)
	require.Equal(t, devicebook.Pending, gone.Device.State)
	require.Equal(t, gone.Device, r.central()[0])
	r.stores(wire.DeviceVersion{Topic: topic, Version: 4})
	require.Equal(t, devicebook.Revoked, r.central()[0].State)
	r.stores(wire.DeviceVersion{Topic: "another", Version: 400})
	require.Equal(t, devicebook.Pending, r.central()[0].State)
	require.Equal(t, gone.Device.RevokedAt, r.changed(http.MethodDelete, devicesOfA+"/d1", `{"by":"wang"}`).Device.RevokedAt)

	unknown := r.changed(http.MethodDelete, devicesOfA+"/own", `{"by":"wang"}`)
	require.Empty(t, unknown.Device.Kind, "the gateway's own")
	again := r.changed(http.MethodPost, devicesOfA, `{"by":"李工","device_id":"d1"}`)
	require.Zero(t, again.Device.RevokedAt)
	require.NotNil(t, r.record("d1").Hash(again.Secret))
	require.Nil(t, r.record("d1").Hash(second.Secret))

	key := r.changed(http.MethodPost, devicesOfA, `{"by":"李工","device_id":"k1","kind":"nkey"}`)
	require.True(t, strings.HasPrefix(key.Secret, "SU"))
	require.Equal(t, r.record("k1").Public, key.Device.Public)
	_, public, err := credential.NewKey()
	require.NoError(t, err)
	own := r.changed(http.MethodPost, devicesOfA+"/k1/rotate", `{"by":"李工","public":"`+public+`"}`)
	require.Empty(t, own.Secret, "the device has it")
	require.Equal(t, public, own.Device.Public)
	r.refuses(http.MethodPost, devicesOfA, `{"by":"李工","device_id":"k2","public":"`+public+`"}`, http.StatusConflict, "key_used")
}

func (r *rig) refuses(method, path, body string, status int, code string) {
	r.tb.Helper()
	got := r.ask(method, path, body)
	require.Equal(r.tb, status, got.status, got.body)
	require.Contains(r.tb, got.body, `"`+code+`"`)
}

func TestWrongChangeOfADeviceIsRefused(t *testing.T) {
	r := startDevices(t, nil)
	r.changed(http.MethodPost, devicesOfA, `{"by":"李工","device_id":"d1"}`)
	r.changed(http.MethodPost, devicesOfA, `{"by":"李工","device_id":"d2"}`)
	r.changed(http.MethodDelete, devicesOfA+"/d2", `{"by":"李工"}`)
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{http.MethodPost, devicesOfA, `{"device_id":"d3"}`, http.StatusBadRequest, "operator_missing"},
		{http.MethodPost, devicesOfA, `{"by":"x","device_id":"../x"}`, http.StatusBadRequest, "bad_field"},
		{http.MethodPost, devicesOfA, `{"by":"x","device_id":"d3","kind":"password"}`, http.StatusBadRequest, "bad_field"},
		{http.MethodPost, devicesOfA, `{"by":"x","device_id":"d3","kind":"secret","public":"U"}`, http.StatusBadRequest, "bad_field"},
		{http.MethodPost, devicesOfA, `{"by":"x","device_id":"d3","public":"U"}`, http.StatusBadRequest, "bad_field"},
		{http.MethodPost, devicesOfA, `{"by":"x","device_id":"d3","publishes":["a*b"]}`, http.StatusBadRequest, "bad_field"},
		{http.MethodPost, devicesOfA, `{"by":"x","device_id":"d3","hashes":["AAAA"]}`, http.StatusBadRequest, "bad_field"},
		{http.MethodPost, devicesOfA, `{"by":"x","device_id":"d1"}`, http.StatusConflict, "device_exists"},
		{http.MethodPost, "/api/v1/gateways/gw-z/devices", `{"by":"x","device_id":"d1"}`, http.StatusNotFound, "gateway_not_found"},
		{http.MethodPost, devicesOfA + "/d9/rotate", `{"by":"x"}`, http.StatusNotFound, "device_not_found"},
		{http.MethodPost, devicesOfA + "/d2/rotate", `{"by":"x"}`, http.StatusNotFound, "device_not_found"},
		{http.MethodPost, devicesOfA + "/d1/rotate", `{"by":"x","end":true}`, http.StatusConflict, "one_secret"},
		{http.MethodPost, devicesOfA + "/d1/rotate", `{"by":"x","public":"U"}`, http.StatusBadRequest, "bad_field"},
		{http.MethodDelete, devicesOfA + "/a.b", `{"by":"x"}`, http.StatusNotFound, "device_not_found"},
	} {
		r.refuses(tt.method, tt.path, tt.body, tt.status, tt.code)
	}
	got := r.ask(http.MethodPost, devicesOfA, `{"by":"x","device_id":"d3"}`, "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, got.status)
	require.Len(t, r.central(), 2)
}

// TestOperatorGivesNoCredentials, and sees none.
func TestOperatorGivesNoCredentials(t *testing.T) {
	r := signedInRig(t, nil)
	r.stores(wire.DeviceVersion{})
	r.add(people.Operator)
	r.add(people.Engineer)
	for _, role := range []people.Role{people.Operator, people.Engineer} {
		header := r.signIn(string(role))
		want := http.StatusForbidden
		if role == people.Engineer {
			want = http.StatusOK
		}
		r.eventually("the records are read", func() bool { return r.get(devicesOfA, header...).status != http.StatusServiceUnavailable })
		require.Equal(t, want, r.get(devicesOfA, header...).status, role)
		require.Equal(t, want, r.ask(http.MethodPost, devicesOfA, `{"device_id":"d1"}`, header...).status, role)
		require.Equal(t, want, r.ask(http.MethodPost, devicesOfA+"/d1/rotate", `{}`, header...).status, role)
		require.Equal(t, want, r.ask(http.MethodDelete, devicesOfA+"/d1", "", header...).status, role)
	}
	require.Equal(t, string(people.Engineer), r.record("d1").By)
	r.stop()
	var got []string
	for _, x := range r.securityRecords() {
		if x.About == "gw-a/d1" {
			got = append(got, strings.Join([]string{x.Who, string(x.What), string(x.Outcome)}, " "))
		}
	}
	require.ElementsMatch(t, []string{
		"engineer device_add begun", "engineer device_add done", "engineer device_rotate begun", "engineer device_rotate done",
		"engineer device_revoke begun", "engineer device_revoke done",
	}, got)
}

func TestNoDeviceWithoutTheAudit(t *testing.T) {
	r := startDevices(t, func(o *Options) { o.Audit = &lost{} })
	r.refuses(http.MethodPost, devicesOfA, `{"by":"李工","device_id":"d1"}`, http.StatusServiceUnavailable, "audit_unavailable")
	require.Empty(t, r.central())
}
