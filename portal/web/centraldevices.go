package web

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/devicebook"
	"industrial-iot-monitor/portal/internal/state"
)

// centralDevice is a device that the centre gave its credential, or took it from. Times are ms since 1970.
type centralDevice struct {
	DeviceID  string           `json:"device_id"`
	Kind      credential.Kind  `json:"kind"`      // secret, nkey or password; empty: revoked, and only the gateway knew its credential
	Publishes []string         `json:"publishes"` // further device ids; a * at the end stands for any rest
	Public    string           `json:"public"`    // its nkey
	Secrets   int              `json:"secrets"`   // how many hold: two while one is changed
	AddedAt   int64            `json:"added_at"`
	RevokedAt int64            `json:"revoked_at"` // 0: not
	ChangedAt int64            `json:"changed_at"`
	ChangedBy string           `json:"changed_by"`
	State     devicebook.State `json:"state"` // pending until the gateway has stored it
}

// addDeviceBody gives a device of a gateway a credential.
type addDeviceBody struct {
	By        string          `json:"by"` // operator; see access.go
	DeviceID  string          `json:"device_id"`
	Kind      credential.Kind `json:"kind"`      // secret, the default, or nkey
	Public    string          `json:"public"`    // a public nkey that the device has drawn
	Publishes []string        `json:"publishes"` // further device ids; a * at the end stands for any rest
}

// rotateDeviceBody gives a device a second secret, or ends the first one.
type rotateDeviceBody struct {
	By     string `json:"by"`     // operator; see access.go
	End    bool   `json:"end"`    // the secret of before holds no longer
	Public string `json:"public"` // a public nkey that the device has drawn
}

// revokeDeviceBody says who revokes a device.
type revokeDeviceBody struct {
	By string `json:"by"` // operator; see access.go
}

// centralDeviceAnswer answers a change of a credential.
type centralDeviceAnswer struct {
	Time   int64         `json:"time"`
	Secret string        `json:"secret"` // shown this once; the seed of an nkey; empty if the device has it already
	Device centralDevice `json:"device"`
}

var (
	errNoGateway      = refuse(fiber.StatusNotFound, "gateway_not_found", "no such gateway is enrolled or was heard")
	errNoCredential   = refuse(fiber.StatusNotFound, "device_not_found", "the centre has given this device no credential that holds")
	errDevicesUnread  = refuse(fiber.StatusServiceUnavailable, "kafka_unavailable", "the credentials of devices have not been read from Kafka yet; try again later")
	errDeviceUnstored = refuse(fiber.StatusServiceUnavailable, "kafka_unavailable", "not stored, or not for certain; look at the list before you try again")
	errDeviceExists   = refuse(fiber.StatusConflict, "device_exists", "the device has a credential already; rotate gives it another secret")
	errKeyUsed        = refuse(fiber.StatusConflict, "key_used", "another device of the gateway has this key").at("public")
	errManyDevices    = refuse(fiber.StatusConflict, "too_many_devices", "the gateway has as many devices as it may have")
	errOneSecret      = refuse(fiber.StatusConflict, "one_secret", "the device has one secret alone")
	errImported       = refuse(fiber.StatusConflict, "not_rotatable", "the device has an imported password")
)

// listCentralDevices handles GET /api/v1/gateways/{id}/devices.
func (p *Portal) listCentralDevices(c *fiber.Ctx) error {
	page, err := readPaging(c)
	if err != nil {
		return err
	}
	gateway, err := p.gatewayOfPath(c)
	if err != nil {
		return err
	}
	all, stored := p.devices.Of(gateway), p.storedBy(gateway)
	out := list[centralDevice]{Total: len(all), Offset: page.Offset, Time: p.model.Now(), Items: []centralDevice{}}
	for _, d := range part(all, page) {
		out.Items = append(out.Items, showCentral(d, stored))
	}
	out.Count = len(out.Items)
	return c.JSON(out)
}

// gatewayOfPath returns the gateway that a request is about. One that is away counts too, also if the portal
// was started since.
func (p *Portal) gatewayOfPath(c *fiber.Ctx) (string, error) {
	id := strings.Clone(c.Params("id"))
	switch {
	case !p.devices.Read():
		return "", errDevicesUnread
	case p.devices.Knows(id) || slices.ContainsFunc(p.model.Gateways(), func(g state.Gateway) bool { return g.Gateway == id }):
		return id, nil
	}
	return "", errNoGateway
}

// storedBy returns what a gateway's last heartbeat says that it has stored, nil if nothing.
func (p *Portal) storedBy(gateway string) *wire.DeviceVersion {
	for _, g := range p.model.Gateways() {
		if g.Gateway == gateway {
			return g.Devices
		}
	}
	return nil
}

func showCentral(d devicebook.Device, stored *wire.DeviceVersion) centralDevice {
	v := centralDevice{
		DeviceID: d.ID, Kind: d.Kind, Publishes: d.Publishes, Public: d.Public, Secrets: len(d.Hashes), AddedAt: d.Added, RevokedAt: d.Revoked,
		ChangedAt: d.Changed, ChangedBy: d.By, State: d.State(stored),
	}
	if v.Publishes == nil {
		v.Publishes = []string{}
	}
	return v
}

