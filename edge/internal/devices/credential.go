// Package devices knows who the devices of a gateway are: their credentials, in a file that is read
// again when it changes and in what the centre sent, and what each of them may publish. It works without
// the hub. It is not for connections. Store.Run blocks until its context ends; checking an imported
// password blocks for the time of its hash, Merge for that of a write to disk.
package devices

import "industrial-iot-monitor/internal/credential"

// The same words for the gateway's file and for the centre.
type (
	// Credential is what the gateway knows of one device.
	Credential = credential.Credential
	// Kind is how a device proves who it is.
	Kind = credential.Kind
)

// Kinds.
const (
	Secret   = credential.Secret
	Nkey     = credential.Nkey
	Password = credential.Password
	X509     = credential.X509
)
