// Package enrolment keeps what makes a gateway known to the hub, on the gateway's disk: its key, drawn
// here and never sent, and where the hub is. It is not for connecting. Everything in it blocks on the disk.
package enrolment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"

	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/durable"
)

// Enrolment says for which gateway a directory was enrolled, and where.
type Enrolment struct {
	Hub      string `json:"hub"`
	Gateway  string `json:"gateway"`
	Building string `json:"building,omitempty"`
}

// Load returns the enrolment of a data directory, nil if there was none.
func Load(dataDir string) (*Enrolment, error) {
	data, err := os.ReadFile(file(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the enrolment: %w", err)
	}
	var e Enrolment
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("reading the enrolment in %s: %w; enrol again", file(dataDir), err)
	}
	return &e, nil
}

func file(dataDir string) string { return filepath.Join(dataDir, "enrolment.json") }

// KeyFile returns the file with the seed of a gateway's key.
func KeyFile(dataDir, gateway string) string {
	return filepath.Join(dataDir, gateway, "security", "gateway.nk")
}

// newSuffix marks a file that is not in force yet.
const newSuffix = ".new"

// Seed returns the seed of a gateway's key, empty if it has none.
func Seed(dataDir, gateway string) (string, error) { return readSeed(KeyFile(dataDir, gateway)) }

func readSeed(name string) (string, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the gateway's key: %w", err)
	}
	kp, err := nkeys.FromSeed(data)
	if err != nil {
		return "", fmt.Errorf("reading the gateway's key in %s: %w; enrol again", name, err)
	}
	defer kp.Wipe()
	seed, err := kp.Seed()
	return string(seed), err
}

// Draw returns the seed of a new key for the gateway of a claim. The key is on the disk before it is
// used: an attempt that was interrupted goes on with the same one.
func Draw(dataDir string, c access.Claim) (seed string, err error) {
	return drawn(KeyFile(dataDir, c.Gateway) + newSuffix)
}

// Public returns the public key of a gateway, and draws the key if it has none: an external hub has
// it in its configuration.
func Public(dataDir, gateway string) (string, error) {
	seed, err := drawn(KeyFile(dataDir, gateway))
	if err != nil {
		return "", err
	}
	kp, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return "", fmt.Errorf("reading the gateway's key: %w", err)
	}
	defer kp.Wipe()
	return kp.PublicKey()
}

// drawn returns the seed in a file, which gets a new one if it does not exist.
func drawn(name string) (seed string, err error) {
	if seed, err = readSeed(name); err != nil || seed != "" {
		return seed, err
	}
	raw, _, err := credential.NewKey()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", fmt.Errorf("EDGE_DATA_DIR: making a directory for the key: %w", err)
	}
	return string(raw), write(name, raw)
}

// CAFile returns the file with the certificate that the hub's must be signed by, empty if there is none.
func CAFile(dataDir, gateway string) string {
	name := caFile(dataDir, gateway)
	if _, err := os.Stat(name); err != nil {
		return ""
	}
	return name
}

func caFile(dataDir, gateway string) string {
	return filepath.Join(dataDir, gateway, "security", "hub-ca.pem")
}

// Finish puts the key that was drawn in force, and remembers the hub and the certificate that the hub's is
// signed by, nil for a hub without TLS.
func Finish(dataDir string, c access.Claim, ca []byte) error {
	if err := keepCA(caFile(dataDir, c.Gateway), ca); err != nil {
		return err
	}
	name := KeyFile(dataDir, c.Gateway)
	if err := durable.Rename(name+newSuffix, name); err != nil {
		return fmt.Errorf("keeping the key: %w", err)
	}
	data, err := json.Marshal(Enrolment{Hub: c.Hub, Gateway: c.Gateway, Building: c.Building})
	if err != nil {
		return err
	}
	return write(file(dataDir), data)
}

func keepCA(name string, ca []byte) error {
	if ca == nil {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the certificate of another hub: %w", err)
		}
		return nil
	}
	return write(name, ca)
}

// write writes a file that only its owner can read, whole or not at all.
func write(name string, data []byte) error {
	if err := durable.Replace(name, data, 0o600); err != nil {
		return fmt.Errorf("EDGE_DATA_DIR: writing %s: %w", filepath.Base(name), err)
	}
	return nil
}
