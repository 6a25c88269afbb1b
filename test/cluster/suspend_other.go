//go:build !linux

package cluster

import "errors"

func awaitSuspended(int) error {
	return errors.New("only Linux tells when a process is suspended")
}
