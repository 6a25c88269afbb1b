package broker

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"industrial-iot-monitor/internal/wire"
)

// ofDevices are the permissions of devices: they publish, and hear answers. Only the gateway answers
// them, and no device hears the readings of another: who does could answer first, and its sender
// would forget a reading that was never stored.
func ofDevices() *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Deny: []string{wire.Inboxes}},
		Subscribe: &server.SubjectPermission{Allow: []string{wire.Inboxes}},
	}
}

// users are the three kinds of clients of the embedded server, with new keys at every
// start.
type users struct{ device, ingest, uplink user }

type user struct {
	name string // the public key
	key  nkeys.KeyPair
}

func newUsers() (users, error) {
	var all users
	for _, u := range []*user{&all.device, &all.ingest, &all.uplink} {
		var err error
		if u.key, err = nkeys.CreateUser(); err != nil {
			return users{}, fmt.Errorf("creating a key: %w", err)
		}
		if u.name, err = u.key.PublicKey(); err != nil {
			return users{}, fmt.Errorf("creating a key: %w", err)
		}
	}
	return all, nil
}
