package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"industrial-iot-monitor/edge/internal/owner"
	environment "industrial-iot-monitor/internal/config"
)

// Where the packages of the gateway keep settings and data: deploy/packages has the same.
const (
	packagedEnv  = "/etc/iot-edge/edge.env"
	packagedData = "/var/lib/iot-edge"
)

// load fills the settings of a command as those of the gateway on this machine: from file or, if that is
// empty, from the one of the package, unless the environment names another EDGE_DATA_DIR. It reports
// whether they are the package's. A command that root runs goes on as the owner of the data, so that the
// gateway can read what the command writes.
func (c *Config) load(file string) (packaged bool, err error) {
	if file == "" {
		if file, err = packagedFile(packagedEnv); err != nil {
			return false, err
		}
	}
	packaged = file == packagedEnv
	if err := c.loadFrom(file, packaged); err != nil {
		return packaged, err
	}
	return packaged, owner.Become(c.DataDir)
}

// loadFrom reads the settings. Those of the package keep their data where the unit does.
func (c *Config) loadFrom(file string, packaged bool) error {
	if err := environment.FromFile(c, file); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; run it as root, or as the user iot-edge", err)
		}
		return err
	}
	if packaged && c.DataDir == defaultData {
		c.DataDir = packagedData
	}
	return nil
}

// defaultData is the default of EDGE_DATA_DIR.
const defaultData = "./data/edge"

// packagedFile returns the name if the file is there and concerns the gateway in question, else "".
func packagedFile(name string) (string, error) {
	other, err := environment.IsSet("EDGE_DATA_DIR")
	if err != nil || other {
		return "", err
	}
	if _, err := os.Stat(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return "", fmt.Errorf("%s: %w; run it as root, or as the user iot-edge", name, cmp.Or(errors.Unwrap(err), err))
	}
	return name, nil
}