// addCentralDevice handles POST /api/v1/gateways/{id}/devices.
func (p *Portal) addCentralDevice(c *fiber.Ctx) error {
	var body addDeviceBody
	by, err := decodeBy(c, &body, &body.By)
	if err != nil {
		return err
	}
	next := credential.Credential{ID: body.DeviceID, Kind: body.Kind, Public: body.Public, Publishes: body.Publishes, Added: p.model.Now()}
	switch {
	case !telemetry.ValidDeviceID(body.DeviceID):
		return badField("device_id", "1 to 64 of A-Z a-z 0-9 _ -")
	case body.Kind == "" && body.Public == "":
		next.Kind = credential.Secret
	case body.Kind == "":
		next.Kind = credential.Nkey
	case body.Kind == credential.Secret && body.Public != "":
		return badField("public", "it with kind nkey alone")
	case body.Kind != credential.Secret && body.Kind != credential.Nkey:
		return badField("kind", "secret or nkey")
	}
	secret, err := next.Draw()
	if err == nil {
		err = next.Check()
	}
	if err != nil {
		return wrongCredential(err)
	}
	return p.changeCentral(c, body.DeviceID, by, securityaudit.DeviceAdd, func(old devicebook.Device, known bool) (credential.Credential, string, error) {
		if known && old.Revoked == 0 {
			return next, "", errDeviceExists
		}
		return next, secret, nil
	})
}

// wrongCredential returns the error of a credential that is none, nil for nil.
func wrongCredential(err error) error {
	if err == nil {
		return nil
	}
	return refuse(fiber.StatusBadRequest, "bad_field", strings.TrimPrefix(err.Error(), credential.ErrCredential.Error()+": "))
}

// rotateCentralDevice handles POST /api/v1/gateways/{id}/devices/{device}/rotate.
func (p *Portal) rotateCentralDevice(c *fiber.Ctx) error {
	var body rotateDeviceBody
	by, err := decodeBy(c, &body, &body.By)
	if err != nil {
		return err
	}
	return p.changeCentral(c, strings.Clone(c.Params("device")), by, securityaudit.DeviceRotate, func(old devicebook.Device, known bool) (next credential.Credential, secret string, err error) {
		if !known || old.Revoked != 0 {
			return next, "", errNoCredential
		}
		next = old.Credential
		switch {
		case next.Kind == credential.Password:
			return next, "", errImported
		case body.End && len(next.Hashes) < credential.MaxHashes:
			return next, "", errOneSecret
		case body.End:
			next.Hashes = next.Hashes[len(next.Hashes)-1:]
			return next, "", nil
		}
		if body.Public != "" && next.Kind != credential.Nkey {
			return next, "", badField("public", "it for a device with an nkey alone")
		}
		next.Public = body.Public
		if secret, err = next.Draw(); err == nil {
			err = wrongCredential(next.Check())
		}
		return next, secret, err
	})
}

// revokeCentralDevice handles DELETE /api/v1/gateways/{id}/devices/{device}. It may be one that only its
// gateway knows.
func (p *Portal) revokeCentralDevice(c *fiber.Ctx) error {
	var body revokeDeviceBody
	by, err := decodeBy(c, &body, &body.By)
	if err != nil {
		return err
	}
	id := strings.Clone(c.Params("device"))
	if !telemetry.ValidDeviceID(id) {
		return errNoCredential
	}
	return p.changeCentral(c, id, by, securityaudit.DeviceRevoke, func(old devicebook.Device, known bool) (credential.Credential, string, error) {
		next := credential.Credential{ID: id}
		if known {
			next = old.Credential
		}
		if next.Revoked == 0 {
			next.Revoked = p.model.Now()
		}
		return next, "", nil
	})
}

// changeCentral writes what the centre says of a device from now on, and answers once Kafka has it. The
// gateway has it later: the state says when.
func (p *Portal) changeCentral(c *fiber.Ctx, id, by string, what securityaudit.What, edit func(old devicebook.Device, known bool) (credential.Credential, string, error)) error {
	gateway, err := p.gatewayOfPath(c)
	if err != nil {
		return err
	}
	p.changingDevices.Lock() // two at once must not both be the first
	defer p.changingDevices.Unlock()
	old, known := p.devices.Device(gateway, id)
	next, secret, err := edit(old, known)
	if err != nil {
		return err
	}
	if !known && len(p.devices.Of(gateway)) >= access.MaxDevices {
		return errManyDevices
	}
	if _, used := p.devices.Owner(gateway, next.Public, id); used && next.Public != "" && next.Revoked == 0 {
		return errKeyUsed
	}
	d := &access.Device{Gateway: gateway, Credential: next, Changed: p.model.Now(), By: by}
	caller := who(c)
	caller.Name = cmp.Or(caller.Name, by)
	err = p.administer(caller, what, gateway+"/"+id, string(next.Kind), func(*securityaudit.Record) error {
		if err := p.commands.Put(context.Background(), p.cfg.Topics.Access, access.DeviceRecordKey(gateway, id), d.Encode()); err != nil {
			return errDeviceUnstored
		}
		return nil
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.answerWithin)
	defer cancel()
	now, ok := p.devices.Await(ctx, d)
	if !ok {
		now = devicebook.Device{Device: d} // Kafka has it, this portal not yet
		now.Version = 1
	}
	return c.JSON(centralDeviceAnswer{Time: p.model.Now(), Secret: secret, Device: showCentral(now, p.storedBy(gateway))})
}
