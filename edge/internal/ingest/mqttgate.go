package ingest

import (
	"errors"
	"fmt"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/mqtt"
)

// mqttGate lets devices in by MQTT: the user is the device's id, the password its secret.
type mqttGate struct{ store *devices.Store }

// Admit implements mqtt.Gate.
func (g mqttGate) Admit(l mqtt.Login) (mqtt.Identity, error) {
	pass, err := g.store.Admit(devices.Proof{ID: l.User, Secret: string(l.Password), Remote: l.Remote.String(), Certificate: l.Certificate})
	switch {
	case errors.Is(err, devices.ErrBusy):
		return nil, mqtt.ErrBusy
	case err != nil:
		return nil, err
	case pass == nil:
		return nil, nil
	case g.store.IsOther(pass, l.ClientID):
		return nil, fmt.Errorf("the client identifier of %s is the id of another device", pass.Device())
	}
	return pass, nil
}

// Holds implements mqtt.Gate.
func (g mqttGate) Holds(i mqtt.Identity) bool {
	pass, _ := i.(*devices.Pass)
	return g.store.Holds(pass)
}
