package broker

import (
	"fmt"

	"github.com/nats-io/nkeys"
)

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
